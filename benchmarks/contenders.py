"""One mine's update on encrypted weights, the same gradient in several ways. Each is timed up to its bytes.

Every way starts from the encrypted weights and the mine's rows, and ends with what can be published:
ciphertexts made unlinkable to how they came about (`phe` does this in `ciphertext()`, ours by a pool entry).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import phe
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys import Key
from pysonar.phe_compat import to_phe_public, unsafe_to_phe_private
from sonar.paillier.affine import affine_update
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.paillier.vector import decode_update, encode_weights

FEATURES, ROWS = 11, 44
COARSE = 1e-6  # phe's `precision`; an exponent for all numbers makes its arithmetic cheaper
Blob = bytes


@dataclass
class Task:
    """A key, encrypted weights, and a mine's rows: phi float64[44, 11] with a bias column, y float64[44]."""

    bits: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(2017)  # the data are no secret; the key below is not made of them
        self.phi = np.c_[np.clip(rng.normal(size=(ROWS, FEATURES - 1)), -8, 8), np.ones(ROWS)]
        self.y = 152 + 77 * rng.normal(size=ROWS)
        self.w = np.round(rng.normal(0, 25, FEATURES), 3)
        self.key = Key.generate(self.bits)
        self.phe_public = to_phe_public(self.key.public)
        self.plan = SlotPlan.make(
            key_bits=self.bits,
            values=FEATURES,
            bounds=Bounds(weight_max=1000 << 16, a_row_l1_max=6 << 20, b_max=1500 << 20),
            mines_max=64,
            rows_max=65_535,
        )
        self.enc_w = self.key.encrypt_weights(encode_weights(self.w, self.plan))

    @property
    def gradient(self) -> NDArray[np.float64]:
        """The update in the clear, float64[11]: every contender's result must agree."""
        return np.asarray(self.phi.T @ (self.y - self.phi @ self.w) / ROWS)

    @cached_property
    def phe_secret(self) -> Any:
        return unsafe_to_phe_private(self.key)

    def phe_weights(self, precision: float | None) -> list[Any]:
        return [self.phe_public.encrypt(float(w), precision=precision) for w in self.w]

    def encoder(self, precision: float | None) -> Callable[[float], Any]:
        if precision is None:
            return float
        return lambda value: phe.EncodedNumber.encode(self.phe_public, float(value), precision=precision)


@dataclass
class Sonar:
    """Ours: A and b from the rows, one packed product, one pool entry, one blob."""

    task: Task
    name: str = "sonar"

    def __post_init__(self) -> None:
        self._entries: list[mpz] = []

    def prepare(self) -> None:
        """Fill the pool, as a mine does while it is idle."""
        blinding = self.task.key.public.blinding
        self._entries = [blinding(secrets.randbelow) for _ in range(self.task.plan.ciphertexts)]

    def run(self) -> Blob:
        task, public = self.task, self.task.key.public
        unit = 1 << task.plan.data_frac
        a = np.rint(task.phi.T @ task.phi * (unit / ROWS)).astype(np.int64)
        b = np.rint(task.phi.T @ task.y * (unit / ROWS)).astype(np.int64)
        update = affine_update(public, task.plan, a.tolist(), b.tolist(), task.enc_w)
        blinded = [public.rerandomise(c, self._entries.pop()) for c in update]
        return public.encode_blob(blinded)

    def result(self, blob: Blob) -> NDArray[np.float64]:
        task = self.task
        plain = [
            task.key.public.signed(task.phe_secret.raw_decrypt(int(c)))
            for c in task.key.public.decode_blob(blob, task.plan.ciphertexts)
        ]
        return decode_update(task.plan.unpack(plain, weight=1), task.plan)


@dataclass
class Phe:
    """python-paillier: one ciphertext per weight and per value, obfuscated when published."""

    task: Task
    name: str
    precision: float | None
    gram: bool = False

    def __post_init__(self) -> None:
        self._enc_w = self.task.phe_weights(self.precision)
        self._encode = self.task.encoder(self.precision)
        self._exponents: list[int] = []

    def prepare(self) -> None:
        """Nothing: phe has no pool."""

    def run(self) -> Blob:
        values = self._by_gram() if self.gram else self._by_rows()
        self._exponents = [value.exponent for value in values]
        width = self.task.key.public.ciphertext_bytes
        return b"".join(value.ciphertext(be_secure=True).to_bytes(width, "big") for value in values)

    def result(self, blob: Blob) -> NDArray[np.float64]:
        cs = self.task.key.public.decode_blob(blob, FEATURES)
        numbers = [
            phe.EncryptedNumber(self.task.phe_public, int(c), exponent)
            for c, exponent in zip(cs, self._exponents, strict=True)
        ]
        sums = np.array([self.task.phe_secret.decrypt(number) for number in numbers])
        return sums if self.gram else sums / ROWS

    def _by_rows(self) -> list[Any]:
        """As it was done in 2017: for each row the encrypted error, then times each of its features."""
        total: list[Any] = [0] * FEATURES
        for row, y in zip(self.task.phi, self.task.y, strict=True):
            features = [self._encode(x) for x in row]
            error = self._dot(features) * -1 + self._encode(y)
            total = [t + error * x for t, x in zip(total, features, strict=True)]
        return total

    def _by_gram(self) -> list[Any]:
        """Our trick with phe's numbers: b - A w, so that the number of rows does not matter."""
        a, b = self.task.phi.T @ self.task.phi / ROWS, self.task.phi.T @ self.task.y / ROWS
        return [
            self._dot([self._encode(-x) for x in row]) + self._encode(y) for row, y in zip(a, b, strict=True)
        ]

    def _dot(self, factors: Sequence[Any]) -> Any:
        first, *rest = (w * x for w, x in zip(self._enc_w, factors, strict=True))
        return sum(rest, start=first)


def contenders(task: Task) -> list[Sonar | Phe]:
    """Ours first, then its peers."""
    return [
        Sonar(task),
        Phe(task, "phe", None),
        Phe(task, "phe precision=1e-6", COARSE),
        Phe(task, "phe + Gram", None, gram=True),
    ]
