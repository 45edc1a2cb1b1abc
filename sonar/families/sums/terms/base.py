"""What a term is: some numbers of each row, whose sums over all rows a mine answers with."""

from __future__ import annotations

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
