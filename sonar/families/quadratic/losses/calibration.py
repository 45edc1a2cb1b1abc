"""Outputs of classifiers, made to say log odds: by one slope; of two classes by a slope and a constant.

Both are fitted to the log loss of rows whose classes are known: of two classes as by Platt (1999), of more by
temperature scaling (Guo, Pleiss, Sun and Weinberger, ICML 2017). As in Platt's method, half a row in all
counts as wrong, so that both are finite even if every row is right. A slope is never below 0: outputs that
order rows the wrong way are no use, and then the published frequencies are all that is said.

Several classes have no constants: one for each, fitted to the few held-out rows that a class has, made the
log loss and the accuracy of ten digits worse on other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.losses.base import Matrix, Vector

Codes = NDArray[np.intp]
Slopes = Callable[[float], tuple[float, float]]
"""The first and the second derivative of a function at a place."""

STILL = 2.0**-20
"""Outputs that differ by less than this say nothing: a start's mark makes such."""
_DOUBLINGS, _STEPS, _HALVINGS = 64, 80, 40


@dataclass(frozen=True)
class Calibration:
    """What outputs are times, and what is then added."""

    slope: float
    constant: float = 0.0

    def of(self, s: Matrix) -> Matrix:
        """Return calibrated outputs float64[n, outputs]."""
        return self.slope * s + self.constant


def temperature(priors: Vector, s: Matrix, codes: Codes) -> float:
    """Return the best slope for outputs s float64[n, classes], beside log frequencies float64[classes].

    The loss is convex in it, so the loss's derivative is followed to zero.
    """
    if np.ptp(s, axis=1).max() < STILL:
        return 1.0
    n, classes = s.shape
    wanted = np.full((n, classes), 0.5 / n / (classes - 1))
    wanted[np.arange(n), codes] = 1.0 - 0.5 / n

    def slopes(t: float) -> tuple[float, float]:
        logs = priors + t * s
        q = np.exp(logs - logs.max(axis=1, keepdims=True))
        q /= np.sum(q, axis=1, keepdims=True)
        mean = np.sum(q * s, axis=1)
        bend = np.sum(q * s**2, axis=1) - mean**2
        return float(np.mean(mean - np.sum(wanted * s, axis=1))), float(np.mean(bend))

    return _root(slopes)


def line(prior: float, s: Vector, codes: Codes) -> Calibration:
    """Return the best slope and constant for outputs s float64[n] of two classes, beside the log odds of
    their frequencies.

    Outputs that are the same in all rows are brought to 0, so that the frequencies remain.
    """
    if np.ptp(s) < STILL:
        return Calibration(1.0, -float(s[0]))
    largest = float(np.abs(s).max())
    mean, spread = float(np.mean(s / largest)), float(np.std(s / largest))
    if not spread > 0.0:  # not a number, too
        return Calibration(1.0, math.nan)
    u = (s / largest - mean) / spread
    share = 0.5 / len(s)
    wanted = np.where(codes == 1, 1.0 - share, share)
    mean_wanted = float(np.mean(wanted))
    level = math.log(mean_wanted / (1.0 - mean_wanted))
    if float(np.dot(wanted, u)) <= 0.0:  # the best slope is not above 0: the loss is convex
        return Calibration(0.0)
    slope, constant = _two(u, wanted, level)
    return Calibration(slope / spread / largest, constant - slope * mean / spread - prior)


def _two(u: Vector, wanted: Vector, level: float) -> tuple[float, float]:
    """Return the slope and the constant of least log loss, by Newton's steps, halved where they lead up.

    `u` float64[n] has the mean 0, and the spread 1. The loss is log(1 + exp(z)) - wanted z, in the mean.
    """
    design = np.column_stack([u, np.ones_like(u)])

    def loss(at: Vector) -> float:
        z = design @ at
        return float(np.mean(np.logaddexp(0.0, z) - wanted * z))

    at, now = np.array([0.0, level]), loss(np.array([0.0, level]))
    for _ in range(_STEPS):
        q = 0.5 * (1.0 + np.tanh(design @ at / 2.0))
        gradient = design.T @ (q - wanted) / len(u)
        bends = (design.T * (q * (1.0 - q))) @ design / len(u)
        step = np.linalg.lstsq(bends, gradient, rcond=None)[0]
        factors = (0.5**i for i in range(_HALVINGS))
        found = next((each for f in factors if loss(each := at - f * step) < now), None)
        if found is None:
            break
        at, now = found, loss(found)
        if np.abs(step).max() <= 1e-12 * np.abs(at).max():
            break
    return float(at[0]), float(at[1])


def _root(slopes: Slopes) -> float:
    """Return where the slope of a convex function is zero: by Newton's steps, halved where they lead out."""
    low, high = 0.0, 1.0
    if slopes(0.0)[0] >= 0.0:
        return 0.0
    for _ in range(_DOUBLINGS):
        if slopes(high)[0] >= 0.0:
            break
        low, high = high, 2.0 * high
    t = (low + high) / 2.0
    for _ in range(_STEPS):
        slope, bend = slopes(t)
        low, high = (low, t) if slope > 0.0 else (t, high)
        aim = t - slope / bend if bend > 0.0 else low
        aim = aim if low < aim < high else (low + high) / 2.0
        if abs(aim - t) <= 1e-14 * t:
            break
        t = aim
    return t
