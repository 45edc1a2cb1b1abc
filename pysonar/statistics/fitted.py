"""Tables that a fitted model predicts of: a mapping of columns, or a data frame, by the bounty's schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.frame import columns_of, numbers
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import DataError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def coded(columns: Sequence[Column], table: Any) -> dict[str, Vector]:
    """Return the columns of a table, float64[rows] each, categories as codes and missing cells as NaN.

    Raises DataError naming the column: for one that is not there, and for what the schema does not know.
    """
    if not hasattr(table, "keys") and not hasattr(table, "columns"):
        hint = "give a data frame, or a mapping of names to values"
        raise DataError(
            "table", f"is of the type {type(table).__name__!r}, without columns by name", hint=hint
        )
    found = columns_of(table, [column.name for column in columns])
    result: dict[str, Vector] = {}
    for column in columns:
        values, field = found[column.name], f"column {column.name!r}"
        result[column.name] = (
            _codes(column, values) if isinstance(column, CategoryColumn) else numbers(values, field)
        )
        if len({len(each) for each in result.values()}) > 1:
            raise DataError(field, f"has {len(values)} rows, and the columns before it have another number")
    return result


def design(columns: Sequence[Column], labels: Sequence[str], table: Any) -> Matrix:
    """Return float64[rows, labels] in the columns' own units: numbers, and indicators "sex[m]" of categories.

    Raises DataError: see `coded`.
    """
    found = coded(columns, table)
    parts: dict[str, Vector] = {}
    for column in columns:
        values = found[column.name]
        if isinstance(column, CategoryColumn):
            for code, level in enumerate(column.levels):
                indicator = np.where(np.isnan(values), np.nan, values == code)
                parts[f"{column.name}[{level}]"] = indicator
        else:
            parts[column.name] = values
    rows = len(next(iter(parts.values())))
    return np.column_stack([parts[label] for label in labels]) if labels else np.empty((rows, 0))


def _codes(column: CategoryColumn, values: Any) -> Vector:
    """Return the places of values in a vocabulary. Raises DataError naming the first that is not in there."""
    places = {level: float(place) for place, level in enumerate(column.levels)}
    result = np.empty(len(values))
    for row, value in enumerate(np.asarray(values, dtype=object).tolist()):
        if value is None or value != value or type(value).__name__ == "NAType":
            result[row] = np.nan
        elif (text := str(value).strip()) in places:
            result[row] = places[text]
        else:
            known = ", ".join(column.levels[:20])
            problem = f"has {text!r:.80}, which is not in its vocabulary"
            raise DataError(f"column {column.name!r}", problem, hint=f"its levels are {known}")
    return result
