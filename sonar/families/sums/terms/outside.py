"""How many cells of each column are missing, or beyond its bounds: what a scientist is warned by."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.schema import NumberColumn, Rows
from sonar.families.sums.terms.base import BaseTerm, ColumnNames, Columns, Vector


class Outside(BaseTerm):
    """Counts for each of `columns`: missing cells, values below its bounds, and above: shape [columns, 3].

    All rows count.
    """

    kind: Literal["outside"] = "outside"
    columns: ColumnNames

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if name not in columns:
                raise ValueError(f"columns: there is no column {name!r}")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        return (len(self.columns), 3)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        found = np.zeros(self.shape(columns))
        for place, name in enumerate(self.columns):
            raw, column = rows.raw(name), columns[name]
            found[place, 0] = np.isnan(raw).sum()
            if isinstance(column, NumberColumn):
                found[place, 1:] = (raw < column.low).sum(), (raw > column.high).sum()
        return found

    def needs(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: all rows count."""
        return ()

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: they are counts of one column each."""
        return 0

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`."""
        if (sums < -room).any() or (sums.sum(axis=1) > rows + room.sum(axis=1)).any():
            return "it counts more cells of a column than there are rows, or fewer than none"
        return None

    def words(self) -> str:
        """See `BaseTerm`."""
        return f"how many cells of {', '.join(self.columns)} are missing or beyond the bounds"
