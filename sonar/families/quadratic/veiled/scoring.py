"""Scores by functionals: one number for each mine, over all rounds that brought it from the best weights on.

What the scores are made of is linear in a mine's answers (`sonar.families.quadratic.score`), so it is one
functional of several rounds' answers. Beside an answer a slot leaves but ten bits or so to a coefficient. So
what rounding leaves of the coefficients is asked about too, on a scale of its own: the two together are as
exact as coefficients of twenty bits.

The vectors are floats; they are rounded to integers, with one scale for all mines, before anything is asked.
From there on all is exact.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.errors import UsageError
from sonar.families.quadratic.veiled.base import balanced
from sonar.families.veiled import Asked
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured, spread

Vector = NDArray[np.float64]

WHOLE_BITS, REST_BITS = 26, 14
"""Told of each mine's contribution, and of what rounding left of it."""
SCORE_MAX = (1 << 15) - 1
"""The largest score: scores have 16 bits, a sign among them."""
NOTHING_BITS = 40
"""A round whose vector is so many bits smaller than the largest counts for nothing."""
BEYOND = 16.0
"""How many times as long as the mean answers one mine's may be without exceeding a slot. It is paid if its
contribution is no more than an eighth of a slot.
"""


@dataclass(frozen=True)
class Scores:
    """A round's scores: `asks` by mine, two each; the second is 2^`finer` times what the first leaves.

    What is larger than `most` in magnitude is no mine's that answers as the others do.
    """

    asks: Mapping[str, tuple[Asked, ...]]
    finer: int
    most: int

    @property
    def rooms(self) -> tuple[int, ...]:
        """See `VeiledScores`: where a machine rounds up and another down, the second makes it good."""
        return 1, (1 << self.finer) + 1

    def stand_for(self, found: Sequence[Asked], mine: str) -> bool:
        """See `VeiledScores`. A unit of the second functional may be between coefficients of both together.

        One of the first alone would be a thousandth of a coefficient: more than shares may move by.
        """
        (both, rest), (wanted, _) = self._coefficients(found), self._coefficients(self.asks[mine])
        most = (1 << self.finer >> 1) + 1
        return max(map(abs, rest)) <= most and all(abs(a - b) <= 1 for a, b in zip(both, wanted, strict=True))

    def _coefficients(self, asked: Sequence[Asked]) -> tuple[list[int], list[int]]:
        """Those of a mine's two functionals together, in units of the second, and the second's alone."""
        size = self.most.bit_length() + 2  # of a slot
        whole, rest = ([balanced(x, size) for _, v in each.parts for x in v] for each in asked)
        return [(x << self.finer) + y for x, y in zip(whole, rest, strict=True)], rest

    def scored(self, heard: Mapping[str, tuple[Measured, ...]], weights: Mapping[str, int]) -> dict[str, int]:
        """Return the scores: what was heard times the mine's weight, the largest of them 32767.

        Integers only: they decide about money. What is positive stays so. Whoever is beyond `most` scores 0:
        its answer, or what it says of its masks' wraps, may be made for that, and may cost others no share.
        """
        values = {
            mine: ((whole.value << self.finer) + rest.value) * weights[mine]
            if max(abs(whole.value), abs(rest.value)) <= self.most
            else 0
            for mine, (whole, rest) in sorted(heard.items())
        }
        largest = max((abs(value) for value in values.values()), default=0) or 1
        scores = {mine: (2 * value * SCORE_MAX + largest) // (2 * largest) for mine, value in values.items()}
        return {mine: max(score, 1) if values[mine] > 0 else score for mine, score in scores.items()}


def scores_of(
    plan: SlotPlan,
    vectors: Mapping[int, Sequence[float]],
    sent: Mapping[int, Collection[str]],
    mines: Collection[str],
    sums: Mapping[int, tuple[Sequence[int], int]],
) -> Scores:
    """Return the scores of `mines`: of sum_s <vector_s, u_s> over the rounds s in which each counted.

    `vectors`: float64[d k] by round. `sent`: the mines that counted in a round. `sums`: by round what was
    opened, int[d k], and over how many rows. Whoever counted in no round is not asked. Raises UsageError for
    what is not finite.
    """
    checked = _weighty({number: _checked(plan, number, vectors[number]) for number in sorted(vectors)})
    longest = _longest(plan, checked, sums)
    whole, scale = _rounded(plan, checked, longest)
    left = {number: np.ldexp(vector, scale) - whole[number] for number, vector in checked.items()}
    rest, finer = _rounded(plan, left, {number: 2.0 * most for number, most in longest.items()})
    asks = {}
    for mine in sorted(mines):
        there = [number for number in checked if mine in sent.get(number, ())]
        if there:
            asks[mine] = (_asked(plan, whole, there, WHOLE_BITS), _asked(plan, rest, there, REST_BITS))
    return Scores(asks, max(finer, 0), 1 << (plan.slot_bits - 3))


def _weighty(vectors: Mapping[int, Vector]) -> dict[int, Vector]:
    """Return the vectors without those that are nothing but the last digits of floats.

    Where a round's part of a step cancels, one machine is left with zeros and another with 10^-17.
    """
    most = {number: float(np.abs(vector).max(initial=0.0)) for number, vector in vectors.items()}
    least = math.ldexp(max(most.values(), default=0.0), -NOTHING_BITS)
    return {number: vector for number, vector in vectors.items() if most[number] > least}


def _longest(
    plan: SlotPlan, rounds: Collection[int], sums: Mapping[int, tuple[Sequence[int], int]]
) -> dict[int, float]:
    """How long one mine's answer of each round may be, in real units.

    Answers b - A w differ by as much as b and A w do, and these are about as long as the first mean and the
    round's own together.
    """
    means = {
        number: _length([value / (rows << plan.scale_bits) for value in total])
        for number, (total, rows) in sums.items()
    }
    first = means[min(means)] if means else 0.0
    return {number: BEYOND * (first + means.get(number, 0.0)) for number in rounds}


def _rounded(
    plan: SlotPlan, vectors: Mapping[int, Vector], longest: Mapping[int, float]
) -> tuple[dict[int, Vector], int]:
    """Return the vectors times 2^scale, rounded, and the scale.

    It is the largest with which no answers that are at most so long can exceed a slot.
    """
    most = sum(_length(vector.tolist()) * longest[number] for number, vector in vectors.items()) or 1.0
    scale = plan.slot_bits - 1 - plan.scale_bits - math.frexp(most)[1]
    return {number: np.rint(np.ldexp(vector, scale)) for number, vector in vectors.items()}, scale


def _asked(plan: SlotPlan, vectors: Mapping[int, Vector], there: Sequence[int], bits: int) -> Asked:
    return Asked(tuple((n, tuple(spread(plan, [int(x) for x in vectors[n].tolist()]))) for n in there), bits)


def _checked(plan: SlotPlan, number: int, vector: Sequence[float]) -> Vector:
    found: Vector = np.array(vector, dtype=np.float64)
    if found.shape != (plan.weights,) or not np.isfinite(found).all():
        raise UsageError(f"the coefficients of round {number} are not {plan.weights} finite numbers")
    return found


def _length(vector: Sequence[float]) -> float:
    return math.sqrt(math.fsum(x * x for x in vector))
