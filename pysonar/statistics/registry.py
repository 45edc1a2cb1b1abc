"""All statistics by `kind`: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.kaplan_meier import KaplanMeier, LogRank

AnyStatistic = Annotated[
    Cox | Describe | Glm | KaplanMeier | LogRank | Ols,
    Field(discriminator="kind"),
]
"""The table [statistic] of `bounty.toml`: the fields of the one that its `kind` names."""
