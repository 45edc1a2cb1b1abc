"""Survival times on a published grid: what terms of survival share.

A row is at risk at each grid time up to its own. An event between two grid times counts at the later one; an
event after the last is not seen, and its row ends there. A grid that holds every event time changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sonar.data.fixed import Q32, Q32_ONE
from sonar.data.schema import CategoryColumn, Rows
from sonar.families.sums.terms.base import Columns, a_category, a_number

MAX_TIMES = 2000
Grid = Annotated[tuple[Q32, ...], Field(strict=False, min_length=1, max_length=MAX_TIMES)]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timed:
    """Rows on a grid of K times: at risk at the first `until` of them; `event` at the last of these, or not.

    `off_grid` and `late`: how many events lie between two grid times, and after the last.
    """

    until: Places
    event: NDArray[np.bool_]
    off_grid: int
    late: int


def check_timed(columns: Columns, time: str, event: str, grid_q32: Grid) -> None:
    """Raise ValueError if a term's columns or grid cannot be meant."""
    column = a_number(columns, time, "time")
    if column.low_q32 < 0:
        raise ValueError(f"time: column {time!r} has a low bound of {column.low:g}; times are 0 or more")
    if grid_q32[0] < 0 or any(one >= other for one, other in pairwise(grid_q32)):
        raise ValueError("grid: times must be 0 or more, and ascend")
    happened = columns.get(event)
    if isinstance(happened, CategoryColumn):
        if len(happened.levels) != 2:
            raise ValueError(f"event: column {event!r} has {len(happened.levels)} levels; 2 are expected")
        return
    numbers = a_number(columns, event, "event")
    if numbers.low < 0 or numbers.high > 1:
        found = f"column {event!r} has bounds {numbers.low:g} to {numbers.high:g}"
        raise ValueError(f"event: {found}; 0 (censored) to 1 (event) are expected")


def timed(columns: Columns, rows: Rows, time: str, event: str, grid_q32: Grid) -> Timed:
    """Return complete rows on a grid."""
    grid = np.array(grid_q32, dtype=np.int64)
    own = np.rint(rows.number(time) * Q32_ONE).astype(np.int64)
    if isinstance(columns[event], CategoryColumn):
        happened = rows.code(event) == 1
    else:
        happened = rows.number(event) > 0.5
    next_time, passed = np.searchsorted(grid, own, "left"), np.searchsorted(grid, own, "right")
    late = happened & (next_time == len(grid))
    seen = happened & ~late
    until = np.where(seen, next_time + 1, passed)
    between = seen & (grid[np.minimum(next_time, len(grid) - 1)] != own)
    return Timed(until, seen, int(between.sum()), int(late.sum()))


def groups_of(columns: Columns, by: str | None) -> int:
    """Return how many groups there are."""
    return 1 if by is None else len(a_category(columns, by, "by").levels)
