"""One mine's update on encrypted weights: a plaintext matrix by encrypted vectors, packed, in one product.

    Enc(sum_i u_i 2^(S i)) = Enc(c) prod_j Enc(w_j)^(e_j)
    e_j = -sum_i A_ij 2^(S i)        c = sum_i b_i 2^(weight_frac + S i)

so rows of A cost no ciphertext operations of their own, and squarings, tables and one inversion are shared
(`powers`). With several outputs W [d, k] the same A serves every column.

What a product costs by each method is counted before it is computed, so that the cheapest is taken. Digits
are counted from the lengths of the numbers in A: a slot is three times as wide as they are, so a count from
the length of the exponents would be wrong by that much. Tests hold the counts against operations that were
counted.

Memory: the tables take at most `TABLE_BYTES_MAX` in each process that computes a part.

Side channel: the time depends on the digits of A. It is spent on the mine's own machine, before it publishes;
do not run it where someone else measures the time of single operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import BoundsError, PlanError
from sonar.paillier.powers import KEPT_NUMBERS, Bases, Ints, Method
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan

Matrix = Sequence[Sequence[int]] | NDArray[np.object_] | NDArray[np.int64]
Vector = Sequence[int] | NDArray[np.object_] | NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """The output ciphertexts `which` of an update, with all that a process needs to compute them."""

    plan: SlotPlan
    a: Ints
    b: Ints
    bases: Bases | tuple[int, tuple[int, ...]]
    which: range

    def compute(self) -> list[mpz]:
        """These ciphertexts."""
        bases = self.bases
        if not isinstance(bases, Bases):
            n, ciphertexts = bases
            bases = Bases(PublicKey(mpz(n)), ciphertexts)
        method = _method(self.plan, self.a)
        return [_packed_rows(self.plan, self.a, self.b, bases, method, c) for c in self.which]


Run = Callable[[Callable[[Part], list[mpz]], Sequence[Part]], Iterable[list[mpz]]]
"""As `map`, or an executor's: computes the parts, in order."""


