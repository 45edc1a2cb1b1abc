"""All statistics by `kind`: a new one adds its line here and nowhere else."""

from __future__ import annotations

from pysonar.statistics.base import Statistic

STATISTICS: dict[str, type[Statistic]] = {}
