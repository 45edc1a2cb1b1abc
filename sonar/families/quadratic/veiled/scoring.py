"""Scores by functionals: one number for each mine, over all rounds that brought it from the best weights on.

What the scores are made of is linear in a mine's answers (`sonar.families.quadratic.score`), so it is one
functional of several rounds' answers. The vectors are floats; they are rounded to integers at one scale for
all mines before anything is asked, and from there on all is exact.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.errors import UsageError
from sonar.families.veiled import Asked
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured, spread

SCORE_BITS = 28
"""Told of each mine's contribution."""
SCORE_MAX = (1 << 15) - 1
"""The largest score: scores have 16 bits, a sign among them."""
BEYOND = 8.0
"""How many times the largest mean answer of all rounds one mine's may be."""
FACTORS, FACTORS_SIZE = 2048, 1 << 20
"""How many factors are tried for the coefficients of a score, and for how many numbers together."""
Vector = NDArray[np.float64]


def limit_of(
    plan: SlotPlan,
    vectors: Mapping[int, Sequence[float]],
    sums: Mapping[int, tuple[Sequence[int], int]],
) -> float:
    """Return what no mine's sum_s <vector_s, u_s> exceeds, in real units.

    `sums`: by round what was opened, int[d k], and over how many rows. 28 bits leave room for a bound that is
    a thousand times too wide.
    """
    means = (_length([value / (rows << plan.scale_bits) for value in total]) for total, rows in sums.values())
    largest = max(means, default=0.0) * sum(map(_length, vectors.values()))
    return BEYOND * largest if largest > 0 else 1.0


def score_asks(
    plan: SlotPlan,
    vectors: Mapping[int, Sequence[float]],
    sent: Mapping[int, Collection[str]],
    mines: Collection[str],
    limit: float,
) -> dict[str, Asked]:
    """Return what to ask of `mines`: sum_s <vector_s, u_s> over the rounds s in which each counted.

    `vectors`: float64[d k] by round. `sent`: the mines that counted in a round. `limit`: see `limit_of`. All
    have one scale. Whoever counted in no round is not asked. Raises UsageError for what is not finite.
    """
    if not math.isfinite(limit) or limit <= 0:
        raise UsageError(f"the largest contribution is to be {limit}; it is a number above 0")
    scale = plan.slot_bits - 1 - math.frexp(limit)[1] - plan.scale_bits
    rounded = _rounded(plan, {number: _checked(plan, number, v) for number, v in vectors.items()}, scale)
    parts = {
        mine: tuple((number, vector) for number, vector in rounded.items() if mine in sent.get(number, ()))
        for mine in sorted(mines)
    }
    return {mine: Asked(each, SCORE_BITS) for mine, each in parts.items() if each}


def _checked(plan: SlotPlan, number: int, vector: Sequence[float]) -> Vector:
    found: Vector = np.array(vector, dtype=np.float64)
    if found.shape != (plan.weights,) or not np.isfinite(found).all():
        raise UsageError(f"the coefficients of round {number} are not {plan.weights} finite numbers")
    return found


def _rounded(plan: SlotPlan, vectors: Mapping[int, Vector], scale: int) -> dict[int, tuple[int, ...]]:
    """Return the vectors times about 2^scale, in integers over places, rounds ascending.

    A slot leaves coefficients but ten or twelve bits beside an answer. Scores are all times one factor: so of
    many factors that one is taken with which rounding loses least.
    """
    joined = np.ldexp(np.concatenate([vectors[number] for number in sorted(vectors)] or [[]]), scale)
    factors = 1.0 - np.arange(max(min(FACTORS, FACTORS_SIZE // max(len(joined), 1)), 1)) / (2 * FACTORS)
    lost = [float(np.sum((np.rint(joined * f) - joined * f) ** 2)) / f**2 for f in factors.tolist()]
    best = np.rint(joined * factors[int(np.argmin(lost))]).reshape(len(vectors), plan.weights)
    return {
        number: tuple(spread(plan, [int(x) for x in row]))
        for number, row in zip(sorted(vectors), best.tolist(), strict=True)
    }


def _length(vector: Sequence[float]) -> float:
    return math.sqrt(math.fsum(float(x) ** 2 for x in vector))


def scores_of(heard: Mapping[str, Measured], weights: Mapping[str, int]) -> dict[str, int]:
    """Return the scores: what was heard times the mine's weight, at a scale at which the largest is 32767.

    Integers only: they decide about money. What is positive stays so.
    """
    values = {mine: heard[mine].value * weights[mine] for mine in sorted(heard)}
    largest = max((abs(value) for value in values.values()), default=0) or 1
    scores = {mine: (2 * value * SCORE_MAX + largest) // (2 * largest) for mine, value in values.items()}
    return {mine: max(score, 1) if values[mine] > 0 else score for mine, score in scores.items()}
