"""Tables and their schemas, for tests of statistics against pooled libraries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn

Matrix = NDArray[np.float64]


def numeric(name: str, low: float, high: float, missing: bool = False) -> NumberColumn:
    return NumberColumn(name=name, low_q32=to_q32(low), high_q32=to_q32(high), missing=missing)


def categories(name: str, *levels: str, missing: bool = False) -> CategoryColumn:
    return CategoryColumn(name=name, levels=levels, missing=missing)


def around(values: Matrix, names: Sequence[str], margin: float = 0.1) -> tuple[Column, ...]:
    """Columns whose bounds are a little wider than what is in there."""
    result = []
    for name, column in zip(names, values.T, strict=True):
        spread = max(float(np.ptp(column)), 1e-3) * margin
        result.append(numeric(name, float(column.min()) - spread, float(column.max()) + spread))
    return tuple(result)


def split(values: Matrix, mines: int = 10) -> list[Matrix]:
    """The rows of so many mines."""
    return np.array_split(values, mines)
