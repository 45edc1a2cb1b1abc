"""Sums of all products of two columns of a design matrix, by group: what least squares is made of."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from sonar.data.schema import CategoryColumn, Rows
from sonar.families.sums.terms.base import (
    LEAST_IN_SET,
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

ROWS_PER_COLUMN = 3


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
        return (2, *self._triangles(columns))

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`: all of a design row is within ±1."""
        return np.broadcast_to(word_bounds(2)[:, None, None], self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows = rows.complete_rows(self.needs(columns))
        v = design_matrix(columns, self.columns, rows)
        w = None
        if self.weight is not None:
            w = rows.number(self.weight) / a_number(columns, self.weight, "weight").high
        if self.by is None:
            return product_sums(v, w)[:, None, :]
        codes, found = rows.code(self.by), np.zeros(self.shape(columns))
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=found.shape[1]))
        for group, chosen in enumerate(np.split(order, ends[:-1])):
            found[:, group] = product_sums(v[chosen], None if w is None else w[chosen])
        return found

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        weight = f", weighted by {self.weight}" if self.weight else ""
        return f"sums of products of two of {', '.join(self.columns)}{by}{weight}"

    def crossed(self, columns: Columns) -> tuple[tuple[str, ...], ...]:
        """See `BaseTerm`: the levels of a category within a group."""
        categories = (name for name in self.columns if isinstance(columns[name], CategoryColumn))
        return () if self.by is None else tuple((self.by, name) for name in categories if name != self.by)

    def apart(self, columns: Columns) -> tuple[str | None, str | None]:
        """See `BaseTerm`."""
        return self.by, self.weight

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: the upper triangle, of each group."""
        return math.prod(self._triangles(columns))

    def least_rows(self, columns: Columns) -> int:
        """See `BaseTerm`: three for each column of the design."""
        return ROWS_PER_COLUMN * width_of(columns, self.columns)

    def least_in_level(self, columns: Columns) -> int:
        """See `BaseTerm`: of a group, no fewer numbers than there are sums over it."""
        if self.by is None:
            return LEAST_IN_SET
        return max(LEAST_IN_SET, -(-self._triangles(columns)[1] // len(self.columns)))

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: each group's matrix is a sum of squares, and its first entry counts rows."""
        shape = -1, *self._triangles(columns)
        counted = 0.0
        for values, rooms in zip(
            sums.reshape(shape).sum(axis=0), room.reshape(shape).sum(axis=0), strict=True
        ):
            if found := squares_fault(values, rooms):
                return found
            counted += values[0] - rooms[0]
        return "it counts more rows than there are" if counted > rows else None

    def _triangles(self, columns: Columns) -> tuple[int, int]:
        """How many groups there are, and sums in each."""
        width = width_of(columns, self.columns)
        groups = 1 if self.by is None else len(a_category(columns, self.by, "by").levels)
        return groups, width * (width + 1) // 2


def squares_fault(triangle: Vector, room: Vector) -> str | None:
    """Say why no rows have these sums of products of columns within ±1, of which the first is of ones.

    `triangle` is the upper triangle row by row; `room` how far rounding may move each sum.
    """
    width = (math.isqrt(8 * len(triangle) + 1) - 1) // 2
    upper = np.triu_indices(width)
    matrix, off = np.zeros((width, width)), np.zeros((width, width))
    matrix[upper], off[upper] = triangle, room
    squares, slack = np.diag(matrix), np.diag(off)
    if (squares < -slack).any():
        return "a sum of squares is negative"
    if (squares > squares[0] + slack + slack[0]).any():
        return "a sum of squares is more than its rows allow"
    largest = np.sqrt(np.outer(squares + slack, squares + slack))
    if (np.abs(matrix) > largest + off).any():
        return "a sum of products is more than its sums of squares allow"
    return None
