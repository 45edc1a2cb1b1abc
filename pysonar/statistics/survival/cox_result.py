"""What a Cox regression found: a table as lifelines prints it, its numbers, and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.chances import chi2_p_value
from pysonar.statistics.columns import level_of_one, outside, told_as_one
from pysonar.statistics.fits.estimates import Estimates
from pysonar.statistics.fits.newton import Optimum, inverse, optimum_of
from pysonar.statistics.fits.plot import Axes, forest
from pysonar.statistics.fits.wald import Coefficients, own_units
from pysonar.statistics.fits.warning import (
    BoundsWarning,
    ConvergenceWarning,
    PerfectSeparationWarning,
    StatisticWarning,
    Told,
    warn_of,
)
from pysonar.statistics.fitted import design
from pysonar.statistics.shown.report import plain
from pysonar.statistics.shown.table import Cell, Table, p_value
from pysonar.statistics.survival.grid import grid_warnings
from pysonar.statistics.survival.partial import (
    Opened,
    away_from,
    kept_of,
    opened_of,
    point_of,
    reached,
    step_of,
)
from sonar.data.fixed import floats, from_q32
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import UsageError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of
from sonar.families.sums.terms.steps.cox_step import CoxStep

Vector = NDArray[np.float64]
ALL = "all"
_NO_END = 0.5  # a last step as long as this: the likelihood rises without end
_NARROW = 1e-3  # a deviation, in half ranges


@dataclass(frozen=True, eq=False)
class Baseline:
    """The hazard of a row with mean columns, at the times of the grid, by Breslow; float64[times] each."""

    stratum: str
    times: Vector
    hazard: Vector

    @cached_property
    def cumulative(self) -> Vector:
        """The hazard up to each time."""
        return np.cumsum(self.hazard)

    @cached_property
    def survival(self) -> Vector:
        """The share without an event."""
        return np.exp(-self.cumulative)


@dataclass(frozen=True, eq=False)
class CoxResult(Estimates):
    """Coefficients with their errors (`coefficients`), and a `baseline` for each stratum.

    `means`: the pooled means of the columns that coefficients are of, float64[p]. `event_level`: the level
    that is an event in a column of two categories, None of numbers.
    """

    time: str
    event: str
    ties: str
    coefficients: Coefficients
    means: Vector
    baseline: tuple[Baseline, ...]
    log_likelihood: float
    null_log_likelihood: float
    rows: int
    events: int
    mines: int
    rounds: int
    converged: bool
    columns: tuple[Column, ...]
    warnings: tuple[str, ...] = ()
    event_level: str | None = None

    @property
    def title(self) -> str:
        """See `Report`."""
        return f"Cox proportional hazards of {self.event} in {self.time}"

    @property
    def aic(self) -> float:
        """Akaike's information criterion of the partial likelihood."""
        return -2 * self.log_likelihood + 2 * len(self.coefficients.labels)

    @property
    def likelihood_ratio(self) -> tuple[float, float]:
        """The likelihood ratio's chi-squared against no coefficients, and its p-value."""
        chi2 = max(2 * (self.log_likelihood - self.null_log_likelihood), 0.0)
        return chi2, chi2_p_value(chi2, len(self.coefficients.labels))

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """See `Report`."""
        chi2, p = self.likelihood_ratio
        return [
            ("Duration", self.time),
            ("Event", told_as_one(self.event, self.event_level)),
            ("Ties", self.ties),
            ("Strata", len(self.baseline)),
            ("Mines", self.mines),
            ("Rounds", f"{self.rounds}" + ("" if self.converged else " (not converged)")),
            ("Observations", self.rows),
            ("Events observed", self.events),
            ("Partial log-likelihood", self.log_likelihood),
            ("Partial AIC", self.aic),
            ("LLR chi2", chi2),
            ("LLR p-value", p_value(p)),
        ]

    @property
    def tables(self) -> Sequence[Table]:
        """See `Report`: coefficients, and hazard ratios."""
        return self.coefficients.tables("hazard ratio")

    def to_dict(self) -> dict[str, Any]:
        """See `Report`."""
        chi2, p = self.likelihood_ratio
        found = super().to_dict()
        del found["columns"]
        labels, means = self.coefficients.labels, self.means.tolist()
        whole = {
            **found,
            "coefficients": self.coefficients.to_dict(),
            "means": dict(zip(labels, means, strict=True)),
            "baseline": {one.stratum: plain(_hazards(one)) for one in self.baseline},
            "aic": self.aic,
            "likelihood_ratio": {"chi2": chi2, "p": p, "df": len(labels)},
        }
        return {name: plain(value) for name, value in whole.items()}

    def log_hazard(self, table: Any) -> Vector:
        """Return the logarithm of rows' hazards over that of a row with mean columns, float64[rows].

        `table`: a data frame, or columns by name. Raises DataError for columns that are missing or unfit.
        """
        x = design(self.columns, self.coefficients.labels, table) - self.means
        return np.asarray(x @ self.coefficients.estimates)

    def survival(self, table: Any, stratum: str = ALL) -> NDArray[np.float64]:
        """Return the survival of rows, float64[rows, times]. `table`: a data frame, or columns by name.

        Raises DataError for columns that are missing or cannot be meant, UsageError for another stratum.
        """
        by_name = {one.stratum: one for one in self.baseline}
        if stratum not in by_name:
            raise UsageError(f"stratum: {stratum!r} is none of {', '.join(by_name)}", hint="name one of them")
        risk = np.exp(self.log_hazard(table))
        return np.asarray(by_name[stratum].survival[None, :] ** risk[:, None])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the hazard ratios with their intervals, on matplotlib's axes. Raises ClientMissing."""
        some = self.coefficients
        return forest(
            some.labels, some.ratios, some.ratio_intervals, "hazard ratio (for one unit more)", axes
        )


