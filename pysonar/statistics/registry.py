"""All statistics by `kind`: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pysonar.statistics.classes.bayes import NaiveBayes
from pysonar.statistics.classes.discriminant import Lda, Qda
from pysonar.statistics.linear.correlation import Correlation
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.pca import Pca
from pysonar.statistics.linear.penalised import ElasticNet, Ridge
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.histograms import AskHistogram
from pysonar.statistics.single.quantiles import Quantiles

AnyStatistic = Annotated[
    AskHistogram
    | Correlation
    | Describe
    | ElasticNet
    | Lda
    | NaiveBayes
    | Ols
    | Pca
    | Qda
    | Quantiles
    | Ridge,
    Field(discriminator="kind"),
]
"""The table [statistic] of `bounty.toml`: the fields of the one that its `kind` names."""
