"""The design of a table that a fitted model predicts of, in the columns' own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.frames.coding import coded
from sonar.data.schema import CategoryColumn, Column

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def design(columns: Sequence[Column], labels: Sequence[str], table: Any) -> Matrix:
    """Return float64[rows, labels] of a data frame or a mapping, of which only the needed columns are read.

    A label is the name of a column of numbers, or an indicator of a category, "sex[m]". NaN stands for
    what is missing. Raises DataError: see `pysonar.frames.coding.coded`.
    """
    needed = [column for column in columns if any(label in labels for label in _labels(column))]
    parts: dict[str, Vector] = {}
    for column, values in zip(needed, coded(table, needed).T, strict=True):
        for code, label in enumerate(_labels(column)):
            if isinstance(column, CategoryColumn):
                parts[label] = np.where(np.isnan(values), np.nan, values == code)
            else:
                parts[label] = values
    return np.column_stack([parts[label] for label in labels])


def _labels(column: Column) -> list[str]:
    if isinstance(column, CategoryColumn):
        return [f"{column.name}[{level}]" for level in column.levels]
    return [column.name]
