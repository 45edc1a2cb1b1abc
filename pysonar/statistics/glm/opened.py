"""What a step's sums say, by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.newton import Point, length_of
from pysonar.statistics.fits.ray import Beside, highest_of
from sonar.data.fixed import floats
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import width_of
from sonar.families.sums.terms.steps.glm_step import AT, COMMON, GlmStep, sizes_of

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
class Opened:
    """A round: what needs no coefficients, the `end` of its way, other sums there, and the highest point."""

    common: Common
    end: Point
    sums: dict[str, float]
    highest: Point

    @property
    def away(self) -> float:
        """How far the highest point is from the end, where all sums were opened."""
        return length_of(self.highest.coefficients - self.end.coefficients)

    @property
    def separated(self) -> bool:
        """Whether the end's coefficients put every row of a binomial target on its side of 1/2."""
        return bool(np.any(self.end.coefficients[1:])) and round(self.sums["wrong_side"]) == 0


def step_of(spec: SumsSpec) -> GlmStep:
    """Return the question's step."""
    return next(term for term in spec.terms if isinstance(term, GlmStep))


def opened_of(spec: SumsSpec, seen: Seen, known: Point | None) -> Opened:
    """Return a round's sums by name; `known` is the highest point of the round before."""
    term = step_of(spec)
    width, flat = width_of(spec.by_name, term.columns), seen.totals[term.name]
    common, size, _ = sizes_of(width)
    x, xy, scalars = np.split(flat[:common], [width, 2 * width])
    base, way = seen.parameters[1 : 1 + width], seen.parameters[1 + width :]
    units = (1.0, 1.0) if seen.parameters[0] else term.start_units(spec.by_name)
    end, sums = _end(flat[common : common + size], base + way, units)
    blocks = flat[common + size :].reshape(len(term.beside_q32), 1 + 2 * width)
    ts = floats(term.beside_q32)
    beside = [_beside(t, block) for t, block in zip(ts, blocks, strict=True)]
    named = dict(zip(COMMON, map(float, scalars), strict=True))
    highest = highest_of(end, way, beside, known) if seen.parameters[0] else end
    return Opened(Common(x, xy, named), end, sums, highest)


def _end(block: Vector, coefficients: Vector, units: tuple[float, float]) -> tuple[Point, dict[str, float]]:
    width = len(coefficients)
    upper, right, scalars = np.split(block, [width * (width + 1) // 2, width * (width + 3) // 2])
    matrix = np.zeros((width, width))
    matrix[np.triu_indices(width)] = upper * units[0]
    named = dict(zip(AT, map(float, scalars), strict=True))
    return Point(coefficients, named["model"], right * units[1], matrix + np.triu(matrix, 1).T), named


def _beside(t: float, block: Vector) -> Beside:
    right, bend = np.split(block[1:], 2)
    return Beside(float(t), float(block[0]), right, bend)
