"""Cox's proportional hazards: a step of Newton's method a round, at coefficients that the mines see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import category_column, chosen, number_column
from pysonar.statistics.fits.asking import check_names, spec_of
from pysonar.statistics.fits.collinear import check_columns
from pysonar.statistics.fits.newton import length_of, stands
from pysonar.statistics.fits.sound import refuses_false_sums
from pysonar.statistics.survival.cox_result import CoxResult, result_of
from pysonar.statistics.survival.grid import GridTimes, grid_q32, too_many
from pysonar.statistics.survival.partial import (
    Opened,
    away_from,
    kept_of,
    opened_of,
    parameters_of,
    reached,
    start_of,
    step_of,
)
from sonar.data.fixed import to_q32
from sonar.data.schema import Column
from sonar.errors import DataError
from sonar.families.sums.spec import MAX_PARAMETERS, SumsSpec
from sonar.families.sums.terms.design import labels_of, width_of
from sonar.families.sums.terms.steps.cox_step import CoxStep, sums_of
from sonar.paillier.slots import MAX_VALUES

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_LONGEST = 20.0  # a step that would move a predictor further is shortened: risks would leave what can be seen
_HALF = 0.5  # of a row: sums of ones are whole
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class Cox(Statistic):
    """A regression of the hazard of an `event` (1; 0 is censored) in `time` on `columns`, or all others.

    An event of two categories is the second level (of `columns_of`: by the alphabet); the summary names it.

    `grid`: the times of events, ascending; with all of them there, estimates are those of the pooled rows. An
    event between two counts at the later one, and it is said how many do. `strata`: a column of categories
    with a baseline each. `ties` of events at one time: Efron's method, or Breslow's. `risk_max`: what a row's
    risk is held within, as a multiple of the mean one.

    Concordance is not told: it compares rows in pairs, and sums have none.
    """

    kind: Literal["cox"] = "cox"
    time: str
    event: str
    columns: Names | None = None
    grid: GridTimes
    strata: str | None = None
    ties: Literal["efron", "breslow"] = "efron"
    risk_max: Annotated[float, Field(ge=2, le=1e6)] = 1000.0
    rounds_max: Annotated[int, Field(ge=2, le=30)] = 6
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @property
    def rounds(self) -> int:
        """See `Statistic`."""
        return self.rounds_max

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        parts = {"time": self.time, "event": self.event, "strata": self.strata}
        others = [name for name in parts.values() if name]
        columns_of = chosen(columns, self.columns, "columns", parts)
        check_names(columns, time=self.time, event=self.event, columns=columns_of, strata=self.strata)
        term = CoxStep(
            name="step",
            time=self.time,
            event=self.event,
            columns=columns_of,
            grid_q32=grid_q32(self.grid),
            strata=self.strata,
            ties=self.ties,
            risk_max_q32=to_q32(self.risk_max, "statistic.risk_max"),
        )
        names = [*others, *columns_of]
        parameters = self._parameters(columns, columns_of, 1 + 3 * len(names))
        return spec_of(columns, names, [term], parameters, rows_min, rows_max)

    def start(self, spec: SumsSpec) -> Vector:
        """See `Statistic`."""
        return start_of(spec)

    @refuses_false_sums
    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        """See `Statistic`. Raises DataError for collinear or constant columns, after the first round."""
        opened, point = reached(spec, seen)
        if len(seen) == 1:
            self._check(spec, opened)
        step = point.step
        length = length_of(step)
        if not np.isfinite(length) or stands(point, away_from(spec, seen, point)):
            return None
        return parameters_of(opened, point, point.coefficients + step * min(1.0, _LONGEST / length))

    @refuses_false_sums
    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> CoxResult:
        """See `Statistic`. Warns of events that are not on the grid, and of what did not converge."""
        first = opened_of(spec, seen[0])
        self._check(spec, first)
        if len(seen) < 2:
            raise DataError(
                "statistic.rounds_max", "one round gives no estimate", hint="2 are needed at least"
            )
        return result_of(spec, seen, self.alpha)

    def _check(self, spec: SumsSpec, first: Opened) -> None:
        if first.events.sum() >= 1 and (place := self._alone(first)) is not None:
            problem = f"all events count at {self.grid[place]:g}, where no other row is left to compare with"
            column = number_column(spec.columns, self.time, "time")
            hint = f"give times at which events happen, within {column.low:g} to {column.high:g}"
            raise DataError("grid", problem, hint=hint)
        if first.events.sum() < 1:
            problem = f"no row has an event at or before {self.grid[-1]:g}, the last time of `grid`"
            raise DataError(f"column {self.event!r}", problem, hint="1 is an event, and 0 is censored")
        labels = labels_of(spec.by_name, step_of(spec).columns)
        kept = [place - 1 for place in kept_of(spec, first)[0][1:]]
        if first.events.sum() <= len(kept):
            problem = f"{first.events.sum():.0f} events; {len(kept)} coefficients need more events than that"
            raise DataError("rows", problem, hint="take fewer columns, or more mines")
        check_columns(_with_ones(first, kept), ["(ones)", *(labels[1 + place] for place in kept)])

    def _alone(self, first: Opened) -> int | None:
        """Return the place of the only time with events, if all rows at risk have theirs there."""
        places = np.flatnonzero(first.events) % len(self.grid)
        together = np.abs(first.at_risk[:, 0] - first.events)[first.events > 0]
        return int(places[0]) if len({*places.tolist()}) == 1 and (together < _HALF).all() else None

    def _parameters(self, columns: Sequence[Column], names: Sequence[str], others: int) -> int:
        """Return how many parameters there are. Raises ConfigError if they, or the sums, do not fit."""
        by_name = {column.name: column for column in columns}
        strata = category_column(columns, self.strata, "strata") if self.strata else None
        groups = len(strata.levels) if strata is not None else 1
        width, blocks = width_of(by_name, names), 2 if self.ties == "efron" else 1
        cells = groups * len(self.grid)
        sums, parameters = others + sums_of(cells, width - 1, blocks), width + blocks * cells
        what = f"{len(self.grid)} times, {groups} strata and {width - 1} coefficients need "
        hint = "give fewer times in `grid`, such as weeks for days; or fewer columns; or ties = 'breslow'"
        if sums > MAX_VALUES:
            raise too_many(
                "grid", sums, MAX_VALUES, what + f"{1 + blocks * width} sums a time and stratum", hint
            )
        if parameters > MAX_PARAMETERS:
            raise too_many(
                "grid", parameters, MAX_PARAMETERS, what + f"{blocks} parameters a time and stratum", hint
            )
        return parameters


def _with_ones(first: Opened, kept: Sequence[int]) -> Matrix:
    """Return the first round's matrix of ones and columns, all of equal weights."""
    weights = first.asked[0] @ first.at_risk
    found = np.zeros((1 + len(first.x), 1 + len(first.x)))
    found[0], found[:, 0], found[1:, 1:] = weights, weights, first.summed
    places = [0, *(1 + place for place in kept)]
    return found[np.ix_(places, places)]
