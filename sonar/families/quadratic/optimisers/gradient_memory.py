"""Gradient memory: conjugate gradients, in effect, preconditioned by what the holdout tells.

On the mines' pooled data g(w) = b - A w: two rounds of the same cohort show the curvature A along the step
between them, without asking anyone. The next point minimises over all directions seen, then steps along P r,
with r what is left of the newest gradient and P = (A_h + ridge I)^-1 from the holdout's curvature A_h: the
Newton step of a ridge regression. `ridge` is trace(A_h) / n, with n the held-out rows: what a curvature of n
rows leaves unknown of one direction, so that few rows of many columns turn P into a plain gradient step.

Curvature is taken only between rounds of the same cohort, and the step is anchored at the newest gradient,
because the difference of two cohorts' gradients is no curvature: taken as one, a single absent mine threw the
loss from 2.6M to 27M. Two guards keep changing cohorts from throwing a run: what the pairs of several cohorts
do not agree on is not minimised over, and where a step made the mines' loss worse, the holdout's curvature,
which had allowed it, is corrected upwards.

Where a bound stops a weight, P would push against it in all directions at once, and keep the others from
their optimum (Bertsekas, SIAM J. Control and Optimization 20, 1982, p. 224); such steps go along the gradient
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.optimisers.base import (
    ORIGIN,
    Coefficients,
    Ground,
    Matrix,
    OptimiserWish,
    Step,
    Vector,
    Visited,
    bounded,
)

EIGENVALUE_CUTOFF = 1e-6
"""Directions whose measured curvature is below this part of the largest are not minimised over: there,
rounding and differences between cohorts would be divided by almost nothing."""


@dataclass(frozen=True)
class GradientMemory:
    """The default optimiser; see this module's text. Without `preconditioned`, P is I and A_h undamped."""

    ground: Ground
    preconditioned: bool = True

    def precondition(self, vector: Vector) -> Vector:
        """Return P @ vector, output by output."""
        if not self.preconditioned:
            return vector
        return np.asarray((vector.reshape(self.ground.outputs, -1) @ self._inverse).ravel())

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the minimum over the directions seen, and one step along the rest of the newest gradient."""
        last, weight_max = visited[-1], self.ground.weight_max
        along = self.preconditioned and not np.any(_stopped(last, weight_max))
        move, residual = np.zeros_like(last.weights), last.gradient
        change = ORIGIN
        residual_change = Coefficients({(last.number, along): (1.0, {})})
        pairs = pairs_of(visited, weight_max)
        if pairs:
            steps = np.column_stack([(new.weights - old.weights) for old, new in pairs])
            drops = np.column_stack([(old.gradient - new.gradient) for old, new in pairs])
            amounts = _minimise(steps, drops, last.gradient)
            move, residual = steps @ amounts, last.gradient - drops @ amounts
            for amount, (old, new) in zip(amounts, pairs, strict=True):
                change = change.plus(new.coefficients.plus(old.coefficients, -1.0), float(amount))
                drop = Coefficients({(old.number, along): (1.0, {}), (new.number, along): (-1.0, {})})
                residual_change = residual_change.plus(drop, -float(amount))
        direction = self.precondition(residual) if along else residual
        length = self._length(residual, direction, visited, self._ridge if along else 0.0)
        return bounded(last, move + length * direction, change.plus(residual_change, length), weight_max)

    def _length(self, residual: Vector, direction: Vector, visited: Sequence[Visited], ridge: float) -> float:
        """Return the step along `direction` that is best for a quadratic of the holdout's curvature and the
        ridge: 1 for P's own, and less once a step has met more; 0 where it is flat.
        """
        a = self.ground.curvature + ridge * np.eye(len(self.ground.curvature))
        blocks = np.asarray(np.kron(np.eye(self.ground.outputs), a), dtype=np.float64)
        curvature = _corrected(blocks, visited)
        bend = float(direction @ curvature @ direction)
        floor = 1e-12 * float(np.trace(curvature)) * float(direction @ direction)
        return float(residual @ direction) / bend if bend > floor else 0.0

    @property
    def _ridge(self) -> float:
        return float(np.trace(self.ground.curvature)) / self.ground.rows

    @cached_property
    def _inverse(self) -> Matrix:
        """P, float64[d, d], symmetric to the last bit."""
        a = self.ground.curvature
        inverse = np.linalg.inv(a + self._ridge * np.eye(len(a)))
        return np.asarray((inverse + inverse.T) / 2)


class GradientMemoryWish(OptimiserWish):
    """The default. Without `precondition`, its steps go along the plain gradient."""

    kind: Literal["gradient-memory"] = "gradient-memory"
    precondition: bool = True

    def optimiser(self, ground: Ground) -> GradientMemory:
        """Return it for a job."""
        return GradientMemory(ground, self.precondition)


def pairs_of(visited: Sequence[Visited], weight_max: float) -> list[tuple[Visited, Visited]]:
    """Return consecutive rounds of the same cohort that stood at different weights, older first.

    Left out are those between which a weight moved that its bound stops now: no step can follow them.
    """
    stopped = _stopped(visited[-1], weight_max)
    latest: dict[frozenset[str], Visited] = {}
    pairs = []
    for point in visited:
        earlier = latest.get(point.cohort)
        if earlier is not None:
            moved = earlier.weights != point.weights
            if np.any(moved) and not np.any(moved & stopped):
                pairs.append((earlier, point))
        latest[point.cohort] = point
    return pairs


def _stopped(last: Visited, weight_max: float) -> NDArray[np.bool_]:
    """Return which weights stand at their bound and would go further, bool[d k]."""
    return np.asarray(last.weights * np.sign(last.gradient) >= weight_max)


def _minimise(steps: Matrix, drops: Matrix, gradient: Vector) -> Vector:
    """Return the amounts of each step that minimise the pooled quadratic over their span.

    Solves (S^T Y) c = S^T g, with columns scaled to length 1 so that the cut-off means the same for early,
    long steps and late, short ones. Of one cohort S^T Y is symmetric; by how much it is not, pairs of
    different cohorts disagree, and curvatures below that are left out as well.
    """
    sizes = np.linalg.norm(steps, axis=0)
    scaled = steps / sizes
    measured = scaled.T @ (drops / sizes)
    disagreement = float(np.linalg.norm((measured - measured.T) / 2, ord=2))
    values, vectors = np.linalg.eigh((measured + measured.T) / 2)
    keep = values > max(EIGENVALUE_CUTOFF * float(values[-1]), disagreement)
    basis = vectors[:, keep]
    amounts: Vector = basis @ ((basis.T @ (scaled.T @ gradient)) / values[keep]) / sizes
    return amounts


def _corrected(curvature: Matrix, visited: Sequence[Visited]) -> Matrix:
    """Return the holdout's curvature, raised to what was met along each step that made the mines' loss worse.

    With s the step between two rounds, g the negative gradients and y their drop, a quadratic loss falls by
    s.(g_old + g_new) / 2, and its curvature along s is s.y / s.s, the inverse of the step length of Barzilai
    and Borwein (IMA J. Numer. Anal. 8, 1988, p. 141). Of two cohorts this is inexact; so it counts only where
    the loss rose, and only along s. Rounds of one cohort are left to `_minimise`.
    """
    for old, new in pairwise(visited):
        step = new.weights - old.weights
        size = float(np.linalg.norm(step))
        if old.cohort != new.cohort and float(step @ (old.gradient + new.gradient)) < 0.0 < size:
            along = step / size
            met = float(along @ (old.gradient - new.gradient)) / size
            more = max(met - float(along @ curvature @ along), 0.0)
            curvature = curvature + more * np.outer(along, along)
    return curvature
