"""A statistic of mines that are tables in this process: the same integers, sums and steps as on a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Result, Seen, Statistic
from sonar.data.schema import Column
from sonar.families.sums.totals import (
    folded,
    from_integers,
    parameters_from_integers,
    parameters_to_integers,
    plan_of,
    to_integers,
    totals,
)

KEY_BITS = 3072
ROWS_MAX = 1 << 24


def compute(
    statistic: Statistic,
    columns: Sequence[Column],
    tables: Sequence[NDArray[np.float64]],
    *,
    rows_min: int = 10,
    rows_max: int = ROWS_MAX,
) -> Result:
    """Return what a statistic finds of tables float64[rows, columns] coded by `columns`, one for each mine.

    Raises ConfigError, DataError.
    """
    spec = statistic.asked(columns, rows_min, rows_max)
    plan = plan_of(spec, KEY_BITS, max(len(tables), 2))
    names = [column.name for column in columns]
    places = [names.index(column.name) for column in spec.columns]
    seen: list[Seen] = []
    parameters: NDArray[np.float64] | None = statistic.start(spec)
    while parameters is not None and len(seen) < statistic.rounds:
        asked = parameters_from_integers(parameters_to_integers(parameters))
        answers = [
            to_integers(spec, plan, folded(totals(spec, [table[:, places]], asked))) for table in tables
        ]
        sums = [sum(values) for values in zip(*answers, strict=True)]
        seen.append(Seen(asked, from_integers(spec, plan, sums), len(tables)))
        parameters = statistic.step(spec, seen)
    return statistic.result(spec, seen)
