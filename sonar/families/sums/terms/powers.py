"""Sums of powers of columns of numbers, by group: means, deviations, skewness and kurtosis."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import (
    BaseTerm,
    ColumnNames,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.families.sums.terms.precise import power_sums, word_bounds
from sonar.protocol.record import Name


class Powers(BaseTerm):
    """For each of `columns`: how many rows have it, then sum v^k for k = 1 to `order`, v its standard value.

    Shape: [groups, columns, 1 + order^2]: a power has `order` words (see `precise`), in turn. A row counts
    for each column that it has, and for the group of `by`, a column of categories; without `by` there is one.
    """

    kind: Literal["powers"] = "powers"
    columns: ColumnNames
    order: Literal[2, 4] = 2
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
        return (groups, len(self.columns), 1 + self.order**2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        row = np.concatenate([[1.0], np.tile(word_bounds(self.order), self.order)])
        return np.broadcast_to(row, self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        found = np.zeros(self.shape(columns))
        codes = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        for place, name in enumerate(self.columns):
            v = rows.standard(name)
            there = ~np.isnan(v)
            for group in range(len(found)):
                chosen = v[there & (codes == group)]
                found[group, place, 0] = len(chosen)
                found[group, place, 1:] = power_sums(chosen, self.order)
        return found

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"sums of {', '.join(self.columns)} and of powers up to {self.order} of them{by}"
