"""The highest point along a step, of a few points that were evaluated on it.

A log-likelihood here is concave, so that its slope along a step falls. Between two points the slope is taken
as the cubic through both slopes and curvatures; gradient and information follow in the same way. So a step is
as long as it should be, and what it leads to need not be evaluated in a round of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.newton import Point

Vector = NDArray[np.float64]
_BISECTIONS = 60


@dataclass(frozen=True, eq=False)
class Ray:
    """Evaluated points base + t `way`, with t ascending."""

    along: tuple[float, ...]
    points: tuple[Point, ...]
    way: Vector

    def highest(self) -> tuple[float, Point]:
        """Return where the log-likelihood is highest, within the points, and what it is like there."""
        slopes = [float(point.gradient @ self.way) for point in self.points]
        if slopes[0] <= 0:
            return self.along[0], self.points[0]
        for place in range(1, len(slopes)):
            if slopes[place] <= 0:
                part = self._root(place, slopes[place - 1], slopes[place])
                start, end = self.along[place - 1 : place + 1]
                return start + part * (end - start), self._between(place, part)
        return self.along[-1], self.points[-1]

    def _root(self, place: int, before: float, after: float) -> float:
        """Return the part of the way from the point before `place` at which the slope is zero."""
        gap = self.along[place] - self.along[place - 1]
        bends = [
            -gap * float(self.way @ point.information @ self.way)
            for point in self.points[place - 1 : place + 1]
        ]
        low, high = 0.0, 1.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if float(_cubic(middle, before, after, *bends)) > 0:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def _between(self, place: int, part: float) -> Point:
        """Return the point at that part of the way from the point before `place` to that at it."""
        one, other = self.points[place - 1 : place + 1]
        gap = self.along[place] - self.along[place - 1]
        way = gap * self.way
        ends = [one.gradient, other.gradient]
        bends = [-point.information @ way for point in (one, other)]
        slopes = [float(point.gradient @ way) for point in (one, other)]
        return Point(
            one.coefficients + part * way,
            float(_cubic(part, one.value, other.value, *slopes)),
            np.asarray(_cubic(part, *ends, *bends)),
            self._information(place, part),
        )

    def _information(self, place: int, part: float) -> NDArray[np.float64]:
        """Return the information there: the parabola through three points where there are three."""
        around = list(range(max(place - 1, 0), min(place + 2, len(self.points))))
        if len(around) < 3 and place >= 2:
            around = [place - 2, *around]
        t = self.along[place - 1] + part * (self.along[place] - self.along[place - 1])
        places = np.array([self.along[each] for each in around])
        found = np.zeros_like(self.points[0].information)
        for own, each in enumerate(around):
            others = np.delete(places, own)
            found += float(np.prod((t - others) / (places[own] - others))) * self.points[each].information
        linear = (1 - part) * self.points[place - 1].information + part * self.points[place].information
        return found if np.all(np.diagonal(found) > np.diagonal(linear) / 2) else linear


def highest_of(along: Sequence[float], points: Sequence[Point], way: Vector, known: Point | None) -> Point:
    """Return the highest point of those evaluated at `along`, and of one `known` at 0 if that is not there."""
    if along[0] > 0 and known is not None:
        along, points = (0.0, *along), (known, *points)
    return Ray(tuple(along), tuple(points), way).highest()[1]


def _cubic(
    part: float, start: float | Vector, end: float | Vector, rise: float | Vector, fall: float | Vector
) -> float | Vector:
    """Return the cubic from `start` to `end` that leaves with slope `rise` and arrives with `fall`."""
    away = 1 - part
    return (
        away * away * (1 + 2 * part) * start
        + part * part * (3 - 2 * part) * end
        + part * away * away * rise
        - part * part * away * fall
    )
