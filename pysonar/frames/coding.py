"""A table as a schema reads it: float64[rows, columns], categories as their places, missing cells as NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.frames.cells import Vector, as_numbers, as_texts
from pysonar.frames.named import cells_of, is_frame
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.errors import DataError

Matrix = NDArray[np.float64]


def coded(table: Any, columns: Sequence[Column], what: str = "table") -> Matrix:
    """Return the rows of a frame or a mapping as float64[rows, len(columns)], for `sonar.data.schema.Rows`.

    Values beyond a column's bounds stay as they are: who reads the rows clips them. Raises DataError naming
    the column: for one that is not there, a cell that is missing where none may be, a text that is not in the
    vocabulary, an infinite value, and columns of another length.
    """
    if not is_frame(table):
        hint = "give a DataFrame, or a mapping of names to columns"
        raise DataError(
            what, f"is of the type {type(table).__name__!r}, which has no columns by name", hint=hint
        )
    cells = cells_of(table, [column.name for column in columns])
    found: list[Vector] = []
    for column, values in zip(columns, cells.values(), strict=True):
        coded_one = _numbers(column, values) if isinstance(column, NumberColumn) else _codes(column, values)
        if coded_one.ndim != 1 or (found and len(coded_one) != len(found[0])):
            problem = f"has the shape {list(coded_one.shape)}; [rows] is expected, as many as the others have"
            hint = (
                f"give a list: {{{column.name!r}: [...]}}"
                if coded_one.ndim == 0
                else "give columns of the same rows"
            )
            raise DataError(f"column {column.name!r}", problem, hint=hint)
        found.append(coded_one)
    return np.column_stack(found) if found else np.empty((0, 0))


def _numbers(column: NumberColumn, values: Any) -> Vector:
    field = f"column {column.name!r}"
    found: Vector = as_numbers(values, field)
    _check_missing(np.isnan(found), column)
    if (infinite := np.isinf(found)).any():
        problem = f"row {int(infinite.argmax()) + 1} is infinite; a number is expected"
        raise DataError(field, problem, hint="drop such rows, or fill in their values")
    return found


def _codes(column: CategoryColumn, values: Any) -> Vector:
    field = f"column {column.name!r}"
    places = {level: float(place) for place, level in enumerate(column.levels)}
    texts = as_texts(values, field)
    for row, text in enumerate(texts):
        if text is not None and text not in places:
            told = ", ".join(map(repr, column.levels[:12])) + ", …" * (len(column.levels) > 12)
            problem = f"row {row + 1} is {text[:60]!r}, which is not in its vocabulary: {told}"
            raise DataError(field, problem, hint="rename it in the data, or add it to the column's levels")
    found = np.array([np.nan if text is None else places[text] for text in texts], dtype=np.float64)
    _check_missing(np.isnan(found), column)
    return found


def _check_missing(missing: NDArray[np.bool_], column: Column) -> None:
    if column.missing or not missing.any():
        return
    count = int(missing.sum())
    problem = f"row {int(missing.argmax()) + 1} is missing{f', and {count - 1} more' * (count > 1)}"
    hint = "drop such rows, fill in their values, or say missing=True of the column"
    raise DataError(f"column {column.name!r}", problem, hint=hint)
