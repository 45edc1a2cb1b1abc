"""What noise costs a model: campaigns of ten mines on the diabetes rows.

Sums, sampler, release, optimiser and its seven rounds are the product's own. Nothing is encrypted: opening an
answer gives the same integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, document_of
from sonar.data import examples
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.noisy.choosing import NoiseWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.registry import family_of
from sonar.privacy.accounting import rho_of
from sonar.privacy.release import noisy
from sonar.settling.shares import shares_of

Matrix = NDArray[np.float64]

MINES, ROUNDS, HOLDOUT = 10, 7, 42
FEW, MANY = 40, 4420
SEEDS, QUICK_SEEDS, SHARE_SEEDS = 20, 5, 50
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
        design = self._design(epsilon, parts)
        dealt = rng.permutation(np.resize(np.arange(HOLDOUT, len(x)), MINES * self.rows))
        tables = [np.column_stack([x[rows], y[rows]]) for rows in np.array_split(dealt, MINES)]
        return 1.0 - _campaign(design, [_prepared(design, table, rng) for table in tables])[0] / 1e6

    def shares(self, epsilon: float) -> list[float]:
        """Return which part of a campaign's reward each of ten mines is paid that have the same rows, with
        noise of their own; the mean of the rounds that earned some, by what they earned.
        """
        (x, y), rng = self.table, np.random.default_rng([self.seed, 2])
        design = self._design(epsilon, 1)
        table = np.column_stack([x, y])[HOLDOUT : HOLDOUT + self.rows]
        _, paid = _campaign(design, [_prepared(design, table, rng) for _ in range(MINES)])
        return [part / sum(paid) for part in paid]

    def _design(self, epsilon: float | None, parts: int) -> Design:
        x, y = self.table
        noise = None if epsilon is None else NoiseWish(rho_of(epsilon, DELTA), parts)
        wish, held = Wish(key_bits=2048, cohort=MINES, noise=noise), (x[:HOLDOUT], y[:HOLDOUT, None])
        return design_of(wish, *held, examples.DIABETES_FEATURES, ["y"], np.random.RandomState)


def _prepared(design: Design, rows: Matrix, rng: np.random.Generator) -> LocalMap:
    family, spec = family_of(design.spec), design.spec
    price = family.price(spec)
    if price is None:
        plain: LocalMap = family.prepare(spec, design.plan, [rows])
        return plain
    sums = family.sums(spec, [rows])
    values = noisy(sums, price.parts, rng.bytes)
    released: LocalMap = family.released(spec, design.plan, values, sums.rows)
    return released


def _campaign(design: Design, maps: Sequence[LocalMap]) -> tuple[int, list[float]]:
    """Return the best loss in millionths, and what each mine was paid, in millionths of loss."""
    family, optimiser = family_of(design.spec), GradientMemoryWish().optimiser(design.ground)
    course, names = family.start(design), [f"0x{i:040x}" for i in range(len(maps))]
    weights = [min(one.rows, design.plan.weight_rows) for one in maps]
    sent: dict[int, list[list[int]]] = {}
    paid = [0.0] * len(maps)
    for number in range(1, ROUNDS + 1):
        frac = design.plan.weight_frac
        sent[number] = answers = [one.answer(course.current.weights_int, frac) for one in maps]
        columns = zip(*answers, strict=True)
        sums = [sum(n * u for n, u in zip(weights, column, strict=True)) for column in columns]
        course = course.seen(number, sums, sum(weights), names, design.plan)
        point = family.step(design, optimiser, course)
        vectors = family.score_vectors(design, optimiser, course, point)
        shares = shares_of(_scores(names, weights, sent, vectors), names)
        gained = max(course.best.loss - point.loss, 0)
        paid = [before + gained * shares[name] / 10_000 for before, name in zip(paid, names, strict=True)]
        course = course.moved(point)
    return int(course.best.loss), paid


def _scores(
    names: Sequence[str],
    weights: Sequence[int],
    sent: Mapping[int, Sequence[Sequence[int]]],
    vectors: Mapping[int, Matrix],
) -> dict[str, float]:
    return {
        name: sum(weights[i] * float(vector @ np.array(sent[n][i], float)) for n, vector in vectors.items())
        for i, name in enumerate(names)
    }


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


def privacy_shares(quick: bool) -> dict[str, Any]:
    """How far the mean shares of mines with the same rows lie from a tenth, in standard errors."""
    seeds = range(SHARE_SEEDS // 5 if quick else SHARE_SEEDS)
    figures = {}
    for epsilon in (8.0, 4.0):
        shares = np.array([Deal(seed).shares(epsilon) for seed in seeds])
        errors = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
        off = np.abs(shares.mean(axis=0) - 1 / MINES) / errors
        named = f"local, epsilon {epsilon:g}"
        figures[f"{named}: root mean square"] = Figure.most(float(np.sqrt(np.mean(off**2))), 1.5)
        figures[f"{named}: farthest of ten"] = Figure.most(float(off.max()), 3.0)
        figures[f"{named}: deviation of a share"] = Figure.told(float(shares.std(axis=0).mean()))
    note = (
        f"in standard errors over {len(seeds)} seeds; ten mines with the same {FEW} rows and noise of their "
        "own. By chance alone the root mean square is about 1, and the farthest of ten above 3 once in 40"
    )
    return document_of(figures, "standard errors", note)
