"""Quantiles of a column, closer with each round: bins within the bin that holds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import number_column, outside
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Column, NumberColumn
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.brackets import Brackets, edges_in
from sonar.families.sums.terms.outside import Outside
from sonar.protocol.record import Name

Vector = NDArray[np.float64]
LEAST_IN_BIN = 10
"""A bin with fewer rows is not looked into."""
Share = Annotated[float, Field(ge=0.01, le=0.99, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class QuantilesResult(Report):
    """`values`, each within `low` and `high`, [shares]: the k-th of n values, k = share (n - 1), rounded."""

    column: str
    shares: tuple[float, ...]
    values: Vector
    low: Vector
    high: Vector
    nobs: int
    rounds: int
    unit: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What this is."""
        return f"Quantiles of {self.column}" + (f", {self.unit}" if self.unit else "")

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """How many rows there are."""
        return (("No. Observations", self.nobs), ("Rounds", self.rounds))

    @property
    def tables(self) -> Sequence[Table]:
        """A row for each share."""
        cells = zip(self.values, self.low, self.high, strict=True)
        rows = ((f"{share:g}", tuple(map(float, row))) for share, row in zip(self.shares, cells, strict=True))
        return (Table(("value", "not below", "not above"), tuple(rows), "share"),)


class Quantiles(Statistic):
    """Where each of `shares` of the values of `column` lies below, in at most `steps` rounds.

    Each round divides by `bins` what a quantile may be off, down to a millionth of the distance of the
    column's bounds. A bin with fewer than 10 rows is not looked into. The bins of later rounds are visible to
    all, and so is about where a quantile lies.
    """

    kind: Literal["quantiles"] = "quantiles"
    column: Name
    shares: Annotated[tuple[Share, ...], Field(strict=False, min_length=1, max_length=99)] = (0.25, 0.5, 0.75)
    bins: Annotated[int, Field(ge=2, le=1024)] = 32
    steps: Annotated[int, Field(ge=1, le=10)] = 3

    @property
    def rounds(self) -> int:
        """The most rounds that it takes."""
        return self.steps

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        column = number_column(columns, self.column, "column")
        brackets = Brackets(name="brackets", column=self.column, brackets=len(self.shares), bins=self.bins)
        return SumsSpec(
            columns=(column,),
            terms=(brackets, Outside(name="outside", columns=(self.column,))),
            parameters=2 * len(self.shares),
            rows_min=rows_min,
            rows_max=rows_max,
        )

    def start(self, spec: SumsSpec) -> Vector:
        """See `Statistic`: the column's bounds."""
        column = number_column(spec.columns, self.column, "column")
        return np.tile([column.low, column.high], len(self.shares))

    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        """See `Statistic`: the bins that hold the quantiles; None if none can be divided."""
        column = number_column(spec.columns, self.column, "column")
        asked = seen[-1].parameters.reshape(-1, 2)
        found = self._bins(column, seen[-1])
        divided = np.array(
            [
                [low, high] if rows >= LEAST_IN_BIN else old
                for (low, high, rows), old in zip(found, asked, strict=True)
            ]
        )
        narrower = [
            np.ptp(edges_in(column, self.bins, *bracket)) < 0.75 * np.ptp(edges_in(column, self.bins, *old))
            for bracket, old in zip(divided.tolist(), asked.tolist(), strict=True)
        ]
        return divided.ravel() if any(narrower) else None

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> QuantilesResult:
        """See `Statistic`."""
        column = number_column(spec.columns, self.column, "column")
        nobs = round(float(seen[-1].totals["brackets"][0].sum()))
        if nobs < 1:
            raise DataError(f"column {self.column!r}", "no row has a value", hint="wait for more mines")
        low, high, _ = np.array(self._bins(column, seen[-1])).T
        told = outside(spec, seen[-1].totals)
        return QuantilesResult(
            self.column, self.shares, (low + high) / 2, low, high, nobs, len(seen), column.unit, told
        )

    def _bins(self, column: NumberColumn, seen: Seen) -> list[tuple[float, float, int]]:
        """Return the ends of the bin that holds each quantile, and its rows."""
        found = []
        brackets = zip(
            self.shares, seen.parameters.reshape(-1, 2).tolist(), seen.totals["brackets"], strict=True
        )
        for share, (low, high), counts in brackets:
            edges = edges_in(column, self.bins, low, high)
            place = round(share * (float(counts.sum()) - 1))
            bin_ = int(np.searchsorted(np.cumsum(counts) - 0.5, place + 0.5, side="left")) - 1
            bin_ = min(max(bin_, 0), self.bins - 1)
            found.append((float(edges[bin_]), float(edges[bin_ + 1]), round(float(counts[bin_ + 1]))))
        return found
