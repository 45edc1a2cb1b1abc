"""Sums of powers of a column of numbers, by group: means, deviations, skewness and kurtosis."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import (
    LEAST_IN_SET,
    BaseTerm,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.families.sums.terms.precise import power_sums, word_bounds
from sonar.protocol.record import Name


class Powers(BaseTerm):
    """How many rows have `column`, then sum v^k for k = 1 to `order`, v its standard value.

    Shape: [groups, 1 + order^2]: a power has `order` words (see `precise`), in turn. A group is a level of
    `by`, a column of categories; without `by` there is one group.
    """

    kind: Literal["powers"] = "powers"
    column: Name
    order: Literal[2, 4] = 2
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        a_number(columns, self.column, "column")
        if self.by is not None:
            a_category(columns, self.by, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return (groups, 1 + self.order**2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        row = np.concatenate([[1.0], np.tile(word_bounds(self.order), self.order)])
        return np.broadcast_to(row, self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        found = np.zeros(self.shape(columns))
        codes = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        v = rows.standard(self.column)
        there = ~np.isnan(v)
        for group in range(len(found)):
            chosen = v[there & (codes == group)]
            found[group] = [len(chosen), *power_sums(chosen, self.order)]
        return found

    def apart(self, columns: Columns) -> tuple[str | None, str | None]:
        """See `BaseTerm`."""
        return self.by, None

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: each power, of each group."""
        return self.shape(columns)[0] * self.order

    def least_in_level(self, columns: Columns) -> int:
        """See `BaseTerm`: more rows than there are powers of one column."""
        return max(LEAST_IN_SET, self.order + 1)

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: powers within ±1 count no more than their rows, and squares are not negative."""
        groups = sums[:, 1:].reshape(len(sums), self.order, self.order).sum(axis=2)
        off = room[:, 0] + room[:, 1:].reshape(len(sums), self.order, self.order).sum(axis=2).max(axis=1)
        counts = sums[:, 0] + off
        if (counts < 0).any() or counts.sum() > rows + 2 * off.sum():
            return "it counts more rows than there are, or fewer than none"
        if (np.abs(groups) > counts[:, None] + off[:, None]).any():
            return "a sum of powers is more than its rows allow"
        if (groups[:, 1::2] < -off[:, None]).any():
            return "a sum of squares is negative"
        return None

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"sums of {self.column} and of its powers up to {self.order}{by}"
