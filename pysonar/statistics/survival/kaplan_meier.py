"""Kaplan-Meier curves in one round, by group, and the log-rank test between groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import category_column, level_of_one, outside, told_as_one
from pysonar.statistics.fits.asking import check_names, spec_of
from pysonar.statistics.fits.plot import COLOURS, Axes, axes_of
from pysonar.statistics.fits.sound import false_sums, refuses_false_sums
from pysonar.statistics.fits.warning import BoundsWarning, StatisticWarning, Told, warn_of
from pysonar.statistics.shown.report import Report, none_such, plain
from pysonar.statistics.shown.table import Cell, Table
from pysonar.statistics.survival.curves import Curve, LogRankTest, log_rank
from pysonar.statistics.survival.grid import GridTimes, grid_q32, grid_warnings, too_many
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.steps.at_risk import AtRisk
from sonar.paillier.slots import MAX_VALUES

COUNTS = "at-risk"
_SHOWN_TIMES = 12
ALL = "all"


class _ByTime(Statistic):
    """Counts at the times of `grid`: rows whose `time` ended with an `event` (1) or without (0), `by` group.

    With a grid that holds every time of an event, results are those of the pooled rows exactly. An event
    between two grid times counts at the later one, and it is said how many do. Of an `event` of two
    categories the second level is one (of `columns_of`: by the alphabet); the summary names it.
    """

    time: str
    event: str
    grid: GridTimes
    by: str | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        check_names(columns, time=self.time, event=self.event, by=self.by)
        term = AtRisk(name=COUNTS, time=self.time, event=self.event, grid_q32=grid_q32(self.grid), by=self.by)
        names = [name for name in (self.time, self.event, self.by) if name]
        groups = len(category_column(columns, self.by, "by").levels) if self.by else 1
        needed = 1 + groups * (2 * len(self.grid) + 4) + 3 * len(names)
        if needed > MAX_VALUES:
            what = f"{len(self.grid)} times and {groups} groups need 2 sums each"
            raise too_many("grid", needed, MAX_VALUES, what, "take fewer times, or groups")
        return spec_of(columns, names, [term], 0, rows_min, rows_max)

    def curves_of(self, spec: SumsSpec, seen: Sequence[Seen]) -> tuple[list[Curve], tuple[str, ...]]:
        """Return the curve of each group that has rows, and warnings. Raises DataError without an event."""
        counts, times = seen[0].totals[COUNTS], len(self.grid)
        column = spec.by_name[self.by] if self.by else None
        groups = column.levels if isinstance(column, CategoryColumn) else (ALL,)
        curves = [
            self._curve(group, line[: 2 * times + 2]) for group, line in zip(groups, counts, strict=True)
        ]
        if sum(curve.events.sum() for curve in curves) < 0.5:
            problem = f"no row has an event at or before {self.grid[-1]:g}, the last time of `grid`"
            raise DataError(f"column {self.event!r}", problem, hint="1 is an event, and 0 is censored")
        told = grid_warnings(self.event, counts[:, -2].sum(), counts[:, -1].sum(), self.grid[-1])
        told += [Told(BoundsWarning, text) for text in outside(spec, seen[0].totals)]
        empty = [curve.group for curve in curves if curve.rows == 0]
        told += [Told(StatisticWarning, f"no row has level {one!r} of column {self.by!r}") for one in empty]
        warn_of(told)
        return [curve for curve in curves if curve.rows], tuple(one.text for one in told)

    def _curve(self, group: str, line: np.ndarray[Any, np.dtype[np.float64]]) -> Curve:
        times = len(self.grid)
        events, ended = np.rint(line[:times]), np.rint(line[times + 1 :])
        at_risk = events[::-1].cumsum()[::-1] + ended[1:][::-1].cumsum()[::-1]
        if (events < 0).any() or (ended < 0).any():
            raise false_sums("a count below none")
        rows = round(float(events.sum() + ended.sum()))
        return Curve(group, np.array(self.grid), events, at_risk, rows, self.alpha)


class KaplanMeier(_ByTime):
    """Kaplan-Meier curves with intervals and medians, by group; and between groups the log-rank test."""

    kind: Literal["kaplan-meier"] = "kaplan-meier"

    @refuses_false_sums
    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> KaplanMeierResult:
        """See `Statistic`. Warns of events that are not on the grid."""
        curves, warnings = self.curves_of(spec, seen)
        test = log_rank(curves) if len(curves) > 1 else None
        unit = getattr(spec.by_name[self.time], "unit", "")
        level, mines = level_of_one(spec.by_name[self.event]), seen[0].mines
        return KaplanMeierResult(self.time, self.event, unit, tuple(curves), test, mines, warnings, level)


class LogRank(_ByTime):
    """The log-rank test: whether the groups of `by` have the same survival, all together and in pairs."""

    kind: Literal["log-rank"] = "log-rank"
    by: str

    @refuses_false_sums
    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> LogRankResult:
        """See `Statistic`. Raises DataError if fewer than two groups have rows."""
        curves, warnings = self.curves_of(spec, seen)
        if len(curves) < 2:
            raise DataError(
                f"column {self.by!r}",
                "fewer than two groups have rows; a test compares them",
                hint="name another column in `by`",
            )
        pairs = tuple(log_rank(list(pair)) for pair in itertools.combinations(curves, 2))
        events = {curve.group: round(float(curve.events.sum())) for curve in curves}
        level = level_of_one(spec.by_name[self.event])
        return LogRankResult(self.event, self.by, log_rank(curves), pairs, events, warnings, level)


@dataclass(frozen=True, eq=False)
class KaplanMeierResult(Report):
    """Curves by group (`curves`), and between several the `log_rank` test.

    `event_level`: the level that is an event in a column of two categories, None of numbers.
    """

    time: str
    event: str
    unit: str
    curves: tuple[Curve, ...]
    log_rank: LogRankTest | None
    mines: int
    warnings: tuple[str, ...] = field(default=())
    event_level: str | None = None

    @property
    def title(self) -> str:
        """See `Report`."""
        return f"Kaplan-Meier estimate of {self.time} until {told_as_one(self.event, self.event_level)}"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """See `Report`."""
        found: list[tuple[str, Cell]] = [
            ("Mines", self.mines),
            ("Rows", sum(one.rows for one in self.curves)),
        ]
        found.append(("Events", round(float(sum(one.events.sum() for one in self.curves)))))
        if self.log_rank is not None:
            found += [("Log-rank chi2", self.log_rank.chi2), ("Log-rank p-value", f"{self.log_rank.p:.4g}")]
        return found

    @property
    def tables(self) -> Sequence[Table]:
        """See `Report`: a line for each group, then each curve at some of its times."""
        return (self._medians(), *(_at_times(curve) for curve in self.curves))

    def curve(self, group: str = ALL) -> Curve:
        """Return a group's curve. Raises ArgumentError for a group that is not there."""
        curves = {curve.group: curve for curve in self.curves}
        if group not in curves:
            raise none_such("curve", group, curves)
        return curves[group]

    def to_dict(self) -> dict[str, Any]:
        """See `Report`."""
        curves = {
            curve.group: {
                "rows": curve.rows,
                "times": curve.times,
                "events": curve.events,
                "at_risk": curve.at_risk,
                "survival": curve.survival,
                "interval": curve.interval,
                "median": curve.median,
                "median_interval": curve.median_interval,
            }
            for curve in self.curves
        }
        test = self.log_rank and {"chi2": self.log_rank.chi2, "df": self.log_rank.df, "p": self.log_rank.p}
        return {**super().to_dict(), "curves": plain(curves), "log_rank": test}

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the curves with their intervals, on matplotlib's axes. Raises ClientMissing."""
        found = axes_of(axes)
        for place, curve in enumerate(self.curves):
            colour = COLOURS[place % len(COLOURS)]
            times = np.concatenate([[0], curve.times])
            found.step(
                times, np.concatenate([[1], curve.survival]), where="post", color=colour, label=curve.group
            )
            low, high = np.concatenate([[[1, 1]], curve.interval]).T
            found.fill_between(times, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        found.set_ylim(0, 1.02)
        found.set_xlim(0, None)
        found.set_xlabel(self.time + (f" ({self.unit})" if self.unit not in ("", self.time) else ""))
        found.set_ylabel(f"share without {told_as_one(self.event, self.event_level)}")
        found.spines[["top", "right"]].set_visible(False)
        if len(self.curves) > 1:
            found.legend(frameon=False)
        return found

    def _medians(self) -> Table:
        level = f"{1 - self.curves[0].alpha:.0%}"
        rows = [
            (
                curve.group,
                (curve.rows, round(float(curve.events.sum())), curve.median, *curve.median_interval),
            )
            for curve in self.curves
        ]
        return Table(("rows", "events", "median", f"low {level}", f"high {level}"), tuple(rows), "group")


@dataclass(frozen=True, eq=False)
class LogRankResult(Report):
    """The test of all groups (`overall`), and of each pair (`pairs`). `events` by group.

    `event_level`: the level that is an event in a column of two categories, None of numbers.
    """

    event: str
    by: str
    overall: LogRankTest
    pairs: tuple[LogRankTest, ...]
    events: dict[str, int]
    warnings: tuple[str, ...] = field(default=())
    event_level: str | None = None

    @property
    def title(self) -> str:
        """See `Report`."""
        return f"Log-rank test of {told_as_one(self.event, self.event_level)} by {self.by}"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """See `Report`."""
        return [(f"Events of {group}", count) for group, count in self.events.items()]

    @property
    def tables(self) -> Sequence[Table]:
        """See `Report`."""
        tests = [("all groups", self.overall)]
        tests += [(" and ".join(test.groups), test) for test in self.pairs if len(self.events) > 2]
        rows = tuple((name, (test.chi2, test.df, test.p)) for name, test in tests)
        return (Table(("chi2", "df", "P>chi2"), rows, "groups"),)

    def to_dict(self) -> dict[str, Any]:
        """See `Report`."""
        tests = [self.overall, *self.pairs]
        told = [{"groups": test.groups, "chi2": test.chi2, "df": test.df, "p": test.p} for test in tests]
        return {**super().to_dict(), "overall": plain(told[0]), "pairs": plain(told[1:])}


def _at_times(curve: Curve) -> Table:
    """Return a curve at no more times than a reader wants."""
    eventful = np.flatnonzero(curve.events > 0)
    every = max(1, -(-len(eventful) // _SHOWN_TIMES))
    places = sorted({*eventful[::every].tolist(), *eventful[-1:].tolist()})
    level = f"{1 - curve.alpha:.0%}"
    rows = tuple(
        (
            f"{curve.times[place]:g}",
            (
                round(float(curve.at_risk[place])),
                round(float(curve.events[place])),
                float(curve.survival[place]),
                *curve.interval[place].tolist(),
            ),
        )
        for place in places
    )
    name = "time" if curve.group == ALL else f"time, {curve.group}"
    return Table(("at risk", "events", "survival", f"low {level}", f"high {level}"), rows, name)
