"""What is asked of one veiled answer, and what the told bits say of one identity or bound.

A functional is known to about (C / 2) 2^(S - bits) (`sonar.veil.functionals`): C classes, slots of S bits. So
each question is laid out so that an honest mine's value lies in a narrow window of all 2^S, and what breaks
the identity lies anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sonar.families.veiled import Asked
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured


@dataclass(frozen=True)
class Question:
    """An identity or a bound: an honest mine's value is `known`, modulo 2^slot_bits, but for `room`."""

    test: str
    asked: Asked
    slot_bits: int
    known: int = 0
    room: int = 0

    def holds(self, heard: Measured) -> bool:
        """Tell whether what was heard can be an honest mine's."""
        return abs(balanced(heard.value - self.known, self.slot_bits)) <= self.room + heard.error


def balanced(value: int, bits: int) -> int:
    """Return a value modulo 2^bits, in [-2^(bits-1), 2^(bits-1))."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def place_of(plan: SlotPlan, value: int) -> int:
    """Return the place at which a value of an answer lies."""
    ciphertext, slot = divmod(value, plan.slots_per_ciphertext)
    return ciphertext * (plan.slots_per_ciphertext + 1) + slot


def empty_places(plan: SlotPlan) -> list[int]:
    """Return the places where an honest answer has nothing: those above the slots, and slots not in use."""
    size = plan.slots_per_ciphertext + 1
    used = {place_of(plan, value) for value in range(plan.weights)}
    return [place for place in range(plan.ciphertexts * size) if place not in used]


def minus(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Return a - b."""
    return [x - y for x, y in zip(a, b, strict=True)]


def outputs_of(plan: SlotPlan, flat: Sequence[int]) -> list[Sequence[int]]:
    """Return each output's part of a vector [d k]."""
    d = plan.features
    return [flat[start : start + d] for start in range(0, len(flat), d)]
