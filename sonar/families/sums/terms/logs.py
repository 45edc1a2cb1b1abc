"""The sum of a column's logarithms: what weights add to a log-likelihood."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import BaseTerm, ColumnNames, Columns, Vector, a_number
from sonar.protocol.record import Name


class Logs(BaseTerm):
    """sum ln x over the rows that have `column`, with bounds above 0, and all of `columns`: shape [1]."""

    kind: Literal["logs"] = "logs"
    column: Name
    columns: ColumnNames

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        if a_number(columns, self.column, "column").low <= 0:
            raise ValueError(f"column: {self.column!r} has a bound that is not above 0")
        for name in self.columns:
            if columns.get(name) is None:
                a_number(columns, name, "columns")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        return (1,)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        column = a_number(columns, self.column, "column")
        return np.array([max(abs(np.log(column.low)), abs(np.log(column.high)))])

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows = rows.where(rows.complete([self.column, *self.columns]))
        return np.array([float(np.log(rows.number(self.column)).sum())])

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`."""
        return 1

    def words(self) -> str:
        """See `BaseTerm`."""
        return f"the sum of the logarithms of {self.column}"
