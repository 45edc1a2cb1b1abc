"""How much of what a regression finds may be rounding: sums come as multiples of a share of their bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.warning import BoundsWarning, Told

Matrix = NDArray[np.float64]
MOST = 1e-3
"""Told from here on: a part of a standard error."""


def unit_of(seen: Seen) -> float:
    """Return the deviation of what rounding adds to a sum over the mines, as a share of its bound."""
    return float(np.sqrt(seen.mines / 3.0) * 2.0 ** -(seen.totals.frac + 1))


def rounding_warnings(inverse: Matrix, information: float, right: float, narrow: str) -> list[Told]:
    """Return what is said if rounding moves estimates, or their errors, by more than `MOST` of an error.

    `inverse`: of the information, float64[d, d]; `information` and `right`: the deviations of rounding in an
    entry of the information and of the gradient. First-order error propagation.
    """
    own = np.maximum(np.diagonal(inverse), np.finfo(np.float64).tiny)
    squares = (inverse * inverse).sum(axis=1)
    moved = max(float((right * np.sqrt(squares / own)).max()), float((information * squares / own).max()))
    if not moved > MOST:
        return []
    text = f"bounds are so wide that rounding moves estimates by about {moved:.2g} of their errors"
    return [Told(BoundsWarning, f"{text}; narrow {narrow}, or lower `rows_max`")]
