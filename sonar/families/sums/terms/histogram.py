"""How many rows have a column's value within each of some bins of equal width, by group."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import (
    BaseTerm,
    ColumnNames,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.protocol.record import Name

MAX_BINS = 1024


class Histogram(BaseTerm):
    """For each of `columns`: rows in each of `bins` bins of equal width between its bounds.

    Shape: [groups, columns, bins]. A bin holds its lower edge, the last one both edges; a clipped value
    counts in the first bin or in the last. A row counts for each column that it has, and for the group of
    `by`, a column of categories; without `by` there is one group.
    """

    kind: Literal["histogram"] = "histogram"
    columns: ColumnNames
    bins: Annotated[int, Field(ge=2, le=MAX_BINS)]
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            a_number(columns, name, "columns")
        if self.by is not None:
            a_category(columns, self.by, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return (groups, len(self.columns), self.bins)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        found = np.zeros(self.shape(columns))
        codes = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        for place, name in enumerate(self.columns):
            v = rows.number(name)
            column = a_number(columns, name, "columns")
            edges = np.linspace(column.low, column.high, self.bins + 1)
            there = ~np.isnan(v) & (codes >= 0)
            bins = np.clip(np.searchsorted(edges, v[there], side="right") - 1, 0, self.bins - 1)
            places = (codes[there] * self.bins + bins).astype(np.int64)
            counts = np.bincount(places, minlength=len(found) * self.bins)
            found[:, place] = counts.reshape(len(found), self.bins)
        return found

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"how many rows have {', '.join(self.columns)} in each of {self.bins} bins{by}"
