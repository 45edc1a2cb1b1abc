"""All statistics by `kind`, as `[statistic]` of `bounty.toml` names them: a new one adds its line here and
nowhere else.
"""

from __future__ import annotations

from pysonar.statistics.base import Statistic
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.single.describe import Describe

STATISTICS: dict[str, type[Statistic]] = {
    "describe": Describe,
    "ols": Ols,
}
