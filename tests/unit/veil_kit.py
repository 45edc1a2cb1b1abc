"""What tests of the veil share: plans, places, and ciphertexts that anybody can open."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import gmpy2
from gmpy2 import mpz
from hypothesis import strategies as st

from sonar.errors import PlanError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.streams import Place

SHAPES = [Classes(1, 1), Classes(2, 2), Classes(3, 2), Classes(5, 3)]
shapes = st.sampled_from(SHAPES)


def place(label: str, round_number: int = 1, question: str = "question") -> Place:
    digest, nonce = (hashlib.sha256(text.encode()).digest() for text in (question, label))
    return Place(Digest(digest), nonce, round_number)


def seeds_of(label: str, count: int) -> list[bytes]:
    """One seed a class, made from a label."""
    return [hashlib.sha256(f"{label} {c}".encode()).digest() for c in range(count)]


@st.composite
def keys_and_plans(draw: st.DrawFn) -> tuple[PublicKey, SlotPlan]:
    """Any n of a length, extremes among them, and a plan for it. Nobody knows the factors of n."""
    bits = draw(st.integers(128, 700))
    least, most = 1 << (bits - 1), (1 << bits) - 1
    n = draw(st.sampled_from([least + 1, most, most - 2]) | st.integers(least, most)) | 1
    bound = st.integers(1, 2**16)
    try:
        plan = SlotPlan.make(
            key_bits=bits,
            weights=draw(st.integers(1, 30)),
            weight_frac=draw(st.integers(0, 8)),
            data_frac=0,
            bounds=Bounds(draw(bound), draw(bound), draw(bound)),
            mines_max=draw(st.integers(1, 255)),
            weight_rows=draw(st.integers(1, 2**12)),
            free_bits=VEIL_FREE_BITS,
        )
    except PlanError:
        plan = SlotPlan.make(
            key_bits=bits,
            weights=draw(st.integers(1, 30)),
            weight_frac=0,
            data_frac=0,
            bounds=Bounds(1, 1, 1),
            mines_max=3,
            weight_rows=1,
            free_bits=VEIL_FREE_BITS,
        )
    return PublicKey(mpz(n)), plan


def updates(plan: SlotPlan) -> st.SearchStrategy[list[int]]:
    """One mine's values, with extremes and zeros: where borrows go wrong."""
    limit = plan.update_max
    some = st.sampled_from([0, 1, -1, limit, -limit, limit - 1]) | st.integers(-limit, limit)
    return st.lists(some, min_size=plan.weights, max_size=plan.weights)


def clear(key: PublicKey, plaintexts: Sequence[int]) -> list[mpz]:
    """Ciphertexts with randomness 1, which all arithmetic keeps, so `read` needs no private key."""
    return [key.encrypt(int(x % key.n), 1) for x in plaintexts]


def read(key: PublicKey, ciphertexts: Sequence[mpz]) -> list[mpz]:
    """The plaintexts, modulo n, of what `clear` made, and of sums of it."""
    for c in ciphertexts:
        assert c % key.n == 1
    return [gmpy2.divexact(c - 1, key.n) for c in ciphertexts]


def off_by(a: int, b: int, bits: int) -> int:
    """|a - b| modulo 2^bits."""
    difference = (a - b) % (1 << bits)
    return min(difference, (1 << bits) - difference)
