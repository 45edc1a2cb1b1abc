"""A histogram of a column in one round, by group if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import category_column, number_column, outside, used
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Table
from pysonar.statistics.single.bins import edges_of
from sonar.data.schema import Column
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.histogram import Histogram
from sonar.families.sums.terms.outside import Outside
from sonar.protocol.record import Name

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HistogramResult(Report):
    """`counts` float64[groups, bins] between `edges` [bins + 1]; `groups` is ("",) without groups."""

    column: str
    groups: tuple[str, ...]
    edges: Vector
    counts: Matrix
    by: str | None = None
    unit: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What this is."""
        by = f" by {self.by}" if self.by else ""
        return f"Histogram of {self.column}{by}" + (f", {self.unit}" if self.unit else "")

    @property
    def density(self) -> Matrix:
        """What the counts are as densities, float64[groups, bins]: their areas add up to 1 in each group."""
        totals = np.maximum(self.counts.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(self.counts / totals / np.diff(self.edges))

    def plot(self, ax: Any = None) -> Any:
        """Draw it on matplotlib's axes, and return them. Raises ClientMissing."""
        return plots.histogram(
            self.edges, self.counts, self.groups, column=self.column, unit=self.unit, by=self.by or "", ax=ax
        )

    @property
    def tables(self) -> Sequence[Table]:
        """A row for each bin."""
        names = [f"{low:.4g} to {high:.4g}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        cells = zip(names, self.counts.T, strict=True)
        rows = tuple((name, tuple(round(float(count)) for count in counts)) for name, counts in cells)
        return (Table(self.groups if self.by else ("rows",), rows, self.column),)


class AskHistogram(Statistic):
    """How many rows have `column` in each of `bins` bins of equal width, by the levels of `by`."""

    kind: Literal["histogram"] = "histogram"
    column: Name
    bins: Annotated[int, Field(ge=2, le=1024)] = 20
    by: Name | None = None

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        number_column(columns, self.column, "column")
        names = [self.column] if self.by is None else [self.column, self.by]
        if self.by is not None:
            category_column(columns, self.by, "by")
        terms = (
            Histogram(name="histogram", column=self.column, bins=self.bins, by=self.by),
            Outside(name="outside", columns=tuple(names)),
        )
        if self.column == self.by:
            raise ConfigError("statistic.by", f"is the column {self.by!r} itself")
        return SumsSpec(columns=used(columns, names), terms=terms, rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> HistogramResult:
        """See `Statistic`."""
        column = number_column(spec.columns, self.column, "column")
        groups = ("",) if self.by is None else category_column(spec.columns, self.by, "by").levels
        counts = np.round(seen[-1].totals["histogram"])
        told = outside(spec, seen[-1].totals)
        return HistogramResult(
            self.column, groups, edges_of(column, self.bins), counts, self.by, column.unit, told
        )
