"""The highest point along a step, of a few points that were evaluated on it.

A log-likelihood here is concave, so that its slope along a step falls. Between two points the slope is taken
as the cubic through both slopes and curvatures; the gradient follows in the same way. So a step is as long as
it should be, and what it leads to need not be evaluated in a round of its own. The information there is that
of the step's end, with its curvature along the step set right (Broyden and others, 1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.newton import NEAR, Point, length_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_BISECTIONS = 60


@dataclass(frozen=True, eq=False)
class Beside:
    """A point at `t` of a way: log-likelihood, gradient float64[d], and information times way float64[d]."""

    t: float
    value: float
    gradient: Vector
    bend: Vector


def highest_of(end: Point, way: Vector, beside: Sequence[Beside], known: Point | None) -> Point:
    """Return the highest point on a way, of what was evaluated at its `end` (t = 1) and `beside` it.

    `known`: the way's start, where it was evaluated, or found in this way.
    """
    if length_of(way) < NEAR:
        return end  # what was opened, rather than what was interpolated
    points = [Beside(1.0, end.value, end.gradient, end.information @ way), *beside]
    if known is not None:
        points.append(Beside(0.0, known.value, known.gradient, known.information @ way))
    points.sort(key=lambda point: point.t)
    base = end.coefficients - way
    if points[0].gradient @ way <= 0:
        return _at(points[0], base, end, way)
    for one, other in pairwise(points):
        if other.gradient @ way <= 0:
            return _at(_between(one, other, way), base, end, way)
    return _at(points[-1], base, end, way)


def _at(point: Beside, base: Vector, end: Point, way: Vector) -> Point:
    near = length_of((point.t - 1) * way) < NEAR
    information = end.information if near else _corrected(end.information, way, point.bend)
    return Point(base + point.t * way, point.value, point.gradient, information)


def _between(one: Beside, other: Beside, way: Vector) -> Beside:
    """Return the point between two at which the slope is zero."""
    gap = other.t - one.t
    slopes = [gap * float(point.gradient @ way) for point in (one, other)]
    bends = [-gap * gap * float(point.bend @ way) for point in (one, other)]
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _cubic(middle, *slopes, *bends) > 0:
            low = middle
        else:
            high = middle
    part = (low + high) / 2
    ends = (one.gradient, other.gradient, -gap * one.bend, -gap * other.bend)
    value = _cubic(part, one.value, other.value, *slopes)
    return Beside(one.t + part * gap, float(value), _cubic(part, *ends), -_slope(part, *ends) / gap)


def _corrected(information: Matrix, way: Vector, bend: Vector) -> Matrix:
    """Return an information matrix that takes `way` to `bend`, near the given one."""
    old = information @ way
    if not (way @ bend > 0 and way @ old > 0):
        return information
    found = information - np.outer(old, old) / (way @ old) + np.outer(bend, bend) / (way @ bend)
    return np.asarray(found)


def _cubic(
    part: float, start: float | Vector, end: float | Vector, rise: float | Vector, fall: float | Vector
) -> Vector:
    """Return the cubic from `start` to `end` that leaves with slope `rise` and arrives with `fall`."""
    away = 1 - part
    whole = away * away * (1 + 2 * part) * start + part * part * (3 - 2 * part) * end
    return np.asarray(whole + part * away * away * rise - part * part * away * fall)


def _slope(part: float, start: Vector, end: Vector, rise: Vector, fall: Vector) -> Vector:
    """Return the slope of that cubic."""
    away = 1 - part
    between = 6 * part * away * (end - start)
    return np.asarray(between + away * (1 - 3 * part) * rise + part * (3 * part - 2) * fall)
