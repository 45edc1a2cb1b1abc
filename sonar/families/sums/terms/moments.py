"""Sums of all products of two columns of a design matrix, by group: what least squares is made of."""

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
from sonar.families.sums.terms.design import design_matrix, width_of
from sonar.families.sums.terms.precise import product_sums, word_bounds
from sonar.protocol.record import Name


class Moments(BaseTerm):
    """sum w v v^T over the rows, the upper triangle row by row, v the design row of `columns`.

    Shape: [2, groups, d (d + 1) / 2]: each sum has two words (see `precise`), which add up to it. There is
    one group unless there is `by`, a column of categories. w is `weight`, a column of numbers from 0 on, as a
    share of its upper bound; without one it is 1, and a group's first entry is the number of complete rows.
    """

    kind: Literal["moments"] = "moments"
    columns: ColumnNames
    by: Name | None = None
    weight: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if columns.get(name) is None:
                a_number(columns, name, "columns")
        if self.by is not None:
            a_category(columns, self.by, "by")
        if self.weight is not None and a_number(columns, self.weight, "weight").low < 0:
            raise ValueError(f"weight: column {self.weight!r} has a bound below 0")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        width = width_of(columns, self.columns)
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return (2, groups, width * (width + 1) // 2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`: all of a design row is within ±1."""
        return np.broadcast_to(word_bounds(2)[:, None, None], self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        needed = [*self.columns, *(name for name in (self.by, self.weight) if name is not None)]
        rows = rows.where(rows.complete(needed))
        v = design_matrix(columns, self.columns, rows)
        w = (
            None
            if self.weight is None
            else rows.number(self.weight) / a_number(columns, self.weight, "").high
        )
        if self.by is None:
            return product_sums(v, w)[:, None, :]
        codes = rows.code(self.by)
        found = np.zeros(self.shape(columns))
        for group in range(found.shape[1]):
            chosen = codes == group
            found[:, group] = product_sums(v[chosen], None if w is None else w[chosen])
        return found

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        weight = f", weighted by {self.weight}" if self.weight else ""
        return f"sums of products of two of {', '.join(self.columns)}{by}{weight}"
