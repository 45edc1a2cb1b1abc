"""How many rows have a column's value within each of some bins of equal width, by group."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import (
    BaseTerm,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.families.sums.terms.cells import counts_fault
from sonar.protocol.record import Name

MAX_BINS = 1024


class Histogram(BaseTerm):
    """Rows in each of `bins` bins of equal width between the bounds of `column`: shape [groups, bins].

    A bin holds its lower edge, the last one both edges; a clipped value counts in the first bin or in the
    last. A group is a level of `by`, a column of categories; without `by` there is one group.
    """

    kind: Literal["histogram"] = "histogram"
    column: Name
    bins: Annotated[int, Field(ge=2, le=MAX_BINS)]
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        a_number(columns, self.column, "column")
        if self.by is not None:
            a_category(columns, self.by, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return (groups, self.bins)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        groups, bins = self.shape(columns)
        codes = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        v, column = rows.number(self.column), a_number(columns, self.column, "column")
        there = ~np.isnan(v) & (codes >= 0)
        edges = np.linspace(column.low, column.high, bins + 1)
        places = np.clip(np.searchsorted(edges, v[there], side="right") - 1, 0, bins - 1)
        counts = np.bincount(codes[there] * bins + places, minlength=groups * bins)
        return counts.reshape(groups, bins).astype(np.float64)

    def mixed(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: without groups they are counts of one column."""
        return () if self.by is None else (self.column, self.by)

    def grouped(self, columns: Columns) -> tuple[str, str] | None:
        """See `BaseTerm`."""
        return None if self.by is None else (self.column, self.by)

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: they are counts."""
        return 0

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`."""
        return counts_fault(sums, rows, room)

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"how many rows have {self.column} in each of {self.bins} bins{by}"
