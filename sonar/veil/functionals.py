"""Functionals: a few bits of <v, digits of one answer>, told without anybody ever holding the whole value.

The digits of a plaintext are its slots, and what is above them: for each ciphertext `slots_per_ciphertext`
digits of S = slot_bits bits, and one place more. A functional is f = sum over parts (answers of several
rounds) and places of v_i digit_i(P), modulo 2^S, in [-2^(S-1), 2^(S-1)). Modulo 2^S, digit i of a number A
that is not negative is q_i(A) = floor(A / 2^(S i)).

A holder of class c tells y_c, the top h bits of

    V_c = sum_parts ( sum_j <v, q(M_cj)> + sum_j L_j s_cj )  modulo 2^S,     L_j = <v, q(n)> at ciphertext j

with the n of the key that the part's round was asked under. Who has X and K computes, with
K_j = kappa_j + sum_c s_cj,

    F = sum_parts ( <v, q(X)> + sum_j L_j K_j ) - sum_c (y_c 2^(S-h) + 2^(S-h-1))  modulo 2^S.

**Error: |f - F| <= C (2^(S-h-1) + |v|_1), where C is the number of classes and |v|_1 sums the magnitudes of
v over all parts and places but each ciphertext's first; v_i is taken in [-2^(S-1), 2^(S-1)).** (For h = S
the first term is zero.)

Proof. The s cancel: sum_c V_c = sum ( sum_c <v, q(M_c)> + L (K - kappa) ), so without truncation
F = sum <v, q(X) + kappa q(n) - sum_c q(M_c)>. As integers, P + sum_c M_c = X + kappa n, with 0 <= kappa < C
(but for a chance of 2^-41: `sonar.paillier.slots`). Divide by 2^(S i), write A / 2^(S i) = q_i(A) + t_i(A)
with t_i in [0, 1), and P / 2^(S i) = digit_i(P) + l_i modulo 2^S, where l_i, the digits below, is at least
-1/2 - 2^-S, and below 1/2. Then

    digit_i(P) - (q_i(X) + kappa q_i(n) - sum_c q_i(M_c)) = t_i(X) + kappa t_i(n) - sum_c t_i(M_c) - l_i

modulo 2^S. The right side is an integer, below C + 1/2 + 2^-S and above -C - 1/2: so at most C in magnitude,
and zero at i = 0, where t and l are. Each class's truncation is off by at most 2^(S-h-1).

**Fine places.** Coefficients of nearly 2^S, which remainders take, would make as much of a carry. So a vector
may have a second half, of as many coefficients again, for places that lie F = `FINE_BITS` lower: with
floor(A / 2^(S i - F)) in place of q_i(A), and 2^F digit_i(P) modulo 2^S in place of digit_i(P). A carry there
is 2^-F of a digit's last unit. With l_i for an answer within the plan's bounds, |l_i| < update_max / 2^(S-1),
the right side is at most C + 2^F update_max / 2^(S-1) in magnitude by the same proof, in units of 2^-F.

What a scientist with t - 1 capsules learns of f are the bits that the class they miss tells: the rest of V_c
is uniform to them, as M_c and s_c are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

import gmpy2
from gmpy2 import mpz

from sonar.errors import ManifestError, UsageError
from sonar.paillier.slots import SlotPlan

Vector = Sequence[int]
"""A number for each place, or for each place and then for each fine one; modulo 2^slot_bits, so signed or
not.
"""
FINE_BITS = 8
"""How much lower a fine place lies than the place itself."""


@dataclass(frozen=True)
class Measured:
    """A functional as far as it is known: |f - value| <= error, modulo 2^slot_bits."""

    value: int
    error: int


def places(plan: SlotPlan) -> int:
    """Return how many places an answer has: for each ciphertext its slots, and one above them."""
    return plan.ciphertexts * (plan.slots_per_ciphertext + 1)


def spread(plan: SlotPlan, values: Sequence[int]) -> list[int]:
    """Return a vector over places from one over the plan's values, zero elsewhere. Raises UsageError."""
    if len(values) != plan.weights:
        raise UsageError(f"{len(values)} values for an answer of {plan.weights}")
    vector = [0] * places(plan)
    for i, value in enumerate(values):
        ciphertext, slot = divmod(i, plan.slots_per_ciphertext)
        vector[ciphertext * (plan.slots_per_ciphertext + 1) + slot] = int(value)
    return vector


