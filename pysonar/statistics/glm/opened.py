"""What a step's sums say, by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.newton import Point
from pysonar.statistics.fits.ray import highest_of
from sonar.data.fixed import floats
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import width_of
from sonar.families.sums.terms.glm_step import AT, COMMON, GlmStep, sizes_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Common:
    """What does not depend on coefficients: sums of x and x y, float64[d], and others by name."""

    x: Vector
    xy: Vector
    sums: dict[str, float]

    @property
    def rows(self) -> int:
        """How many complete rows there are."""
        return round(self.sums["rows"])

    @property
    def weight(self) -> float:
        """What the rows weigh together."""
        return self.sums["weight"]

    @property
    def y(self) -> float:
        """The weighted sum of the target."""
        return self.sums["y"]


@dataclass(frozen=True, eq=False)
class At:
    """What was summed at a point, and other sums there by name."""

    point: Point
    sums: dict[str, float]


@dataclass(frozen=True, eq=False)
class Opened:
    """A round: what does not depend on coefficients, points at `along` on a way, and the highest of that."""

    common: Common
    along: tuple[float, ...]
    at: tuple[At, ...]
    way: Vector
    highest: Point

    @property
    def nearest(self) -> At:
        """The evaluated point that is nearest to the highest."""
        distances = [np.abs(at.point.coefficients - self.highest.coefficients).sum() for at in self.at]
        return self.at[int(np.argmin(distances))]

    @property
    def separated(self) -> At | None:
        """A point whose coefficients put every row of a binomial target on its side of 1/2."""
        moved = [at for at in self.at if np.any(at.point.coefficients[1:])]
        return next((at for at in moved if round(at.sums["wrong_side"]) == 0), None)


def step_of(spec: SumsSpec) -> GlmStep:
    """Return the question's step."""
    return next(term for term in spec.terms if isinstance(term, GlmStep))


def opened_of(spec: SumsSpec, seen: Seen, known: Point | None) -> Opened:
    """Return a round's sums by name; `known` is the highest point of the round before."""
    term = step_of(spec)
    width, flat = width_of(spec.by_name, term.columns), seen.totals[term.name]
    common, size = sizes_of(width)
    x, xy, scalars = np.split(flat[:common], [width, 2 * width])
    base, way = seen.parameters[1 : 1 + width], seen.parameters[1 + width :]
    along = tuple(floats(term.along_q32))
    blocks = flat[common:].reshape(len(along), size)
    at = tuple(_at(block, base + t * way) for t, block in zip(along, blocks, strict=True))
    named = dict(zip(COMMON, map(float, scalars), strict=True))
    highest = highest_of(along, [each.point for each in at], way, known)
    return Opened(Common(x, xy, named), along, at, way, highest)


def _at(block: Vector, coefficients: Vector) -> At:
    width = len(coefficients)
    upper, right, scalars = np.split(block, [width * (width + 1) // 2, width * (width + 3) // 2])
    matrix = np.zeros((width, width))
    matrix[np.triu_indices(width)] = upper
    matrix = matrix + np.triu(matrix, 1).T
    named = dict(zip(AT, map(float, scalars), strict=True))
    return At(Point(coefficients, named["model"], right, matrix), named)
