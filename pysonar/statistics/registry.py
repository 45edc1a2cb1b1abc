"""All statistics by `kind`, as `[statistic]` of `bounty.toml` names them: a new one adds its line here and
nowhere else.
"""

from __future__ import annotations

from pysonar.statistics.base import Statistic
from pysonar.statistics.classes.bayes import NaiveBayes
from pysonar.statistics.classes.discriminant import Lda, Qda
from pysonar.statistics.evaluation.statistic import Evaluation
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.linear.correlation import Correlation
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.pca import Pca
from pysonar.statistics.linear.penalised import ElasticNet, Ridge
from pysonar.statistics.single.crosstab import Crosstab
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.groups import Anova
from pysonar.statistics.single.histograms import AskHistogram
from pysonar.statistics.single.quantiles import Quantiles
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.kaplan_meier import KaplanMeier, LogRank

STATISTICS: dict[str, type[Statistic]] = {
    "anova": Anova,
    "correlation": Correlation,
    "cox": Cox,
    "crosstab": Crosstab,
    "describe": Describe,
    "elastic-net": ElasticNet,
    "evaluation": Evaluation,
    "glm": Glm,
    "histogram": AskHistogram,
    "kaplan-meier": KaplanMeier,
    "lda": Lda,
    "log-rank": LogRank,
    "naive-bayes": NaiveBayes,
    "ols": Ols,
    "pca": Pca,
    "qda": Qda,
    "quantiles": Quantiles,
    "ridge": Ridge,
}