def finely(plan: SlotPlan, values: Sequence[int]) -> list[int]:
    """Return a vector over fine places from one over the plan's values: of each digit times 2^FINE_BITS.

    Raises UsageError.
    """
    return [0] * places(plan) + spread(plan, values)


def write_vector(plan: SlotPlan, vector: Vector) -> bytes:
    """Return a vector as a request carries it: modulo 2^slot_bits, big-endian, each in as few bytes as hold
    one. Raises UsageError.
    """
    _check_places(plan, vector)
    width, mask = (plan.slot_bits + 7) // 8, (1 << plan.slot_bits) - 1
    return b"".join((value & mask).to_bytes(width, "big") for value in vector)


def read_vector(plan: SlotPlan, data: bytes) -> list[int]:
    """Return the vector, in [0, 2^slot_bits), that `write_vector` wrote. Raises ManifestError."""
    width, count = (plan.slot_bits + 7) // 8, places(plan)
    if len(data) not in (width * count, 2 * width * count):
        raise ManifestError(
            "vectors",
            f"one has {len(data)} bytes; {count} places of {plan.slot_bits} bits take {width * count}, or "
            "twice that with the fine ones",
        )
    vector = [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]
    if any(value >> plan.slot_bits for value in vector):
        raise ManifestError("vectors", f"a number has more than {plan.slot_bits} bits")
    return vector


def class_value(
    plan: SlotPlan,
    moduli: Sequence[mpz],
    vectors: Sequence[Vector],
    masks: Sequence[Sequence[mpz]],
    wraps: Sequence[Sequence[int]],
) -> int:
    """Return V_c of one class, in [0, 2^slot_bits). Nobody but a holder may see it: see `told`.

    For each part the n of its round's key, a vector over places, the class's masks and its s_c, one for each
    ciphertext. Raises UsageError for other lengths.
    """
    total = 0
    for n, vector, numbers, hidden in _parts(plan, moduli, vectors, masks, wraps):
        total += _product(plan, vector, numbers)
        total += sum(map(mul, _wrapped(plan, n, vector), hidden))
    return int(total) & ((1 << plan.slot_bits) - 1)


def told(value: int, slot_bits: int, bits: int) -> int:
    """Return the top `bits` bits of a value modulo 2^slot_bits. Raises UsageError if it has fewer."""
    if not 1 <= bits <= slot_bits:
        raise UsageError(f"{bits} bits of a value of {slot_bits} bits", hint=f"ask for 1 to {slot_bits} bits")
    return (value & ((1 << slot_bits) - 1)) >> (slot_bits - bits)


def measured(
    plan: SlotPlan,
    moduli: Sequence[mpz],
    vectors: Sequence[Vector],
    opened: Sequence[Sequence[mpz]],
    wraps: Sequence[Sequence[int]],
    told: Sequence[int],
    bits: int,
) -> Measured:
    """Return what is known of a functional, and how well.

    For each part the n of its round's key, a vector over places, X and K, one for each ciphertext. `told`:
    one number of `bits` bits of each class. Raises UsageError for other lengths or too many bits.
    """
    size, shift = plan.slot_bits, plan.slot_bits - bits
    if not 1 <= bits <= size:
        raise UsageError(f"{bits} bits of a value of {size} bits", hint=f"ask for 1 to {size} bits")
    if any(not 0 <= each < 1 << bits for each in told):
        raise UsageError(f"a class told a number of more than {bits} bits")
    classes, total, error = len(told), 0, 0
    for n, vector, numbers, hidden in _parts(plan, moduli, vectors, opened, wraps):
        total += _product(plan, vector, [x % n for x in numbers])
        total += sum(map(mul, _wrapped(plan, n, vector), hidden))
        for fine, half in _halves(plan, vector):
            error += _carried(plan, half) * (classes + _lower(plan, fine))
    middle = (1 << shift) >> 1
    total -= sum((each << shift) + middle for each in told)
    return Measured(_balanced(int(total), size), classes * middle + error)


