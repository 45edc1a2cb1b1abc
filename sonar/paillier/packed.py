"""Long vectors of small integers, packed: how many fit into a ciphertext, and why their sum still does.

A slot holds v + 2^(value_bits - 1), which is not negative, and has room for `addends` of them:

    plaintext = sum_i (v_i + half) 2^(slot_bits i),   addends (2^value_bits - 1) < 2^slot_bits

so the slots of a sum never run into each other, and the plaintext stays below 2^(key_bits - 2) <= n/2. 16-bit
values for ten addends take 20 bits: 102 of them fit into a 2048-bit key's ciphertext of 512 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import CiphertextError, PlanError, UpdateOutOfRange, UsageError
from sonar.paillier.public import PublicKey

Vector = Sequence[int] | NDArray[np.integer[Any]]
MAX_VALUES = 1 << 24
MAX_VALUE_BITS = 32
MAX_ADDENDS = 1 << 24


@dataclass(frozen=True)
class PackedPlan:
    """How `values` integers of `value_bits` bits, sign included, are packed so that `addends` can be summed.

    Raises PlanError that names the field.
    """

    key_bits: int
    values: int
    value_bits: int
    addends: int

    def __post_init__(self) -> None:
        limits = {
            "key_bits": (64, 8192),
            "values": (1, MAX_VALUES),
            "value_bits": (1, MAX_VALUE_BITS),
            "addends": (1, MAX_ADDENDS),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise PlanError(f"packed plan: {name} must be an integer from {least} to {most}")

    @cached_property
    def slot_bits(self) -> int:
        """Width of a slot: the largest sum of `addends` values, as numbers that are not negative."""
        return (self.addends * ((1 << self.value_bits) - 1)).bit_length()

    @cached_property
    def slots(self) -> int:
        """How many values one ciphertext carries."""
        return (self.key_bits - 2) // self.slot_bits

    @cached_property
    def ciphertexts(self) -> int:
        """How many ciphertexts carry the vector."""
        return -(-self.values // self.slots)

    @property
    def bytes_per_value(self) -> float:
        """Bytes that a value takes in a blob."""
        return self.ciphertexts * (self.key_bits // 4) / self.values

    def pack(self, values: Vector) -> list[int]:
        """The plaintexts of a vector int[values], as signed numbers are for a key. Raises UsageError."""
        numbers = np.asarray(values)
        half = 1 << (self.value_bits - 1)
        if numbers.shape != (self.values,) or numbers.dtype.kind not in "iu":
            raise UsageError(f"the plan is for {self.values} integers, got {numbers.dtype}{numbers.shape}")
        if int(numbers.min()) < -half or int(numbers.max()) >= half:
            raise UsageError(
                f"a value does not fit into {self.value_bits} bits with its sign", hint="plan for more bits"
            )
        shifted = (numbers.astype(np.int64) + half).tolist()
        return [
            gmpy2.pack(shifted[i : i + self.slots], self.slot_bits) for i in range(0, self.values, self.slots)
        ]

    def unpack(self, plain: Sequence[int], *, addends: int) -> NDArray[np.int64]:
        """The values int64[values] of a sum of `addends` vectors, from its plaintexts.

        Raises UpdateOutOfRange, which shows no value, for what `addends` vectors cannot add up to.
        """
        if len(plain) != self.ciphertexts:
            raise PlanError(f"the plan has {self.ciphertexts} ciphertexts, got {len(plain)}")
        if not 1 <= addends <= self.addends:
            raise PlanError(f"{addends} addends; the plan has room for 1 to {self.addends}")
        total = np.zeros((self.ciphertexts, self.slots), dtype=np.int64)
        for i, number in enumerate(plain):
            if not 0 <= number < 1 << (self.slot_bits * self.slots):
                raise UpdateOutOfRange(f"ciphertext {i} holds more than its slots")
            digits = gmpy2.unpack(mpz(number), self.slot_bits)
            total[i, : len(digits)] = [int(digit) for digit in digits]
        flat = total.ravel()
        if flat.max() > addends * ((1 << self.value_bits) - 1) or flat[self.values :].any():
            raise UpdateOutOfRange("a sum is outside the range of its addends")
        return flat[: self.values] - (addends << (self.value_bits - 1))

    def add(self, key: PublicKey, vectors: Sequence[Sequence[mpz]]) -> list[mpz]:
        """The ciphertexts of the sum of encrypted vectors, each checked. Raises CiphertextError."""
        if not 1 <= len(vectors) <= self.addends:
            raise PlanError(f"{len(vectors)} vectors; the plan has room for 1 to {self.addends}")
        for i, vector in enumerate(vectors):
            if len(vector) != self.ciphertexts:
                raise CiphertextError(
                    f"vector {i} has {len(vector)} ciphertexts, the plan {self.ciphertexts}"
                )
            key.check_all(vector)
        total = list(vectors[0])
        for vector in vectors[1:]:
            total = [key.add(a, b) for a, b in zip(total, vector, strict=True)]
        return total
