"""Published numbers.

A name that ends in `_q32` holds round(x * 2^32): nothing on the wire is a float.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sonar.errors import DataError
from sonar.protocol.record import MAX_WEIGHTS

Q32_ONE = 1 << 32
Q32_MOST = (1 << 63) - 1
Q32 = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
PositiveQ32 = Annotated[Q32, Field(gt=0)]
Q32Row = Annotated[tuple[Q32, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
PositiveQ32Row = Annotated[tuple[PositiveQ32, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]


def to_q32(value: float, field: str = "value") -> int:
    """Return round(value * 2^32). Raises DataError for what is not finite or beyond ±2^31."""
    if not math.isfinite(value) or abs(value) >= 1 << 31:
        problem = f"has a mean or a spread of {value:.3g}; at most ±{1 << 31:,} (2^31) can be published"
        hint = "give it in a larger unit, such as millions; give a date in years or in days since an event"
        raise DataError(field, problem, hint=hint)
    return round(value * Q32_ONE)


def from_q32(value: int) -> float:
    """Return the number that a fixed-point constant stands for."""
    return value / Q32_ONE


def floats(values: tuple[int, ...] | tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """Return the numbers that a row, or a matrix, of fixed-point constants stands for."""
    return np.array(values, dtype=np.float64) / Q32_ONE


def deviation_q32(column: NDArray[np.float64], field: str) -> int:
    """Return the deviation of a column float64[n]. Raises DataError for one that is constant or nearly so."""
    deviation = to_q32(float(column.std()), field)
    if np.ptp(column) == 0:
        problem = f"is constant: {column[0]:g} in every held-out row"
        raise DataError(field, problem, hint="leave it out: it carries no information")
    if deviation == 0:
        problem = f"varies by {column.std():.3g}; less than 2.3e-10 (2^-32) cannot be published"
        raise DataError(field, problem, hint="give it in a smaller unit, such as thousandths or millionths")
    return deviation
