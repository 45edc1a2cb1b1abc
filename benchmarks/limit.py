"""How close the affine product comes to its own operations, done in a row with nothing in between.

The cost model (`sonar.paillier.affine`, held against counted operations by the tests) says how many
squarings, products of pairs by halves and products modulo n an update takes. Each kind is timed in the same
run by a loop over the same operations of gmpy2 and nothing else. limit = sum of count times cost; share =
limit / actual, the time of `affine_update` with its checks, digits and tables.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
from gmpy2 import mpz

from benchmarks.contenders import Task
from benchmarks.race import Result, timed
from sonar.paillier import affine
from sonar.paillier.affine import affine_update, shape

LOOPS = 100


def share_of_limit(rounds: int) -> Result:
    """The share at both key sizes, for 11 weights."""
    medians: dict[str, float] = {}
    share: dict[str, float] = {}
    for bits in (2048, 3072):
        limit, actual, shares = _races(bits, rounds)
        medians |= {f"sonar {bits}": actual, f"limit {bits}": limit}
        share[f"limit {bits}"] = shares
    return Result(share, medians, rounds=rounds, note="share = limit / actual, processor time")


def _races(bits: int, rounds: int) -> tuple[float, float, float]:
    task = Task(bits)
    a = np.rint(task.gram[0] * 2**20).astype(np.int64)
    b = np.rint(task.gram[1] * 2**20).astype(np.int64)
    expected = shape(task.plan, a)
    counts = affine.counts(affine.choose(expected, bits), expected)
    loops = Loops(task.key.public.n, int(task.enc_w[0]))
    limits, actuals = [], []
    for _ in range(4 * rounds):
        limits.append(loops.seconds(counts))
        actuals.append(timed(lambda: affine_update(task.key.public, task.plan, a, b, task.enc_w))[0])
    limit, actual = median(limits), median(actuals)
    return limit, actual, limit / actual


class Loops:
    """The lean loops over pairs modulo n^2, for a modulus n."""

    def __init__(self, n: mpz, seed: int) -> None:
        self._n = n
        self._a, self._b = seed % n, seed // n % n
        self._h, self._g = seed * 3 % n, seed * 5 % n

    def seconds(self, counts: affine.Counts) -> float:
        """What these operations take, each at the cost of its loop just now."""
        pairs_of_halves = (counts.products - counts.singles) / 2
        others = 2 * counts.table_pairs + 4 * counts.bases
        return (
            counts.squarings * self._cost(self.squarings)
            + pairs_of_halves * self._cost(self.pairs_of_halves)
            + counts.singles * self._cost(self.halves)
            + others * self._cost(self.mulmods)
        )

    @staticmethod
    def _cost(loop: Callable[[], object]) -> float:
        return timed(loop)[0] / LOOPS

    def squarings(self) -> object:
        n, a, b = self._n, self._a, self._b
        for _ in range(LOOPS):
            b *= a + a
            carry, a = divmod(a * a, n)
            b = (b + carry) % n
        return a, b

    def halves(self) -> object:
        n, a, b, h = self._n, self._a, self._b, self._h
        for _ in range(LOOPS):
            b *= h
            carry, a = divmod(a * h, n)
            b = (b + carry) % n
        return a, b

    def pairs_of_halves(self) -> object:
        n, a, b, h, g = self._n, self._a, self._b, self._h, self._g
        for _ in range(LOOPS):
            high, low = divmod(h * g, n)
            b = a * high + b * low
            carry, a = divmod(a * low, n)
            b = (b + carry) % n
        return a, b

    def mulmods(self) -> object:
        n, a, h = self._n, self._a, self._h
        for _ in range(LOOPS):
            a = a * h % n
        return a
