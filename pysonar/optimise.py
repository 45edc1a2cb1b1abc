"""From the aggregated gradients seen so far to the next weights.

Every set of weights a campaign visits is the start plus a linear combination of the aggregated negative
gradients g_1 .. g_t:  w = w_0 + sum_s C_s g_s,  with  C_s = alpha_s I + beta_s P,  P the projection on the
bias. The two scalars per round are recorded with the weights, because contribution is computed from them
(`pysonar.score`).

`GradientMemory` uses that g(w) = b - A w on the mines' pooled data: two rounds of the same cohort show the
curvature A along the step between them, without asking anyone. It minimises over all directions seen, then
steps along what is left of the newest gradient, with the holdout's curvature as step length; in effect
conjugate gradient. Curvature is taken only between rounds of the same cohort, and the step is anchored at the
newest gradient, because the difference of two cohorts' gradients is no curvature: taken as one, a single
absent mine threw the loss from 2.6M to 27M.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EIGENVALUE_CUTOFF = 1e-6
"""Directions whose measured curvature is below this part of the largest are not minimised over: there,
rounding and differences between cohorts would be divided by almost nothing."""


@dataclass(frozen=True)
class Coefficients:
    """How weights are made of gradients: round -> (alpha, beta) of C = alpha I + beta P, else 0."""

    by_round: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def plus(self, other: Coefficients, factor: float = 1.0) -> Coefficients:
        """Return self + factor * other."""
        total = dict(self.by_round)
        for number, (alpha, beta) in other.by_round.items():
            old_alpha, old_beta = total.get(number, (0.0, 0.0))
            total[number] = (old_alpha + factor * alpha, old_beta + factor * beta)
        return Coefficients(total)

    def apply_transposed(self, number: int, vector: Vector, bias: int) -> Vector:
        """Return C_number^T @ vector; C is symmetric, so this is C_number @ vector too."""
        alpha, beta = self.by_round.get(number, (0.0, 0.0))
        result = alpha * vector
        result[bias] += beta * vector[bias]
        return result


ORIGIN = Coefficients()


@dataclass(frozen=True)
class Visited:
    """One round whose aggregate was decrypted: where it stood, and what came back.

    `weights` float64[d]; `gradient` float64[d], the row-weighted mean of the accepted updates; `cohort` the
    accepted mines; `coefficients` say how `weights` came about.
    """

    number: int
    weights: Vector
    gradient: Vector
    cohort: frozenset[str]
    coefficients: Coefficients


@dataclass(frozen=True)
class Step:
    """Where to go next, before rounding to fixed point: `weights` float64[d], and how they came about."""

    weights: Vector
    coefficients: Coefficients


class Optimiser(Protocol):
    """Chooses the next weights."""

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the next point from all visited ones, oldest first (at least one)."""
        ...


@dataclass(frozen=True)
class GradientMemory:
    """The default optimiser; see this module's text.

    `curvature` float64[d, d]: the map's curvature on the holdout. `bias`: the bias's column. `weight_max`: no
    weight may exceed it in size; a step that would is shortened.
    """

    curvature: Matrix
    bias: int
    weight_max: float

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the minimum over the directions seen, and one step along the rest of the newest gradient."""
        last = visited[-1]
        if len(visited) == 1:
            # The next round's bias entry must then change by exactly this much: a test that costs nothing.
            beta = 1.0 / float(self.curvature[self.bias, self.bias])
            move = np.zeros_like(last.weights)
            move[self.bias] = beta * last.gradient[self.bias]
            return _bounded(last, move, Coefficients({last.number: (0.0, beta)}), self.weight_max)

        move, residual = np.zeros_like(last.weights), last.gradient
        change = ORIGIN
        residual_change = Coefficients({last.number: (1.0, 0.0)})
        pairs = _pairs(visited)
        if pairs:
            steps = np.column_stack([(new.weights - old.weights) for old, new in pairs])
            drops = np.column_stack([(old.gradient - new.gradient) for old, new in pairs])
            amounts = _minimise(steps, drops, last.gradient)
            move, residual = steps @ amounts, last.gradient - drops @ amounts
            for amount, (old, new) in zip(amounts, pairs, strict=True):
                change = change.plus(new.coefficients.plus(old.coefficients, -1.0), float(amount))
                drop = Coefficients({old.number: (1.0, 0.0), new.number: (-1.0, 0.0)})
                residual_change = residual_change.plus(drop, -float(amount))

        length = _cauchy_length(residual, self.curvature)
        return _bounded(last, move + length * residual, change.plus(residual_change, length), self.weight_max)


@dataclass(frozen=True)
class GradientDescent:
    """Plain gradient descent: one step of `rate` along the newest gradient. The yardstick for the other."""

    rate: float
    weight_max: float

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the newest point plus `rate` times its gradient."""
        last = visited[-1]
        change = Coefficients({last.number: (self.rate, 0.0)})
        return _bounded(last, self.rate * last.gradient, change, self.weight_max)


def default_rate(curvature: Matrix) -> float:
    """Return a rate at which gradient descent is stable on the holdout: 1 / its largest curvature."""
    return 1.0 / float(np.linalg.eigvalsh(curvature)[-1])


def _pairs(visited: Sequence[Visited]) -> list[tuple[Visited, Visited]]:
    """Return consecutive rounds of the same cohort that stood at different weights, older first."""
    latest: dict[frozenset[str], Visited] = {}
    pairs = []
    for point in visited:
        earlier = latest.get(point.cohort)
        if earlier is not None and np.any(earlier.weights != point.weights):
            pairs.append((earlier, point))
        latest[point.cohort] = point
    return pairs


def _minimise(steps: Matrix, drops: Matrix, gradient: Vector) -> Vector:
    """Return the amounts of each step that minimise the pooled quadratic over their span.

    Solves (S^T Y) c = S^T g, with columns scaled to length 1 so that the cut-off means the same for early,
    long steps and late, short ones; symmetrised, because pairs of different cohorts need not agree.
    """
    sizes = np.linalg.norm(steps, axis=0)
    scaled = steps / sizes
    measured = scaled.T @ (drops / sizes)
    values, vectors = np.linalg.eigh((measured + measured.T) / 2)
    keep = values > EIGENVALUE_CUTOFF * max(float(values[-1]), 0.0)
    basis = vectors[:, keep]
    amounts: Vector = basis @ ((basis.T @ (scaled.T @ gradient)) / values[keep]) / sizes
    return amounts


def _cauchy_length(residual: Vector, curvature: Matrix) -> float:
    """Return the step along `residual` that is best for a quadratic of this curvature; 0 where it is flat."""
    bend = float(residual @ curvature @ residual)
    floor = 1e-12 * float(np.trace(curvature)) * float(residual @ residual)
    return float(residual @ residual) / bend if bend > floor else 0.0


def _bounded(last: Visited, move: Vector, change: Coefficients, weight_max: float) -> Step:
    """Return `last` moved by `move`, shortened so that no weight exceeds `weight_max`."""
    factor = 1.0
    for start, delta in zip(last.weights, move, strict=True):
        room = weight_max - float(start) * float(np.sign(delta))
        if abs(delta) > room:
            factor = min(factor, max(room, 0.0) / float(abs(delta)))
    return Step(last.weights + factor * move, last.coefficients.plus(change, factor))
