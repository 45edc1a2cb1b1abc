"""From plain numbers to the constants of a model's spec."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError
from sonar.families.quadratic.stages import Q32_ONE, Standard

DEFAULT_CLIP = 8.0


def to_q32(value: float, field: str = "value") -> int:
    """Return round(value * 2^32). Raises DataError for what is not finite or beyond ±2^31."""
    if not math.isfinite(value) or abs(value) >= 1 << 31:
        raise DataError(field, "is not a number between -2^31 and 2^31", hint="rescale the column")
    return round(value * Q32_ONE)


def from_q32(value: int) -> float:
    """Return the number that a fixed-point constant stands for."""
    return value / Q32_ONE


def standard_stage(names: Sequence[str], x: NDArray[np.float64], clip: float = DEFAULT_CLIP) -> Standard:
    """Return the stage that standardises columns by the mean and deviation of x float64[n, len(names)].

    These two numbers per column become public, so x is usually the scientist's holdout.

    Raises DataError for a column that is constant, or too large for fixed point.
    """
    means, stds = [], []
    for name, column in zip(names, x.T, strict=True):
        means.append(to_q32(float(column.mean()), f"column {name}"))
        stds.append(to_q32(float(column.std()), f"column {name}"))
        if np.ptp(column) == 0:
            raise DataError(f"column {name}", "is constant", hint="leave it out: the bias does its work")
        if stds[-1] == 0:
            problem = "varies by less than 2^-32, the last digit of a published constant"
            raise DataError(f"column {name}", problem, hint="rescale the column")
    return Standard(mean_q32=tuple(means), std_q32=tuple(stds), clip_q32=to_q32(clip, "clip"))
