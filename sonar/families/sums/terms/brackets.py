"""How many rows lie in the bins of brackets that a question's parameters set: quantiles, round by round."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.data.schema import NumberColumn, Rows
from sonar.families.sums.terms.base import BaseTerm, Columns, Vector, a_number
from sonar.protocol.record import Name

FINEST = 2.0**-20
"""No bin is narrower than this share of the distance of a column's bounds: no value is told closer."""


class Brackets(BaseTerm):
    """Rows of `column` below a bracket, in each of its `bins` bins of equal width, and above it.

    Shape: [brackets, bins + 2]. Bracket i goes from parameter 2 i to parameter 2 i + 1, in the column's unit
    (see `edges_in`). A bin holds its lower edge; what is at the upper edge of a bracket is above it, unless
    that is the column's upper bound.
    """

    kind: Literal["brackets"] = "brackets"
    column: Name
    brackets: Annotated[int, Field(ge=1, le=99)]
    bins: Annotated[int, Field(ge=2, le=1024)]

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        a_number(columns, self.column, "column")
        if parameters != 2 * self.brackets:
            raise ValueError(f"brackets: {self.brackets} of them need {2 * self.brackets} parameters")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        return (self.brackets, self.bins + 2)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        column, v = a_number(columns, self.column, "column"), rows.number(self.column)
        v = v[~np.isnan(v)]
        found = np.zeros(self.shape(columns))
        for place, (low, high) in enumerate(parameters.reshape(-1, 2).tolist()):
            edges = edges_in(column, self.bins, low, high)
            places = np.searchsorted(edges, v, side="right")
            if edges[-1] >= column.high:
                places = np.minimum(places, self.bins)
            found[place] = np.bincount(places, minlength=self.bins + 2)
        return found

    def mixed(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: they are counts of one column."""
        return ()

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: they are counts."""
        return 0

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`."""
        if (sums < -room).any() or (sums.sum(axis=1) > rows + room.sum(axis=1)).any():
            return "it counts more rows than there are, or fewer than none in a bin"
        return None

    def words(self) -> str:
        """See `BaseTerm`."""
        return f"how many rows have {self.column} within bins that may be narrowed in later rounds"


def edges_in(column: NumberColumn, bins: int, low: float, high: float) -> Vector:
    """Return the edges of a bracket's bins, float64[bins + 1], whatever `low` and `high` are.

    They stay within the column's bounds, and no bin is narrower than `FINEST` allows.
    """
    least = (column.high - column.low) * FINEST * bins
    low = min(max(low, column.low), column.high - least)
    return np.linspace(low, min(max(high, low + least), column.high), bins + 1)
