"""What noise costs a model: campaigns of ten mines on the diabetes rows.

Sums, sampler, release, optimiser and its seven rounds are the product's own. Nothing is encrypted: opening an
answer gives the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, document_of
from sonar.data import examples
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.design import Design, Wish
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.noisy.choosing import NoiseWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.registry import family_of
from sonar.privacy.accounting import rho_of
from sonar.privacy.release import noisy

Matrix = NDArray[np.float64]

MINES, ROUNDS, HOLDOUT = 10, 7, 42
FEW, MANY = 40, 4420
SEEDS, QUICK_SEEDS = 20, 5
DELTA = 1e-5
LEAST = 3
"""The default of a bounty's least cohort."""


@dataclass(frozen=True)
class Deal:
    """The diabetes rows in an order of its own: the first held out, the others dealt to ten mines."""

    seed: int
    rows: int = FEW

    @property
    def table(self) -> tuple[Matrix, Matrix]:
        """The rows in this order: features float64[n, 10], and targets float64[n]."""
        table = examples.load("diabetes")
        order = np.random.default_rng(self.seed).permutation(table.rows)
        return (
            table.matrix(examples.DIABETES_FEATURES)[order],
            table.column(examples.DIABETES_TARGET)[order],
        )

    def r2(self, epsilon: float | None = None, parts: int = 1) -> float:
        """Return the best R^2 of a campaign's rounds on the held-out rows, as the chain would have it."""
        (x, y), rng = self.table, np.random.default_rng([self.seed, 1])
        noise = None if epsilon is None else NoiseWish(rho_of(epsilon, DELTA), parts)
        wish = Wish(key_bits=2048, cohort=MINES, noise=noise)
        held = x[:HOLDOUT], y[:HOLDOUT, None]
        design = Quadratic().design(wish, *held, examples.DIABETES_FEATURES, ["y"], np.random.RandomState)
        dealt = np.resize(np.arange(HOLDOUT, len(x)), MINES * self.rows)
        shards = [
            np.column_stack([x[rows], y[rows]]) for rows in np.array_split(rng.permutation(dealt), MINES)
        ]
        return 1.0 - _campaign(design, [_prepared(design, shard, rng) for shard in shards]) / 1e6


def _prepared(
    design: Design, rows: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator
) -> LocalMap:
    family, spec = family_of(design.spec), design.spec
    price = family.price(spec)
    if price is None:
        plain: LocalMap = family.prepare(spec, design.plan, [rows])
        return plain
    sums = family.sums(spec, [rows])
    values = noisy(sums, price.parts, rng.bytes)
    released: LocalMap = family.released(spec, design.plan, values, sums.rows)
    return released


def _campaign(design: Design, maps: list[LocalMap]) -> int:
    """Return the best loss in millionths."""
    family, optimiser = family_of(design.spec), GradientMemoryWish().optimiser(design.ground)
    course, names = family.start(design), [str(i) for i in range(len(maps))]
    weights = [min(one.rows, design.plan.weight_rows) for one in maps]
    for number in range(1, ROUNDS + 1):
        answers = [one.answer(course.current.weights_int, design.plan.weight_frac) for one in maps]
        columns = zip(*answers, strict=True)
        sums = [sum(n * u for n, u in zip(weights, column, strict=True)) for column in columns]
        course = course.seen(number, sums, sum(weights), names, design.plan)
        course = course.moved(family.step(design, optimiser, course))
    return int(course.best.loss)


def privacy_accuracy(quick: bool) -> dict[str, Any]:
    """R^2 at local and shared noise, of few rows and of many; the mean of 20 seeds."""
    deals = [Deal(seed) for seed in range(QUICK_SEEDS if quick else SEEDS)]
    none = mean(deal.r2() for deal in deals)
    figures = {"without noise": Figure.told(none)}
    for epsilon, limit in ((8.0, 0.40), (4.0, 0.33)):
        local = mean(deal.r2(epsilon) for deal in deals)
        figures[f"local, epsilon {epsilon:g}"] = Figure.least(local, limit)
        for parts in (MINES, LEAST):
            shared = mean(deal.r2(epsilon, parts) for deal in deals)
            closed = (shared - local) / (none - local)
            named = f"epsilon {epsilon:g}, least cohort {parts}"
            figures[f"shared, {named}"] = Figure.told(shared)
            figures[f"of the gap closed, {named}"] = (
                Figure.least(closed, 0.5) if parts == MINES else Figure.told(closed)
            )
    figures["local, epsilon 1"] = Figure.told(mean(deal.r2(1.0) for deal in deals))
    many = [Deal(deal.seed, MANY) for deal in deals]
    plain, noise = (mean(deal.r2(epsilon) for deal in many) for epsilon in (None, 1.0))
    figures[f"{MINES * MANY:,} rows without noise"] = Figure.told(plain)
    figures[f"{MINES * MANY:,} rows, local, epsilon 1: lost"] = Figure.most(plain - noise, 0.005)
    note = (
        f"delta {DELTA:g}; {MINES} mines of {FEW} rows, mean of {len(deals)} seeds, best of {ROUNDS} rounds "
        f"on {HOLDOUT} held-out rows; the {MINES * MANY:,} rows are the other 400 repeated; the gap is that "
        "between local noise and none"
    )
    return document_of(figures, "R2", note)
