"""All statistics by `kind`, as `[statistic]` of `bounty.toml` names them: a new one adds its line here and
nowhere else.
"""

from __future__ import annotations

from pysonar.statistics.base import Statistic
from pysonar.statistics.evaluation.statistic import Evaluation
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.kaplan_meier import KaplanMeier, LogRank

STATISTICS: dict[str, type[Statistic]] = {
    "cox": Cox,
    "describe": Describe,
    "evaluation": Evaluation,
    "glm": Glm,
    "kaplan-meier": KaplanMeier,
    "log-rank": LogRank,
    "ols": Ols,
}
