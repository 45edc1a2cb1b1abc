"""Newton's method on opened sums: points of a log-likelihood, and where a step from one leads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
SMALL_STEP = 1e-7
"""Design rows are within ±1: a step whose absolute values add up to less moves no predictor further."""
NEAR = 1e-4
"""Points that are nearer than this are one: rounding lets nothing finer be told of an information."""
_INTERPOLATED = 0.05  # what an interpolated point may err by, of its distance to an evaluated one
CONVERGED_STEP = 3e-3
"""The step that is taken last, from the last point, errs by about its square."""


@dataclass(frozen=True, eq=False)
class Point:
    """A log-likelihood at coefficients float64[d], with its gradient and (observed) information."""

    coefficients: Vector
    value: float
    gradient: Vector
    information: Matrix

    @property
    def step(self) -> Vector:
        """Newton's step from here, float64[d]; of a singular information the shortest one."""
        return solved(self.information, self.gradient)


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the search ended: the last point, the coefficients a step after it, and the step's length."""

    point: Point
    coefficients: Vector
    length: float

    @property
    def converged(self) -> bool:
        """Whether the last step was short enough to be the last one."""
        return self.length < CONVERGED_STEP

    @property
    def value(self) -> float:
        """The log-likelihood at the coefficients: the point's, and what the last step adds."""
        step = self.coefficients - self.point.coefficients
        return self.point.value + float(self.point.gradient @ step - step @ self.point.information @ step / 2)


def optimum_of(point: Point, away: float) -> Optimum:
    """Return where Newton's step from a point leads; a step that is too long to trust is not taken.

    `away`: how far the point is from where sums were opened; between, it was interpolated.
    """
    step = point.step
    length = length_of(step)
    taken = step if length < 1 else np.zeros(len(step))
    return Optimum(point, point.coefficients + taken, length + _INTERPOLATED * away)


def stands(point: Point, away: float) -> bool:
    """Tell whether no step matters any more, and sums were opened here or next to it."""
    return length_of(point.step) < SMALL_STEP and away < NEAR


def length_of(step: Vector) -> float:
    """Return the most that a step moves a linear predictor of a design row within ±1."""
    return float(np.abs(step).sum())


def solved(matrix: Matrix, right: Vector) -> Vector:
    """Return matrix^-1 right, of a symmetric matrix scaled to ones; least squares if singular."""
    scale = scales_of(matrix)
    scaled = matrix / np.outer(scale, scale)
    return np.asarray(np.linalg.lstsq(scaled, right / scale, rcond=1e-12)[0] / scale)


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a symmetric matrix in the same way, float64[d, d]."""
    scale = scales_of(matrix)
    found = np.linalg.pinv(matrix / np.outer(scale, scale), rcond=1e-12, hermitian=True)
    return np.asarray(found / np.outer(scale, scale))


def scales_of(matrix: Matrix) -> Vector:
    """Return the roots of a matrix's diagonal, and 1 where that is not above 0."""
    diagonal = np.diagonal(matrix)
    return np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
