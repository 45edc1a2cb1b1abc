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
from sonar.protocol.record import Name


class Moments(BaseTerm):
    """sum v v^T over the rows, the upper triangle row by row, v the design row of `columns`.

    Shape: [groups, d (d + 1) / 2], with one group unless there is `by`, a column of categories. The first
    entry of a group is the number of its complete rows.
    """

    kind: Literal["moments"] = "moments"
    columns: ColumnNames
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if columns.get(name) is None:
                a_number(columns, name, "columns")
        if self.by is not None:
            a_category(columns, self.by, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        width = width_of(columns, self.columns)
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return (groups, width * (width + 1) // 2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`: all of a design row is within ±1."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        needed = self.columns if self.by is None else (*self.columns, self.by)
        rows = rows.where(rows.complete(needed))
        v = design_matrix(columns, self.columns, rows)
        upper = np.triu_indices(v.shape[1])
        if self.by is None:
            return (v.T @ v)[upper][None, :]
        codes = rows.code(self.by)
        groups = len(a_category(columns, self.by, "by").levels)
        return np.stack([(v[codes == g].T @ v[codes == g])[upper] for g in range(groups)])

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"sums of products of two of {', '.join(self.columns)}{by}"
