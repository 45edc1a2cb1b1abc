"""How good a model to expect at a bounty's noise, told from the held-out rows alone.

The mines' pooled sums are drawn: of rows that are drawn from the holdout with replacement, as many as mines
have in all, plus the noise and the ridge of as many mines. The optimiser then goes its course on them. Judged
on the rows that the sums were drawn from, its losses are too small; judged on a fifth of the rows, with sums
of the others, they are too large: few rows stand for all of the mines'. Half of each comes near (as Efron's
.632, Journal of the American Statistical Association 78, 1983): of ten mines of diabetes within .025 of R^2,
from no noise to epsilon 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.design import Design
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.noisy.choosing import Width, counted_rows
from sonar.families.quadratic.optimisers.base import ORIGIN, Optimiser, Visited
from sonar.families.quadratic.spec import QuadraticSpec

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FOLDS = 5
MOST_ROUNDS = 20
SMALL, LARGE = 60, 300
DRAWS, FEWER = 21, 3
"""How often it is drawn for models of up to `SMALL` weights, and of up to `LARGE`; of more once."""


@dataclass(frozen=True)
class Expected:
    """Losses in millionths of so many mines' models, one for each draw, ascending."""

    mines: int
    losses: tuple[int, ...]

    @property
    def middle(self) -> int:
        """The median."""
        return self.losses[len(self.losses) // 2]

    @property
    def best(self) -> int:
        """The least."""
        return self.losses[0]

    @property
    def worst(self) -> int:
        """The largest."""
        return self.losses[-1]


def expected(design: Design, optimiser: Optimiser, rounds: int, mines: int, seed: int) -> Expected:
    """Return what a campaign of so many mines, of `weight_rows` rows each, ends with on the holdout."""
    weights = design.spec.weights
    draws = DRAWS if weights <= SMALL else FEWER if weights <= LARGE else 1
    rng = np.random.default_rng([seed, mines])
    return Expected(mines, tuple(sorted(_drawn(design, optimiser, rounds, mines, rng) for _ in range(draws))))


def _drawn(design: Design, optimiser: Optimiser, rounds: int, mines: int, rng: np.random.Generator) -> int:
    """Return half of the loss on the same rows and half of that on others; the best round's each."""
    held, size = design.holdout, len(design.holdout.y)
    same = _course(design, optimiser, rounds, _pooled(design, np.arange(size), mines, rng))
    inside = min(held.loss(w, design.metric) for w in same)
    scores = np.zeros((len(same), *held.y.shape))
    for fold in np.array_split(rng.permutation(size), FOLDS):
        others = np.setdiff1d(np.arange(size), fold)
        course = _course(design, optimiser, rounds, _pooled(design, others, mines, rng))
        for number, w in enumerate(course):
            scores[number, fold] = held.scores(w)[fold]
    outside = min(held.loss_of_scores(s, design.metric) for s in scores)
    return (inside + outside) // 2


def _pooled(
    design: Design, rows: NDArray[np.intp], mines: int, rng: np.random.Generator
) -> tuple[Matrix, Matrix]:
    """Return A float64[d, d] and b float64[d, k] of mines whose rows are drawn from these."""
    spec, (phi, z) = design.spec, design.holdout.learned
    each = counted_rows(spec, design.plan.weight_rows)
    total = mines * each
    times = rng.multinomial(total, np.full(len(rows), 1.0 / len(rows)))[:, None]
    gram, cross = phi[rows].T @ (times * phi[rows]), phi[rows].T @ (times * z[rows])
    if spec.noise is not None:
        of = Width.of(spec.noise)
        noise_a, noise_b = _noise(spec, of, rng)
        ridge = np.full(len(gram), mines * of.ridge)
        ridge[-1] = 0.0
        gram, cross = (
            gram + math.sqrt(mines) * noise_a + np.diag(ridge),
            cross + math.sqrt(mines) * noise_b,
        )
    loss = LOSSES[spec.loss]
    return loss.a_factor * gram / total, loss.b_factor * cross / total


def _noise(spec: QuadraticSpec, of: Width, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Return the noise of one mine's sums, as normal numbers."""
    width, outputs = spec.width, spec.outputs
    upper = np.triu(rng.normal(0.0, of.plain * math.sqrt(0.5), (width, width)), 1)
    upper[:, -1] *= of.bias / (of.plain * math.sqrt(0.5))
    own = np.append(rng.normal(0.0, of.plain, width - 1), 0.0)
    cross = rng.normal(0.0, of.target, (width, outputs))
    cross[-1] *= of.both / of.target
    return upper + upper.T + np.diag(own), cross


def _course(
    design: Design, optimiser: Optimiser, rounds: int, pooled: tuple[Matrix, Matrix]
) -> Sequence[Vector]:
    """Return the weights float64[d k] of each round, the start first."""
    a, b = pooled
    visited: list[Visited] = []
    w, coefficients, found = design.start_weights, ORIGIN, [design.start_weights]
    for number in range(1, min(rounds, MOST_ROUNDS) + 1):
        gradient = (b - a @ w.reshape(design.spec.outputs, -1).T).T.ravel()
        visited.append(Visited(number, w, gradient, frozenset(), coefficients))
        step = optimiser.step(visited)
        w, coefficients = step.weights, step.coefficients
        found.append(w)
    return found
