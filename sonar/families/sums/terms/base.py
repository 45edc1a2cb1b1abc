"""What a term is: some numbers of each row, whose sums over all rows a mine answers with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sonar.data.schema import CategoryColumn, NumberColumn, Rows
from sonar.protocol.record import MAX_NAME, Name, Record

Vector = NDArray[np.float64]
Columns = Mapping[str, NumberColumn | CategoryColumn]
MAX_TERM_COLUMNS = 256
LEAST_IN_SET = 5
"""The fewest rows, but for none, over which a mine adds values up apart from its other rows."""
ColumnNames = Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_TERM_COLUMNS)]
Kind = TypeVar("Kind", NumberColumn, CategoryColumn)


class BaseTerm(Record):
    """A term of a question. `name` is its own within the question.

    Rows that miss a cell of one of the term's columns are left out of it, unless the term says otherwise.
    """

    kind: str
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]

    def check(self, columns: Columns, parameters: int) -> None:
        """Check that the term fits the question's columns and its number of parameters.

        Raises ValueError, which names the field.
        """
        raise NotImplementedError

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """Return the shape of its sums."""
        raise NotImplementedError

    def bounds(self, columns: Columns) -> Vector:
        """Return the most that one row adds to each sum in magnitude, float64[shape], each more than 0."""
        raise NotImplementedError

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """Return the sums over `rows`, float64[shape], at the question's visible `parameters`."""
        raise NotImplementedError

    def words(self) -> str:
        """Say what is summed, to people who decide whether to answer."""
        raise NotImplementedError

    def needs(self, columns: Columns) -> tuple[str, ...]:
        """Return the columns whose cells a row must have, to count in the term: all that it names.

        A term that overrides this says which rows it leaves out.
        """
        found: dict[str, None] = {}
        for field, value in self:
            if field in ("kind", "name"):
                continue
            given = value if isinstance(value, tuple) else (value,)
            found |= dict.fromkeys(one for one in given if isinstance(one, str) and one in columns)
        return tuple(found)

    def mixed(self, columns: Columns) -> tuple[str, ...]:
        """Return the columns whose rare values would single rows out in the sums: all that it `needs`.

        A mine refuses if 1 to 4 of its rows have such a value (`sonar.families.sums.guards`). None for counts
        of one column alone, which say no more of a row than that some mine has one like it.
        """
        return self.needs(columns)

    def crossed(self, columns: Columns) -> tuple[tuple[str, ...], ...]:
        """Return the sets of categories of which each combination of levels is a set of rows of its own.

        Besides each single one that is `mixed`: over whose rows, that is, values of other columns are added
        up. Each such set has `LEAST_IN_SET` of a mine's rows or none.
        """
        return ()

    def solvable(self, columns: Columns) -> int:
        """Return how many of the sums rows could be solved from, if there are too few of them.

        None of counts of one column alone.
        """
        return math.prod(self.shape(columns))

    def least_rows(self, columns: Columns) -> int:
        """Return how many rows hide one another in the term, if `solvable` does not ask for more."""
        return LEAST_IN_SET

    def grouped(self, columns: Columns) -> tuple[str, str] | None:
        """Return a column that is told cell by cell within each level of another one, and that one, or None.

        Tables of one column within those of several would be joined at its cells with one row.
        """
        return None

    def asked_once(self) -> bool:
        """Return whether a bounty may have one such term, and ask it in one round alone."""
        return False

    def least_in_level(self, columns: Columns) -> int:
        """Return how many rows, or none, must have each level of a category that is `mixed`."""
        return LEAST_IN_SET

    def folded(self, columns: Columns, sums: Vector) -> Vector:
        """Return what a mine answers with in place of `sums` over all its rows, float64[shape].

        The same, unless cells over which values are added up have few of its rows: these go to a neighbour.
        """
        return sums

    def weighed(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector | None:
        """Return what the parameters make each row weigh, float64[kinds of weight, rows], not negative.

        None if they weigh no rows. Parameters that leave few rows with a weight would single these out. A row
        that the term leaves out weighs 0.
        """
        return None

    def weights_of(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector | None:
        """Return the sums of what is `weighed`, and of its squares, float64[2, kinds of weight]."""
        weights = self.weighed(columns, rows, parameters)
        if weights is None:
            return None
        return np.stack([weights.sum(axis=1), (weights * weights).sum(axis=1)])

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """Say what no rows could have sums like these, float64[shape], of one mine with `rows` rows.

        `room`, float64[shape], is how far rounding may move each. What follows from `bounds` is tested
        elsewhere. None if there is nothing to say.
        """
        return None


def a_number(columns: Columns, name: str, field: str) -> NumberColumn:
    """Return a column of numbers. Raises ValueError."""
    return _column(columns, name, field, NumberColumn, "numbers")


def a_category(columns: Columns, name: str, field: str) -> CategoryColumn:
    """Return a column of categories. Raises ValueError."""
    return _column(columns, name, field, CategoryColumn, "categories")


def _column(columns: Columns, name: str, field: str, kind: type[Kind], what: str) -> Kind:
    column = columns.get(name)
    if column is None:
        raise ValueError(f"{field}: there is no column {name!r}")
    if not isinstance(column, kind):
        raise ValueError(f"{field}: column {name!r} has no {what}")
    return column