def affine_update(
    key: PublicKey,
    plan: SlotPlan,
    a_int: Matrix,
    b_int: Matrix | Vector,
    enc_w: Sequence[int] | Bases,
    *,
    parts: int = 1,
    run: Run | None = None,
) -> list[mpz]:
    """Enc(pack_i(b_i 2^weight_frac - sum_j A_ij w_j)), one ciphertext per `plan.ciphertexts`.

    `a_int` [d, d] and `b_int` [d, k] (or [d] for one output) are integers at scale 2^data_frac; `enc_w` is
    d k ciphertexts, output by output, or their `Bases` to share the tables between calls. With `run`, the
    output ciphertexts are computed in up to `parts` parts by it, each with tables of its own.

    The result is NOT re-randomised: it is a function of A, b and the ciphertexts, and must be multiplied by
    fresh blindings before anyone sees it. Raises BoundsError naming the row that exceeds the plan's bounds,
    PlanError, CiphertextError.
    """
    if key.bits != plan.key_bits:
        raise PlanError(f"the slot plan is for a key of {plan.key_bits} bits, the key has {key.bits}")
    a, b = _checked(plan, a_int, b_int)
    if len(enc_w) != plan.weights:
        raise PlanError(f"the model has {len(enc_w)} encrypted weights, the slot plan {plan.weights}")
    parts = min(parts, plan.ciphertexts)
    if run is None or parts == 1 or isinstance(enc_w, Bases):
        bases = enc_w if isinstance(enc_w, Bases) else Bases(key, enc_w)
        return Part(plan, a, b, bases, range(plan.ciphertexts)).compute()
    key.check_all(enc_w)
    sent = int(key.n), tuple(int(c) for c in enc_w)
    ends = [plan.ciphertexts * i // parts for i in range(parts + 1)]
    jobs = [Part(plan, a, b, sent, range(*ends[i : i + 2])) for i in range(parts)]
    return [c for computed in run(Part.compute, jobs) for c in computed]


def check_bounds(plan: SlotPlan, a: Matrix, b: Vector) -> None:
    """Check a mine's A [d, d] and b [d, k] against the bounds that the bounty declares. Raises BoundsError.

    The message names the row and the limit, but none of the data's values.
    """
    _checked(plan, a, b)


def _method(plan: SlotPlan, a: Ints) -> Method:
    """The method for this A. A small one's is remembered, as is its schedule: a mine keeps its A."""
    if a.size <= KEPT_NUMBERS:
        return _kept_method(plan, a.tobytes())
    return choose(shape(plan, a), plan.key_bits)


@lru_cache(maxsize=16)
def _kept_method(plan: SlotPlan, numbers: bytes) -> Method:
    a = np.frombuffer(numbers, dtype=np.int64).reshape(plan.features, plan.features)
    return choose(shape(plan, a), plan.key_bits)


def shape(plan: SlotPlan, a: Ints) -> Shape:
    """What the cost of the update depends on."""
    return Shape.of(a, plan.outputs, _last_shifts(plan))


def estimated_s(plan: SlotPlan) -> float:
    """About how long an update takes on one core, in seconds, for the largest numbers that the plan allows.

    From the cost model, and 3 microseconds for a product modulo n of 2048 bits (2 GHz, gmpy2 2.3, with what
    Python adds); it grows with the square of the length.
    """
    length = max(1, (plan.bounds.a_row_l1_max // plan.features).bit_length())
    numbers = plan.features * plan.weights
    squarings = sum(_last_shifts(plan)) + plan.ciphertexts * length
    full = Shape(plan.weights, plan.weights, numbers, length * numbers, length, squarings)
    return least_mulmods(full, plan.key_bits) * 3e-6 * (plan.key_bits / 2048) ** 2


def _last_shifts(plan: SlotPlan) -> list[int]:
    return [plan.shift(plan.rows_of(c)[-1])[1] for c in range(plan.ciphertexts)]


def _packed_rows(plan: SlotPlan, a: Ints, b: Ints, bases: Bases, method: Method, c: int) -> mpz:
    """The output ciphertext `c`: value o d + i is row i of A times output o's weights."""
    which = plan.rows_of(c)
    rows = [value % plan.features for value in which]
    firsts = [value - row for value, row in zip(which, rows, strict=True)]
    shifts = [plan.shift(value)[1] for value in which]
    targets = [int(b[row, first // plan.features]) for row, first in zip(rows, firsts, strict=True)]
    constant = sum(mpz(x) << (plan.weight_frac + shift) for x, shift in zip(targets, shifts, strict=True))
    return bases.product(-a[rows], shifts, firsts, method, constant)


def _checked(plan: SlotPlan, a_int: Matrix, b_int: Matrix | Vector) -> tuple[Ints, Ints]:
    """A int64[d, d] and b int64[d, k] within the plan's bounds, which are below 2^63. Raises BoundsError."""
    d, bounds = plan.features, plan.bounds
    a, b = _objects(a_int), _objects(b_int)
    if b.ndim == 1 and plan.outputs == 1:
        b = b.reshape(-1, 1)
    if a.shape != (d, d) or b.shape != (d, plan.outputs):
        raise BoundsError(f"the data's matrix and vector do not have the plan's size {d}")
    for i, row_l1 in enumerate(np.abs(a).sum(axis=1).tolist()):
        if row_l1 > bounds.a_row_l1_max:
            raise BoundsError(f"row {i} of the data's matrix exceeds the bounty's a_row_l1_max", hint=_HINT)
    for i, largest in enumerate(np.abs(b).max(axis=1).tolist()):
        if largest > bounds.b_max:
            raise BoundsError(f"entry {i} of the data's vector exceeds the bounty's b_max", hint=_HINT)
    return a.astype(np.int64), b.astype(np.int64)


def _objects(numbers: Matrix | Vector) -> NDArray[Any]:
    """As an array of Python integers, whose sums do not overflow; ragged rows have a shape of their own."""
    try:
        return np.array(numbers, dtype=object)
    except ValueError:
        return np.empty(0, dtype=object)


_HINT = "are the data in the units that the bounty's features and target ask for?"


WINDOWS = range(2, 11)
TABLE_BYTES_MAX = 64 << 20
"""The most memory that the tables of one process may take: at 2048 bits the best window for d = 1000 then
needs 61 MB.
"""


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
    # Digits fall at random on the places of a row; where an odd number falls, one has no partner.
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
