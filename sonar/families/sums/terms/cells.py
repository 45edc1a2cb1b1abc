"""How many rows are in each cell of a table of categories."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.data.schema import Rows
from sonar.families.sums.terms.base import (
    MAX_TERM_COLUMNS,
    BaseTerm,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.protocol.record import Name


class Cells(BaseTerm):
    """Rows in each combination of levels of `by`, columns of categories: shape [levels, levels, ...].

    Only rows count that miss none of `columns`, of whatever kind, and none of `by`. With no `by`, shape [1]:
    one count.
    """

    kind: Literal["cells"] = "cells"
    by: Annotated[tuple[Name, ...], Field(strict=False, max_length=4)] = ()
    columns: Annotated[tuple[Name, ...], Field(strict=False, max_length=MAX_TERM_COLUMNS)] = ()

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if columns.get(name) is None:
                a_number(columns, name, "columns")
        for name in self.by:
            a_category(columns, name, "by")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        return tuple(len(a_category(columns, name, "by").levels) for name in self.by) or (1,)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        return np.ones(self.shape(columns))

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows, shape = rows.complete_rows(self.needs(columns)), self.shape(columns)
        if not self.by:
            return np.array([float(len(rows))])
        places = np.ravel_multi_index([rows.code(name) for name in self.by], shape)
        return np.bincount(places, minlength=math.prod(shape)).reshape(shape).astype(np.float64)

    def mixed(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: of one column alone they are counts that single no row out."""
        return self.by if len(self.by) > 1 else ()

    def crossed(self, columns: Columns) -> tuple[tuple[str, ...], ...]:
        """See `BaseTerm`: a cell tells the last category of rows that share all others."""
        return tuple(combinations(self.by, len(self.by) - 1)) if len(self.by) > 2 else ()

    def added(self, columns: Columns) -> tuple[str, ...]:
        """See `BaseTerm`: they are counts."""
        return ()

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: they are counts."""
        return 0

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`."""
        return counts_fault(sums, rows, room)

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f" in each cell of {' x '.join(self.by)}" if self.by else ""
        having = f" that have {', '.join(self.columns)}" if self.columns else ""
        return f"how many rows{having} are there{by}"


def counts_fault(sums: Vector, rows: int, room: Vector) -> str | None:
    """Say why counts of cells that no row shares are none of so many rows; `room` as of `BaseTerm.fault`."""
    if (sums < -room).any() or sums.sum() > rows + room.sum():
        return "it counts more rows than there are, or fewer than none in a cell"
    return None
