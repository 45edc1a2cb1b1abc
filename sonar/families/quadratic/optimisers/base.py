"""How weights come about, and what an optimiser is. Each has a file of its own, and a line in the registry.

Every set of weights a campaign visits is the start plus a linear combination of the aggregated negative
gradients g_1 .. g_t:  w = w_0 + sum_s (D_s P + E_s) g_s,  with P a symmetric matrix that the optimiser fixes
once, and diagonal D_s and E_s: one number for all weights, and another for the few that met their bound. They
are recorded with the weights, because contribution is computed from them (`sonar.families.quadratic.score`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Precondition = Callable[[Vector], Vector]
"""P of this module's text, times a vector float64[d k]."""


Diagonal = tuple[float, Mapping[int, float]]
"""(alpha, own): entry j is own[j] for the weights j in `own`, and alpha for all others."""
Listed = list[tuple[int, bool, float, list[tuple[int, float]]]]
"""Coefficients in JSON's own types: round, whether it is D, alpha, own by place."""

_ZERO: Diagonal = (0.0, {})


@dataclass(frozen=True)
class Coefficients:
    """How weights are made of gradients: D of each round is at (round, True), E at (round, False), else 0."""

    terms: Mapping[tuple[int, bool], Diagonal] = field(default_factory=dict)

    @property
    def rounds(self) -> list[int]:
        """The rounds whose gradients count, ascending."""
        return sorted({number for number, _ in self.terms})

    def plus(self, other: Coefficients, factor: float = 1.0) -> Coefficients:
        """Return self + factor * other."""
        total = dict(self.terms)
        for term, (alpha, own) in other.terms.items():
            old_alpha, old_own = total.get(term, _ZERO)
            places = {*old_own, *own}
            sums = {j: old_own.get(j, old_alpha) + factor * own.get(j, alpha) for j in places}
            total[term] = (old_alpha + factor * alpha, sums)
        return Coefficients(total)

    def shortened(self, factors: Mapping[int, float]) -> Coefficients:
        """Return F self, with F[j, j] = factors[j], or 1 where there is none."""
        return Coefficients(
            {
                term: (alpha, {**own, **{j: f * own.get(j, alpha) for j, f in factors.items()}})
                for term, (alpha, own) in self.terms.items()
            }
        )

    def apply(self, number: int, gradient: Vector, precondition: Precondition) -> Vector:
        """Return (D P + E) gradient for the round `number`."""
        return self._times(number, True, precondition(gradient)) + self._times(number, False, gradient)

    def apply_transposed(self, number: int, vector: Vector, precondition: Precondition) -> Vector:
        """Return (P D + E) vector for the round `number`."""
        return precondition(self._times(number, True, vector)) + self._times(number, False, vector)

    def _times(self, number: int, preconditioned: bool, vector: Vector) -> Vector:
        alpha, own = self.terms.get((number, preconditioned), _ZERO)
        result = alpha * vector
        for j, value in own.items():
            result[j] = value * vector[j]
        return result

    def listed(self) -> Listed:
        """Return them for a journal."""
        return [(*term, alpha, sorted(own.items())) for term, (alpha, own) in sorted(self.terms.items())]

    @classmethod
    def of(cls, listed: Listed) -> Coefficients:
        """Read what `listed` wrote."""
        return cls({(number, d): (alpha, dict(own)) for number, d, alpha, own in listed})


ORIGIN = Coefficients()


@dataclass(frozen=True)
class Visited:
    """One round whose aggregate was decrypted: where it stood, and what came back.

    `weights` float64[d k], output by output; `gradient` float64[d k], the row-weighted mean of the accepted
    updates; `cohort` the accepted mines; `coefficients` say how `weights` came about.
    """

    number: int
    weights: Vector
    gradient: Vector
    cohort: frozenset[str]
    coefficients: Coefficients


@dataclass(frozen=True)
class Step:
    """Where to go next, before rounding to fixed point: `weights` float64[d k], and how they came about."""

    weights: Vector
    coefficients: Coefficients


class Optimiser(Protocol):
    """Chooses the next weights."""

    def precondition(self, vector: Vector) -> Vector:
        """Return P @ vector, which is P^T @ vector too, for float64[d k]."""
        ...

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the next point from all visited ones, oldest first (at least one)."""
        ...


@dataclass(frozen=True)
class Ground:
    """What an optimiser knows of a job. All outputs share the curvature.

    `curvature` float64[d, d]: the map's on the holdout, of one output. `rows`: how many held-out rows it is
    made of. `weight_max`: no weight may exceed it in size.
    """

    curvature: Matrix
    rows: int
    outputs: int
    weight_max: float


class OptimiserWish(BaseModel, ABC):
    """An optimiser that a scientist names, with the parameters that `bounty.toml` has for it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: str

    @abstractmethod
    def optimiser(self, ground: Ground) -> Optimiser:
        """Return it for a job."""


def bounded(last: Visited, move: Vector, change: Coefficients, weight_max: float) -> Step:
    """Return `last` moved by `move`, but for weights that would exceed `weight_max`: they stop there.

    `change` says how `move` is made of gradients.
    """
    aim = last.weights + move
    weights = np.clip(aim, -weight_max, weight_max)
    parts = {int(j): float((weights[j] - last.weights[j]) / move[j]) for j in np.flatnonzero(weights != aim)}
    return Step(weights, last.coefficients.plus(change.shortened(parts)))