def result_of(spec: SumsSpec, seen: Sequence[Seen], alpha: float) -> CoxResult:
    """Return the result of the rounds seen."""
    asked, first = step_of(spec), opened_of(spec, seen[0])
    last, point = reached(spec, seen)
    optimum = optimum_of(point, away_from(spec, seen, point))
    places, empty = kept_of(spec, first)
    kept = [place - 1 for place in places[1:]]
    labels = labels_of(spec.by_name, asked.columns)[1:]
    own = own_units(spec.columns, asked.columns)
    centred = np.linalg.inv(own.T)  # from a design row to one in the columns' units
    means = (centred @ np.concatenate([[1.0], last.x / last.rows]))[1:]
    own = own[1:, 1:]
    told = _told(asked, spec, first, optimum, labels)
    told += [Told(StatisticWarning, text) for text in empty]
    told += grid_warnings(asked.event, last.sums["off_grid"], last.sums["late"], from_q32(asked.grid_q32[-1]))
    told += [Told(BoundsWarning, text) for text in outside(spec, seen[0].totals)]
    told += _clipped(last)
    warn_of(told)
    return CoxResult(
        time=asked.time,
        event=asked.event,
        ties=asked.ties,
        coefficients=Coefficients(
            tuple(labels[place] for place in kept),
            (own @ optimum.coefficients)[kept],
            (own @ inverse(optimum.point.information) @ own.T)[np.ix_(kept, kept)],
            alpha,
        ),
        means=means[kept],
        baseline=_baselines(asked, spec, last, optimum),
        log_likelihood=optimum.value,
        null_log_likelihood=point_of(first, True).value,
        rows=last.rows,
        events=round(float(last.events.sum())),
        mines=seen[-1].mines,
        rounds=len(seen),
        converged=optimum.converged,
        columns=tuple(column for column in spec.columns if column.name in asked.columns),
        warnings=tuple(one.text for one in told),
        event_level=level_of_one(spec.by_name[asked.event]),
    )


def _baselines(asked: CoxStep, spec: SumsSpec, last: Opened, optimum: Optimum) -> tuple[Baseline, ...]:
    """Return Breslow's estimate for each stratum, of a row whose columns are the pooled means."""
    way = optimum.coefficients - last.coefficients
    risks = np.maximum(last.at_risk[:, 0], 1e-12)
    risks = risks * np.exp(last.at_risk[:, 1:] / risks[:, None] @ way)
    mean = float(last.x @ optimum.coefficients) / last.rows - last.centre
    hazard = (last.events / risks * np.exp(mean)).reshape(last.strata, -1)
    column = spec.by_name[asked.strata] if asked.strata else None
    names = column.levels if isinstance(column, CategoryColumn) else (ALL,)
    return tuple(
        Baseline(name, floats(asked.grid_q32), line) for name, line in zip(names, hazard, strict=True)
    )


def _told(
    asked: CoxStep, spec: SumsSpec, first: Opened, optimum: Optimum, labels: Sequence[str]
) -> list[Told]:
    """Return what is said of estimates that are not finite, or not reached."""
    told, place = list[Told](), 0
    for name in asked.columns:
        column = spec.by_name[name]
        count = len(column.levels) - 1 if isinstance(column, CategoryColumn) else 1
        if isinstance(column, CategoryColumn):
            own = slice(place, place + count)
            events = [first.events.sum() - first.events_x[own].sum(), *first.events_x[own]]
            rows = [first.rows - first.x[own].sum(), *first.x[own]]
            told += [
                Told(PerfectSeparationWarning, _no_event(asked.event, name, level))
                for level, died, there in zip(column.levels, events, rows, strict=True)
                if there > 0.5 > died
            ]
        place += count
    if told or optimum.converged:
        return told
    worst = labels[int(np.abs(optimum.point.step).argmax())]
    spread = np.diagonal(point_of(first, True).information) / max(float(first.events.sum()), 1.0)
    if 0 < spread[labels.index(worst)] < _NARROW**2:
        text = f"the bounds of column {worst!r} are over 1,000 times as wide as its values are apart"
        return [Told(BoundsWarning, f"{text}: no estimate was found; narrow them")]
    if optimum.length > _NO_END:
        text = (
            f"column {worst!r} may order all events (a complete separation): its estimate grows without end"
        )
        return [Told(PerfectSeparationWarning, text)]
    text = f"not converged: the last step would move {worst!r} most; raise `rounds_max` of [statistic]"
    return [Told(ConvergenceWarning, text)]


def _no_event(event: str, name: str, level: str) -> str:
    return (
        f"no row with level {level!r} of column {name!r} has {event!r} (a complete separation): the "
        "estimates of that column are not finite"
    )


def _clipped(last: Opened) -> list[Told]:
    count = round(last.sums["clipped"])
    text = f"{count} rows have a risk above `risk_max`, and count with that; give a larger one in [statistic]"
    return [Told(BoundsWarning, text)] if count else []


def _hazards(one: Baseline) -> dict[str, Vector]:
    return {
        "times": one.times,
        "hazard": one.hazard,
        "cumulative": one.cumulative,
        "survival": one.survival,
    }
