"""From the aggregated gradients seen so far to the next weights.

Every set of weights a campaign visits is the start plus a linear combination of the aggregated negative
gradients g_1 .. g_t:  w = w_0 + sum_s C_s g_s,  with diagonal C_s: one number for all weights, and another
for the few that were moved otherwise (the bias in the first step, a weight that met its bound). They are
recorded with the weights, because contribution is computed from them (`sonar.families.quadratic.score`).

`GradientMemory` uses that g(w) = b - A w on the mines' pooled data: two rounds of the same cohort show the
curvature A along the step between them, without asking anyone. It minimises over all directions seen, then
steps along what is left of the newest gradient, with the holdout's curvature as step length; in effect
conjugate gradient. Curvature is taken only between rounds of the same cohort, and the step is anchored at the
newest gradient, because the difference of two cohorts' gradients is no curvature: taken as one, a single
absent mine threw the loss from 2.6M to 27M. Two guards keep changing cohorts from throwing a run: what the
pairs of several cohorts do not agree on is not minimised over, and where a step made the mines' loss worse,
the holdout's curvature, which had allowed it, is corrected upwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EIGENVALUE_CUTOFF = 1e-6
"""Directions whose measured curvature is below this part of the largest are not minimised over: there,
rounding and differences between cohorts would be divided by almost nothing."""


_ZERO: tuple[float, Mapping[int, float]] = (0.0, {})


@dataclass(frozen=True)
class Coefficients:
    """How weights are made of gradients: round -> (alpha, own) of the diagonal C, else 0.

    C[j, j] is own[j] for the weights j in `own`, and alpha for all others.
    """

    by_round: Mapping[int, tuple[float, Mapping[int, float]]] = field(default_factory=dict)

    def plus(self, other: Coefficients, factor: float = 1.0) -> Coefficients:
        """Return self + factor * other."""
        total = dict(self.by_round)
        for number, (alpha, own) in other.by_round.items():
            old_alpha, old_own = total.get(number, _ZERO)
            places = {*old_own, *own}
            sums = {j: old_own.get(j, old_alpha) + factor * own.get(j, alpha) for j in places}
            total[number] = (old_alpha + factor * alpha, sums)
        return Coefficients(total)

    def shortened(self, factors: Mapping[int, float]) -> Coefficients:
        """Return F self, with F[j, j] = factors[j], or 1 where there is none."""
        return Coefficients(
            {
                number: (alpha, {**own, **{j: f * own.get(j, alpha) for j, f in factors.items()}})
                for number, (alpha, own) in self.by_round.items()
            }
        )

    def apply(self, number: int, vector: Vector) -> Vector:
        """Return C_number @ vector, which is C_number^T @ vector too."""
        alpha, own = self.by_round.get(number, _ZERO)
        result = alpha * vector
        for j, value in own.items():
            result[j] = value * vector[j]
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
    weight may exceed it in size; one that would stops there. `resolution`: the least difference of two
    weights, once they are rounded.
    """

    curvature: Matrix
    bias: int
    weight_max: float
    resolution: float = 0.0

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the minimum over the directions seen, and one step along the rest of the newest gradient."""
        last = visited[-1]
        if len(visited) == 1 and (first := self._along_bias(last)) is not None:
            return first
        move, residual = np.zeros_like(last.weights), last.gradient
        change = ORIGIN
        residual_change = Coefficients({last.number: (1.0, {})})
        pairs = _pairs(visited, self.weight_max)
        if pairs:
            steps = np.column_stack([(new.weights - old.weights) for old, new in pairs])
            drops = np.column_stack([(old.gradient - new.gradient) for old, new in pairs])
            amounts = _minimise(steps, drops, last.gradient)
            move, residual = steps @ amounts, last.gradient - drops @ amounts
            for amount, (old, new) in zip(amounts, pairs, strict=True):
                change = change.plus(new.coefficients.plus(old.coefficients, -1.0), float(amount))
                drop = Coefficients({old.number: (1.0, {}), new.number: (-1.0, {})})
                residual_change = residual_change.plus(drop, -float(amount))

        length = _cauchy_length(residual, _corrected(self.curvature, visited))
        return _bounded(last, move + length * residual, change.plus(residual_change, length), self.weight_max)

    def _along_bias(self, last: Visited) -> Step | None:
        """Return the first step, along the bias alone: the next round's bias entry must then change by just
        as much, a test that costs nothing.

        None if it rounds to nothing: the next round would stand at the same weights, where the key answers
        the same cohort only, and one mine that is not there again would end the training.
        """
        beta = 1.0 / float(self.curvature[self.bias, self.bias])
        move = np.zeros_like(last.weights)
        move[self.bias] = beta * last.gradient[self.bias]
        if abs(move[self.bias]) <= self.resolution / 2:
            return None
        return _bounded(last, move, Coefficients({last.number: (0.0, {self.bias: beta})}), self.weight_max)


@dataclass(frozen=True)
class GradientDescent:
    """Plain gradient descent: one step of `rate` along the newest gradient. The yardstick for the other."""

    rate: float
    weight_max: float

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the newest point plus `rate` times its gradient."""
        last = visited[-1]
        change = Coefficients({last.number: (self.rate, {})})
        return _bounded(last, self.rate * last.gradient, change, self.weight_max)


def default_rate(curvature: Matrix) -> float:
    """Return a rate at which gradient descent is stable on the holdout: 1 / its largest curvature."""
    return 1.0 / float(np.linalg.eigvalsh(curvature)[-1])


def _pairs(visited: Sequence[Visited], weight_max: float) -> list[tuple[Visited, Visited]]:
    """Return consecutive rounds of the same cohort that stood at different weights, older first.

    Left out are those between which a weight moved that its bound stops now: no step can follow them.
    """
    last = visited[-1]
    stopped = last.weights * np.sign(last.gradient) >= weight_max
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


def _cauchy_length(residual: Vector, curvature: Matrix) -> float:
    """Return the step along `residual` that is best for a quadratic of this curvature; 0 where it is flat."""
    bend = float(residual @ curvature @ residual)
    floor = 1e-12 * float(np.trace(curvature)) * float(residual @ residual)
    return float(residual @ residual) / bend if bend > floor else 0.0


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


def _bounded(last: Visited, move: Vector, change: Coefficients, weight_max: float) -> Step:
    """Return `last` moved by `move`, but for weights that would exceed `weight_max`: they stop there."""
    aim = last.weights + move
    weights = np.clip(aim, -weight_max, weight_max)
    parts = {int(j): float((weights[j] - last.weights[j]) / move[j]) for j in np.flatnonzero(weights != aim)}
    return Step(weights, last.coefficients.plus(change.shortened(parts)))
