"""The published grid of times that survival is seen at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from pysonar.statistics.fits.warning import BoundsWarning, Told
from sonar.data.fixed import to_q32
from sonar.errors import ConfigError
from sonar.families.sums.terms.steps.timed import MAX_TIMES

Number = Annotated[float, Field(strict=False)]
GridTimes = Annotated[tuple[Number, ...], Field(strict=False, min_length=1, max_length=MAX_TIMES)]


def grid_q32(grid: Sequence[float]) -> tuple[int, ...]:
    """Return a grid in fixed point. Raises ConfigError for times that are negative or do not ascend."""
    if not all(math.isfinite(time) and time >= 0 for time in grid):
        hint = "give times in ascending order: grid=[1, 2, 3]"
        raise ConfigError("statistic.grid", "has a time that is no number of 0 or more", hint=hint)
    found = tuple(to_q32(time, "statistic.grid") for time in grid)
    for one, other, time in zip(found, found[1:], grid[1:], strict=False):
        if one >= other:
            problem = f"{time:g} is not after the time before it"
            raise ConfigError("statistic.grid", problem, hint="give each time once, in ascending order")
    return found


def grid_warnings(event: str, off_grid: float, late: float, last: float) -> list[Told]:
    """Return what is said of events that are not at a time of the grid."""
    told = []
    if round(off_grid):
        text = f"{off_grid:.0f} rows have {event!r} between two times of `grid`: they count at the later one"
        told.append(Told(BoundsWarning, text))
    if round(late):
        text = (
            f"{late:.0f} rows have {event!r} after {last:g}, the last time of `grid`: they count as censored"
        )
        told.append(Told(BoundsWarning, text))
    return told


def too_many(field: str, needed: int, most: int, what: str, hint: str) -> ConfigError:
    """Return the error for a grid that does not fit in a question."""
    return ConfigError(
        f"statistic.{field}", f"{what}, which makes {needed:,}; {most:,} are the most", hint=hint
    )
