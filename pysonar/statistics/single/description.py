"""What a description of columns finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report, none_such
from pysonar.statistics.shown.table import Cell, Table

Vector = NDArray[np.float64]
_DRAWN = 24
"""So many bins with values are drawn at most, neighbours put together."""


@dataclass(frozen=True, eq=False)
class NumberSummary:
    """A column of numbers, of one `group` ("" if there are none), in its unit.

    `min` and `max` are edges of bins: no value is beyond them. `quantiles` are off by
    `bin_width` at most from the row nearest to place share (n - 1), which is numpy's method="nearest".
    """

    column: str
    group: str
    count: int
    missing: int
    mean: float
    std: float
    min: float
    max: float
    quantiles: dict[float, float]
    bin_width: float
    skewness: float
    kurtosis: float
    edges: Vector
    counts: Vector
    unit: str = ""


@dataclass(frozen=True)
class LevelCounts:
    """A column of categories, of one `group`: how many rows have each level."""

    column: str
    group: str
    missing: int
    counts: dict[str, int]


@dataclass(frozen=True, eq=False)
class Description(Report):
    """Columns by themselves: `numbers` and `levels`, for each level of `by` in turn if there is one."""

    by: str | None
    rows: int
    numbers: tuple[NumberSummary, ...]
    levels: tuple[LevelCounts, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """What this is."""
        return f"Description of {self.rows} rows" + (f" by {self.by}" if self.by else "")

    @property
    def tables(self) -> Sequence[Table]:
        """Columns of numbers, then each column of categories."""
        found = [self._numbers()] if self.numbers else []
        return [
            *found,
            *(self._levels(column) for column in dict.fromkeys(each.column for each in self.levels)),
        ]

    @property
    def notes(self) -> Sequence[str]:
        """What stands below the tables."""
        if not self.numbers:
            return super().notes
        text = (
            "min, max and quantiles come from bins: no value is beyond min and max, and a quantile is off by "
            "the column's ± at most from the row nearest to its place (numpy's method 'nearest')."
        )
        return [text, *super().notes]

    def __getitem__(self, column: str) -> NumberSummary:
        """Return a column of numbers, of the first group that it has. Raises ArgumentError."""
        for each in self.numbers:
            if each.column == column:
                return each
        raise none_such("column of numbers", column, dict.fromkeys(each.column for each in self.numbers))

    def plot(self, column: str, ax: Any = None) -> Any:
        """Draw a column's histogram, of each group, on axes, and return them.

        Raises ArgumentError for a column without numbers, ClientMissing.
        """
        first, own = self[column], [each for each in self.numbers if each.column == column]
        counts = np.stack([each.counts for each in own])
        factor = 1
        while (counts > 0).any(axis=0).sum() > _DRAWN * factor and counts.shape[1] % (2 * factor) == 0:
            factor *= 2
        return plots.histogram(
            first.edges[::factor],
            counts.reshape(len(own), -1, factor).sum(axis=2),
            [each.group for each in own],
            column=column,
            unit=first.unit,
            by=self.by or "",
            ax=ax,
        )

    def _numbers(self) -> Table:
        shares = [f"{share:.4g}".removeprefix("0.") for share in self.numbers[0].quantiles]
        quantiles = [f"{float(f'0.{share}'):.4%}".rstrip("0%").rstrip(".") + "%" for share in shares]
        names = ("count", "missing", "mean", "std", "min", *quantiles, "max", "±", "skew", "kurt")
        rows: list[tuple[str, tuple[Cell, ...]]] = []
        for each in self.numbers:
            cells = (each.mean, each.std, each.min, *each.quantiles.values(), each.max, each.bin_width)
            label = f"{each.column}[{each.group}]" if each.group else each.column
            rows.append((label, (each.count, each.missing, *cells, each.skewness, each.kurtosis)))
        return Table(names, tuple(rows))

    def _levels(self, column: str) -> Table:
        own = [each for each in self.levels if each.column == column]
        if not self.by:
            total = sum(own[0].counts.values()) or 1
            rows = tuple((level, (count, count / total)) for level, count in own[0].counts.items())
            return Table(("count", "share"), (*rows, ("(missing)", (own[0].missing, ""))), column)
        names = tuple(own[0].counts)
        groups = tuple((each.group, (*each.counts.values(), each.missing)) for each in own)
        return Table((*names, "(missing)"), groups, f"{column} by {self.by}")
