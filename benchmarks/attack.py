"""Who knows all rows but one, and sees every release of fifty bounties: what they learn of that row.

The row is one of two, as unlike each other as the bounds allow. The attacker adds up, over everything
released, how much likelier it is with one than with the other: no test is better (Neyman and Pearson 1933).
From how often they are right follows the least epsilon that the mine can truly have had.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, document_of
from sonar.data import examples
from sonar.families.quadratic.design import Wish, design_of
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.registry import family_of
from sonar.privacy.accounting import rho_of
from sonar.privacy.release import noisy
from sonar.privacy.terms import RowSums

Vector = NDArray[np.float64]

BOUNTIES, TRIALS, QUICK_TRIALS = 50, 10_000, 2_000
ROWS, HOLDOUT, COLUMNS = 40, 42, 4
EPSILONS, DELTA = (1.0, 4.0, 8.0), 1e-5
FRAC, LENGTH = 12, 2 << 12
SURE = 0.95


@dataclass(frozen=True)
class Bounty:
    """One bounty's sums with the first row and with the second, and how much noise they get."""

    sums: tuple[RowSums, RowSums]
    parts: int

    @classmethod
    def asking(cls, columns: Sequence[str], rho: Fraction) -> Bounty:
        """The bounty for some of the columns of the diabetes rows, at this price."""
        table = examples.load("diabetes")
        x, y = table.matrix(tuple(columns)), table.column(examples.DIABETES_TARGET)
        held = x[:HOLDOUT], y[:HOLDOUT, None]
        spec = _with_noise(design_of(Wish(), *held, list(columns), ["y"], np.random.RandomState).spec, rho)
        mine = np.column_stack([x, y])[HOLDOUT : HOLDOUT + ROWS]
        far = 1e3 * mine.std(axis=0)
        family = family_of(spec)
        found = []
        for last in (mine.mean(axis=0) + far, mine.mean(axis=0) - far):
            found.append(family.sums(spec, [np.vstack([mine[:-1], last])]))
        return cls((found[0], found[1]), 1)

    def evidence(self, which: int, trials: int) -> Vector:
        """How much likelier each of many releases of the row `which` is with the second, float64[trials]."""
        first, second = (np.array([float(v) for v in each.values]) for each in self.sums)
        variances = np.array([float(v) for v in self.sums[0].variances])
        values, whole = self.sums[which].values, self.sums[which]
        many = RowSums([*values] * trials, [*whole.variances] * trials, whole.rows, whole.clipped)
        seen = np.array(noisy(many, self.parts, secrets.token_bytes), np.float64).reshape(trials, -1)
        likelier: Vector = (seen - (first + second) / 2) @ ((second - first) / variances)
        return likelier


def _with_noise(spec: QuadraticSpec, rho: Fraction) -> QuadraticSpec:
    """The spec with noise of this price; row_max and constant are alike, for which two rows differ most."""
    deviation = math.isqrt(int((2 * LENGTH**2) ** 2 / rho)) + 1
    noise = {"frac": FRAC, "row_max": LENGTH, "constant": LENGTH, "target_unit": 1 << FRAC}
    return QuadraticSpec.parse(spec.model_dump() | {"noise": noise | {"deviation": deviation}})


def asked(rho: Fraction, bounties: int) -> list[Bounty]:
    """Bounties that each ask for other columns, and together cost `rho`."""
    chosen = islice(combinations(examples.DIABETES_FEATURES, COLUMNS), 0, 4 * bounties, 4)
    return [Bounty.asking(columns, rho / bounties) for columns in chosen]


def attacked(bounties: Sequence[Bounty], trials: int) -> tuple[Vector, Vector]:
    """The evidence of all bounties together: half of the trials are with the first row."""
    found = [sum(each.evidence(which, trials // 2) for each in bounties) for which in (0, 1)]
    return np.asarray(found[0]), np.asarray(found[1])


def empirical_epsilon(first: Vector, second: Vector, delta: float) -> float:
    """The least epsilon that the evidence allows, with 95% certainty for either direction; at least 0.

    A half of the trials chooses where to draw the line, the other half counts.
    """
    best = 0.0
    for quiet, loud in ((first, second), (-second, -first)):
        line = _line(quiet[::2], loud[::2], delta)
        wrong, right = int((quiet[1::2] >= line).sum()), int((loud[1::2] >= line).sum())
        rate = 1 - most_likely(len(loud[1::2]) - right, len(loud[1::2])) - delta
        if rate > 0:
            best = max(best, math.log(rate / most_likely(wrong, len(quiet[1::2]))))
    return best


def _line(quiet: Vector, loud: Vector, delta: float) -> float:
    """Where the ratio of both chances is largest, each about two standard errors worse than it was seen."""
    lines = np.sort(loud)
    wrong = len(quiet) - np.searchsorted(np.sort(quiet), lines) + 1.0
    right = len(loud) - np.arange(len(loud), dtype=np.float64)
    worse = (right - 2 * np.sqrt(right)) / len(loud) - delta
    return float(lines[np.argmax(worse / (wrong + 2 * np.sqrt(wrong)))])


def most_likely(events: int, trials: int) -> float:
    """The largest chance for which so few events are not rarer than 5% (Clopper and Pearson 1934)."""
    low, high = events / trials, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _as_few(events, trials, middle) > 1 - SURE else (low, middle)
    return high


def _as_few(events: int, trials: int, chance: float) -> float:
    """The chance of at most so many events."""
    if chance >= 1:
        return float(events >= trials)
    k = np.arange(events + 1)
    ways = np.array([math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in k])
    return float(np.exp(ways + k * math.log(chance) + (trials - k) * math.log1p(-chance)).sum())


def right_without_noise(bounty: Bounty, trials: int) -> float:
    """How often exact sums of one bounty tell which of the rows is there."""
    right = 0
    for _ in range(trials):
        which = secrets.randbelow(2)
        seen = bounty.sums[which].values
        right += [seen == each.values for each in bounty.sums] == [which == 0, which == 1]
    return right / trials


def privacy_attack(quick: bool) -> dict[str, Any]:
    """The empirical epsilon of 10,000 trials at each declared one."""
    trials, figures = QUICK_TRIALS if quick else TRIALS, {}
    for epsilon in EPSILONS:
        found = empirical_epsilon(*attacked(asked(rho_of(epsilon, DELTA), BOUNTIES), trials), DELTA)
        figures[f"empirical epsilon of {epsilon:g}"] = Figure.most(found, epsilon)
    (bounty,) = asked(Fraction(1), 1)
    figures["right without noise"] = Figure.least(right_without_noise(bounty, trials), 1.0)
    note = f"{trials:,} trials of {BOUNTIES} bounties, {ROWS} rows, delta {DELTA:g}; {SURE:.0%} certain"
    return document_of(figures, "epsilon", note)
