"""Means of groups compared in one round: analysis of variance, and Welch's t for each two groups.

Source: B. L. Welch, "The generalization of Student's problem when several different population variances are
involved", Biometrika 34 (1947); S. Holm, "A simple sequentially rejective multiple test procedure",
Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan, sqrt
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.chances import f_p_value, t_p_values, t_quantile
from pysonar.statistics.columns import category_column, number_column, outside, used
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from pysonar.statistics.single.powers import Shape, shape_of
from sonar.data.schema import Column
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.powers import Powers
from sonar.protocol.record import Name
from sonar.telling.text import count


@dataclass(frozen=True)
class GroupMean:
    """A group's mean with its deviation, and an interval by its own deviation (NaN for one row)."""

    group: str
    count: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The mean of `group` less that of `other`: Welch's t, p, an interval; `p_holm` allows for all pairs."""

    group: str
    other: str
    difference: float
    t: float
    df: float
    p: float
    p_holm: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class AnovaResult(Report):
    """One-way analysis of variance: `fvalue` and `pvalue` that all means are equal, as scipy's `f_oneway`."""

    column: str
    by: str
    groups: tuple[GroupMean, ...]
    differences: tuple[Difference, ...]
    fvalue: float
    pvalue: float
    df_between: int
    df_within: int
    eta_squared: float
    alpha: float
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What this is."""
        return f"Means of {self.column} by {self.by}"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """The test that all means are equal."""
        return (
            ("F-statistic", self.fvalue),
            ("Df", f"{self.df_between}, {self.df_within}"),
            ("Prob (F-statistic)", f"{self.pvalue:.3g}"),
            ("Eta squared", self.eta_squared),
        )

    @property
    def tables(self) -> Sequence[Table]:
        """The groups, then each two of them."""
        ends = (f"[{self.alpha / 2:.3g}", f"{1 - self.alpha / 2:.3g}]")
        groups = tuple((g.group, (g.count, g.mean, g.std, g.low, g.high)) for g in self.groups)
        pairs = tuple(
            (f"{d.group} - {d.other}", (d.difference, d.t, d.df, d.p, d.p_holm, d.low, d.high))
            for d in self.differences
        )
        first = Table(("count", "mean", "std", *ends), groups, self.by)
        return first, Table(("difference", "t", "df", "P>|t|", "P> (Holm)", *ends), pairs, "pair")

    def plot(self, ax: Any = None) -> Any:
        """Draw the groups' means with their intervals on axes, and return them. Raises ClientMissing."""
        values = [np.array([getattr(g, name) for g in self.groups]) for name in ("mean", "low", "high")]
        names = [g.group for g in self.groups]
        return plots.intervals(
            names, *values, label=f"mean of {self.column}", title=self.title, zero=None, ax=ax
        )


class Anova(Statistic):
    """Whether the means of `column` differ between the levels of `by`, in all and for each two of them.

    Rows count that have both. With two groups, the pair is Welch's t test. Intervals are of 1 - `alpha`.
    """

    kind: Literal["anova"] = "anova"
    column: Name
    by: Name
    alpha: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        number_column(columns, self.column, "column")
        category_column(columns, self.by, "by")
        terms = (
            Powers(name="powers", column=self.column, by=self.by),
            Outside(name="outside", columns=(self.column, self.by)),
        )
        declared = used(columns, (self.column, self.by))
        return SumsSpec(columns=declared, terms=terms, rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> AnovaResult:
        """See `Statistic`."""
        found = seen[-1].totals
        column = number_column(spec.columns, self.column, "column")
        levels = category_column(spec.columns, self.by, "by").levels
        shapes = {name: shape_of(column, sums) for name, sums in zip(levels, found["powers"], strict=True)}
        empty = [name for name, shape in shapes.items() if not shape.count]
        there = {name: shape for name, shape in shapes.items() if shape.count}
        rows = sum(shape.count for shape in there.values())
        if len(there) < 2 or rows <= len(there):
            had = f"{count(rows, 'row')} in {count(len(there), 'group')}"
            problem = f"{had}; two groups and a row more are the least"
            raise DataError("rows", problem, hint="wait for more mines")
        told = [f"No row has the level {', '.join(map(repr, empty))} of {self.by!r}."] if empty else []
        mean = sum(shape.count * shape.mean for shape in there.values()) / rows
        between = sum(shape.count * (shape.mean - mean) ** 2 for shape in there.values())
        within = sum(shape.squares for shape in there.values())
        df = len(there) - 1, rows - len(there)
        fvalue = between / df[0] / (within / df[1]) if within > 0 else nan
        return AnovaResult(
            column=self.column,
            by=self.by,
            groups=tuple(self._group(name, shape) for name, shape in there.items()),
            differences=self._differences(there),
            fvalue=fvalue,
            pvalue=f_p_value(fvalue, *df),
            df_between=df[0],
            df_within=df[1],
            eta_squared=between / (between + within) if between + within > 0 else nan,
            alpha=self.alpha,
            warnings=(*outside(spec, found), *told),
        )

    def _group(self, name: str, shape: Shape) -> GroupMean:
        if shape.count < 2:
            return GroupMean(name, shape.count, shape.mean, nan, nan, nan)
        half = t_quantile(1 - self.alpha / 2, shape.count - 1) * shape.std / sqrt(shape.count)
        return GroupMean(name, shape.count, shape.mean, shape.std, shape.mean - half, shape.mean + half)

    def _differences(self, shapes: dict[str, Shape]) -> tuple[Difference, ...]:
        """Return each two groups with Welch's test, and p-values after Holm."""
        pairs = [(one, other, *_welch(shapes[one], shapes[other])) for one, other in combinations(shapes, 2)]
        p = np.array([float(t_p_values(np.array(t), df)) if df > 0 else nan for *_, t, df, _ in pairs])
        adjusted = holm(p)
        found = []
        for (one, other, difference, t, df, error), each, holms in zip(
            pairs, p.tolist(), adjusted, strict=True
        ):
            half = t_quantile(1 - self.alpha / 2, df) * error if df > 0 else nan
            ends = difference - half, difference + half
            found.append(Difference(one, other, difference, t, df, each, holms, *ends))
        return tuple(found)


def _welch(one: Shape, other: Shape) -> tuple[float, float, float, float]:
    """Return the difference of two means, Welch's t, its degrees of freedom, and the standard error."""
    difference = one.mean - other.mean
    if min(one.count, other.count) < 2:
        return difference, nan, nan, nan
    a, b = one.std**2 / one.count, other.std**2 / other.count
    if a + b <= 0:
        return difference, nan, nan, nan
    df = (a + b) ** 2 / (a**2 / (one.count - 1) + b**2 / (other.count - 1))
    return difference, difference / sqrt(a + b), df, sqrt(a + b)


def holm(p: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Return p-values that allow for how many there are: Holm's, step by step from the smallest."""
    found, last = [nan] * len(p), 0.0
    order = [place for place in np.argsort(p).tolist() if not np.isnan(p[place])]
    for rank, place in enumerate(order):
        last = max(last, min(1.0, (len(order) - rank) * float(p[place])))
        found[place] = last
    return found
