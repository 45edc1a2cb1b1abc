"""One mine's update on encrypted weights: a plaintext matrix by encrypted vectors, packed, in one product.

    Enc(sum_i u_i 2^(S i)) = Enc(c) prod_j Enc(w_j)^(e_j)
    e_j = -sum_i A_ij 2^(S i)        c = sum_i b_i 2^(weight_frac + S i)

so rows of A cost no ciphertext operations of their own, and squarings, tables and one inversion are shared
(`powers`); `cost` chooses the method. With several outputs W [d, k] the same A serves every column.

Memory: the tables take at most `cost.TABLE_BYTES_MAX` in each process that computes a part.

Side channel: the time depends on the digits of A. It is spent on the mine's own machine, before it publishes;
do not run it where someone else measures the time of single operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import BoundsError, PlanError
from sonar.paillier import cost
from sonar.paillier.powers import KEPT_NUMBERS, Bases, Ints
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

    The message names the row and the limit, and keeps the data's own values to itself.
    """
    _checked(plan, a, b)


def _method(plan: SlotPlan, a: Ints) -> cost.Method:
    """The method for this A. A small one's is remembered, as is its schedule: a mine keeps its A."""
    if a.size <= KEPT_NUMBERS:
        return _kept_method(plan, a.tobytes())
    return cost.choose(shape(plan, a), plan.key_bits)


@lru_cache(maxsize=16)
def _kept_method(plan: SlotPlan, numbers: bytes) -> cost.Method:
    a = np.frombuffer(numbers, dtype=np.int64).reshape(plan.features, plan.features)
    return cost.choose(shape(plan, a), plan.key_bits)


def shape(plan: SlotPlan, a: Ints) -> cost.Shape:
    """What the cost of the update depends on."""
    return cost.Shape.of(a, plan.outputs, _last_shifts(plan))


def estimated_s(plan: SlotPlan) -> float:
    """About how long an update takes on one core, in seconds, for the largest numbers that the plan allows.

    From the cost model, and 3 microseconds for a product modulo n of 2048 bits (2 GHz, gmpy2 2.3, with what
    Python adds); it grows with the square of the length.
    """
    length = max(1, (plan.bounds.a_row_l1_max // plan.features).bit_length())
    numbers = plan.features * plan.weights
    squarings = sum(_last_shifts(plan)) + plan.ciphertexts * length
    full = cost.Shape(plan.weights, plan.weights, numbers, length * numbers, length, squarings)
    return cost.least_mulmods(full, plan.key_bits) * 3e-6 * (plan.key_bits / 2048) ** 2


def _last_shifts(plan: SlotPlan) -> list[int]:
    return [plan.shift(plan.rows_of(c)[-1])[1] for c in range(plan.ciphertexts)]


def _packed_rows(plan: SlotPlan, a: Ints, b: Ints, bases: Bases, method: cost.Method, c: int) -> mpz:
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
