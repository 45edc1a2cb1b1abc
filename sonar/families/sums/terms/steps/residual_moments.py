"""Products of two columns of a design, weighted by squared residuals: for robust standard errors."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import BaseTerm, ColumnNames, Columns, Vector, a_number
from sonar.families.sums.terms.design import design_matrix, width_of
from sonar.families.sums.terms.moments import ROWS_PER_COLUMN, squares_fault
from sonar.families.sums.terms.precise import product_sums, word_bounds
from sonar.protocol.record import Name


class ResidualMoments(BaseTerm):
    """sum e^2 v v^T over the rows, the upper triangle row by row, v the design row of `columns`.

    e is half of (the standard `target` less v @ parameters), within ±1: beyond that it is clipped.
    Shape: [3, 1, d (d + 1) / 2]: each sum has three words (see `precise`), as squared residuals are small.
    """

    kind: Literal["residual-moments"] = "residual-moments"
    columns: ColumnNames
    target: Name

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if columns.get(name) is None:
                a_number(columns, name, "columns")
        a_number(columns, self.target, "target")
        if parameters != (width := width_of(columns, self.columns)):
            raise ValueError(f"columns: a design of {width} columns needs {width} parameters")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        width = width_of(columns, self.columns)
        return (3, 1, width * (width + 1) // 2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.broadcast_to(word_bounds(3)[:, None, None], self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows = rows.complete_rows(self.needs(columns))
        v = design_matrix(columns, self.columns, rows)
        return product_sums(v, self._squares(v, rows, parameters), words=3)[:, None, :]

    def weighed(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`: by squared residuals, if they are not cut."""
        found = self.weightings(columns, rows, parameters)["squared residuals"][1:]
        return np.where(found < 1, found, 0.0)

    def cut(self, columns: Columns, rows: Rows, parameters: Vector) -> NDArray[np.bool_]:
        """See `BaseTerm`: those of a larger residual."""
        there = rows.complete(self.needs(columns))
        found = self.weightings(columns, rows, parameters)["squared residuals"][1:, there]
        return np.concatenate([found >= 1, found < 1])

    def weightings(self, columns: Columns, rows: Rows, parameters: Vector) -> dict[str, Vector]:
        """See `BaseTerm`."""
        there = rows.complete(self.needs(columns))
        complete = rows.complete_rows(self.needs(columns))
        found = np.stack([there.astype(np.float64), np.zeros(len(rows))])
        v = design_matrix(columns, self.columns, complete)
        found[1, there] = self._squares(v, complete, parameters)
        return {"squared residuals": found}

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`."""
        return self.shape(columns)[2]

    def least_rows(self, columns: Columns) -> int:
        """See `BaseTerm`: three for each column of the design."""
        return ROWS_PER_COLUMN * width_of(columns, self.columns)

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: a sum of squares, and weights of at most 1."""
        triangle, off = sums.sum(axis=0)[0], room.sum(axis=0)[0]
        if triangle[0] > rows + off[0]:
            return "it weighs more rows than there are"
        return squares_fault(triangle, off)

    def words(self) -> str:
        """See `BaseTerm`."""
        names = ", ".join(self.columns)
        return f"sums of products of two of {names}, weighted by squared residuals of {self.target}"

    def _squares(self, v: Vector, rows: Rows, parameters: Vector) -> Vector:
        """Return e^2 of each row, float64[rows]."""
        with np.errstate(over="ignore", invalid="ignore"):
            residuals = (rows.standard(self.target) - v @ parameters) / 2
        squares: Vector = np.clip(np.nan_to_num(residuals), -1, 1) ** 2
        return squares