def _parts(
    plan: SlotPlan,
    moduli: Sequence[mpz],
    vectors: Sequence[Vector],
    numbers: Sequence[Sequence[mpz]],
    wraps: Sequence[Sequence[int]],
) -> Iterable[tuple[mpz, Vector, Sequence[mpz], Sequence[int]]]:
    if not len(vectors) == len(moduli) == len(numbers) == len(wraps):
        raise UsageError(
            f"{len(vectors)} vectors, {len(moduli)} keys, {len(numbers)} answers and {len(wraps)} of their "
            "wraps"
        )
    for n, vector, each, hidden in zip(moduli, vectors, numbers, wraps, strict=True):
        _check_places(plan, vector)
        if not len(each) == len(hidden) == plan.ciphertexts:
            raise UsageError(
                f"{len(each)} numbers and {len(hidden)} wraps for a plan of {plan.ciphertexts} ciphertexts"
            )
        yield n, vector, each, hidden


def _check_places(plan: SlotPlan, vector: Vector) -> None:
    if len(vector) not in (places(plan), 2 * places(plan)):
        raise UsageError(
            f"a vector of {len(vector)} numbers; an answer has {places(plan)} places, and as many fine ones"
        )


def _halves(plan: SlotPlan, vector: Vector) -> list[tuple[int, Vector]]:
    """The coefficients of places, and of fine ones if there are any: each with how much lower they lie."""
    count = places(plan)
    return [(0, vector[:count]), (FINE_BITS, vector[count:])][: len(vector) // count]


def _lower(plan: SlotPlan, fine: int) -> int:
    """What the digits below may make of a fine place, in its units."""
    return ((plan.update_max << fine) >> (plan.slot_bits - 1)) + 1 if fine else 0


def _product(plan: SlotPlan, vector: Vector, numbers: Sequence[mpz]) -> mpz:
    return sum((_dot(half, _digits(plan, numbers, fine)) for fine, half in _halves(plan, vector)), mpz(0))


def _digits(plan: SlotPlan, numbers: Iterable[mpz], fine: int) -> list[mpz]:
    """Digits modulo 2^slot_bits, ciphertext by ciphertext; the place above the slots is the last of each.

    They begin `fine` bits lower.
    """
    size = plan.slots_per_ciphertext + 1
    digits: list[mpz] = []
    for number in numbers:
        some = gmpy2.unpack(mpz(number) << fine, plan.slot_bits)[:size]
        digits += some + [mpz(0)] * (size - len(some))
    return digits


@lru_cache(maxsize=16)
def _digits_of_n(plan: SlotPlan, n: mpz, fine: int) -> tuple[mpz, ...]:
    return tuple(_digits(plan, [n], fine))


def _wrapped(plan: SlotPlan, n: mpz, vector: Vector) -> list[mpz]:
    """L_j, for each ciphertext."""
    size, total = plan.slots_per_ciphertext + 1, [mpz(0)] * plan.ciphertexts
    for fine, half in _halves(plan, vector):
        digits = _digits_of_n(plan, n, fine)
        each = [_dot(half[i : i + size], digits) for i in range(0, len(half), size)]
        total = [a + b for a, b in zip(total, each, strict=True)]
    return total


def _carried(plan: SlotPlan, vector: Vector) -> int:
    """The magnitudes of v at all places that carries reach."""
    size = plan.slots_per_ciphertext + 1
    return sum(abs(_balanced(value, plan.slot_bits)) for i, value in enumerate(vector) if i % size)


def _dot(vector: Vector, digits: Sequence[mpz]) -> mpz:
    return sum(map(mul, vector, digits), start=mpz(0))


def _balanced(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half
