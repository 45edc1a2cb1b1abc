"""What an affine product costs by each method, counted before it is computed, so that the cheapest is taken.

Digits are counted from the lengths of the numbers in A: a slot is three times as wide as they are, so a
count from the length of the exponents would be wrong by that much. Tests hold the counts against operations
that were counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

WINDOWS = range(2, 11)
TABLE_BYTES_MAX = 64 << 20
"""What the tables of one process may take: at 2048 bits the best window for d = 1000 then needs 61 MB."""


@dataclass(frozen=True)
class Counts:
    """Operations of one affine product on pairs modulo n^2 (`powers`), or their expected number.

    `products` are factors of one half, multiplied two by two, but for `singles` without a partner;
    `pair_products` of a pair by a pair; `table_pairs` of a power and its inverse; `bases` made into halves.
    """

    squarings: float = 0
    products: float = 0
    singles: float = 0
    pair_products: float = 0
    table_pairs: float = 0
    bases: float = 0

    @property
    def reductions(self) -> float:
        """Reductions modulo n, of a product of two numbers below n."""
        pairs = self.squarings + self.pair_products + self.table_pairs
        return 2 * pairs + 1.5 * self.products + 0.5 * self.singles + 4 * self.bases

    @property
    def multiplications(self) -> float:
        """Products of two numbers below n, squares among them; fewer than these are reduced."""
        return (
            2 * (self.squarings + self.products)
            + 3 * self.pair_products
            + 4 * self.table_pairs
            + 5 * self.bases
        )

    @property
    def mulmods(self) -> float:
        """The time in units of one product modulo n, measured at 2048 and 3072 bits with gmpy2 2.3."""
        return (
            2.2 * self.squarings
            + 1.9 * self.products
            + 0.4 * self.singles
            + 2.8 * self.pair_products
            + 4.0 * self.table_pairs
            + 6.0 * self.bases
        )


@dataclass(frozen=True)
class Shape:
    """What the cost of a product depends on.

    `bases` ciphertexts to be raised; `numbers` non-zero entries of A over all outputs, of `bits` bits in sum
    and `longest` at most; `rows` of A over all outputs; `squarings` over all output ciphertexts.
    """

    bases: int
    rows: int
    numbers: float
    bits: float
    longest: int
    squarings: int

    @classmethod
    def of(cls, a: NDArray[np.int64], outputs: int, last_shifts: Sequence[int]) -> Shape:
        """The shape for A int64[d, d], used once for each of `outputs` columns of weights.

        `last_shifts` says for each output ciphertext where its last slot begins.
        """
        lengths = np.frexp(np.abs(a.astype(np.float64)))[1]
        return cls(
            bases=outputs * a.shape[1],
            rows=outputs * a.shape[0],
            numbers=outputs * int(np.count_nonzero(lengths)),
            bits=outputs * int(lengths.sum()),
            longest=int(lengths.max()),
            squarings=sum(last_shifts) + len(last_shifts) * int(lengths.max()),
        )


@dataclass(frozen=True)
class Method:
    """A way to compute the product, with digits of `window` bits: `straus` has tables of powers."""

    name: Literal["straus", "buckets"]
    window: int


def counts(method: Method, shape: Shape) -> Counts:
    """The expected operations of `method`."""
    return (_straus if method.name == "straus" else _buckets)(shape, method.window)


def least_mulmods(shape: Shape, key_bits: int) -> float:
    """The expected time of the cheapest method: see `Counts.mulmods`."""
    return counts(choose(shape, key_bits), shape).mulmods


def table_bytes(method: Method, bases: int, key_bits: int) -> int:
    """The memory of the tables: powers of half the width of n^2, their corrections, and what Python adds."""
    entries = bases << (method.window - 1) if method.name == "straus" else 2 * bases
    return entries * (3 * key_bits // 8 + 192)


def choose(shape: Shape, key_bits: int, *, bytes_max: int = TABLE_BYTES_MAX) -> Method:
    """The method of least expected cost among those whose tables fit into `bytes_max`.

    With wider windows the cost falls, then rises. Buckets are worth a look only where memory, not cost, stops
    the windows: d numbers share each table, so tables win as long as they fit.
    """
    best, least = Method("straus", WINDOWS[0]), math.inf
    for window in WINDOWS:
        method = Method("straus", window)
        if table_bytes(method, shape.bases, key_bits) > bytes_max:
            buckets = [Method("buckets", window) for window in WINDOWS]
            return min([best, *buckets], key=lambda method: counts(method, shape).mulmods)
        cost = counts(method, shape).mulmods
        if cost >= least:
            return best
        best, least = method, cost
    return best


def _straus(shape: Shape, window: int) -> Counts:
    """Odd digits of `window` bits: of b random bits, (b + w/2 + 1.2) / (w + 1) digits are not zero."""
    digits = (shape.bits + (window / 2 + 1.2) * shape.numbers) / (window + 1)
    digits = max(digits, shape.numbers)
    # Digits fall on the places of a row like rain, and where an odd number falls, one has no partner.
    places = shape.rows * max(shape.longest, 1)
    return Counts(
        squarings=shape.squarings,
        products=digits,
        singles=places * (1 - math.exp(-2 * digits / places)) / 2,
        table_pairs=shape.bases * (1 << (window - 2)) if window > 2 else 0,
        bases=shape.bases,
    )


def _buckets(shape: Shape, window: int) -> Counts:
    """Each digit goes into the bucket of its size, the first for nothing; buckets by running products.

    Of `sizes` buckets n digits fill sizes (1 - exp(-n / sizes)), the largest of them about sizes n / (n + 1).
    """
    sums = shape.rows * -(-(shape.longest + 1) // window)
    digits = (shape.bits / window + 0.5 * shape.numbers) * (1 - 0.5**window)
    each, sizes = digits / sums, 1 << (window - 1)
    filled = sizes * (1 - math.exp(-each / sizes))
    return Counts(
        squarings=shape.squarings,
        products=digits - sums * filled,
        singles=digits - sums * filled,
        pair_products=sums * (filled + sizes * each / (each + 1) + 1),
        bases=shape.bases,
    )
