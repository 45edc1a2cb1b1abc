"""One mine's update on encrypted weights, the same gradient in several ways. Each is timed up to its bytes.

Every way starts from the encrypted weights and the mine's rows, and ends with what can be published:
ciphertexts made unlinkable to how they came about (`phe` does this in `ciphertext()`, ours by a pool entry).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import phe
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys.key import Key
from pysonar.keys.phe_compat import to_phe_public, unsafe_to_phe_private
from sonar.families.quadratic.answer import fixed_point, local_steps, moments
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.paillier.affine import affine_update
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import Bounds, SlotPlan, decode_update, encode_weights

FEATURES, ROWS = 11, 44
COARSE = 1e-6  # phe's `precision`; an exponent for all numbers makes its arithmetic cheaper
Array = NDArray[np.float64]
Blob = bytes


class Contender(Protocol):
    """A way to make the update. `tolerance` is how far its result may be off, for a gradient of about 100."""

    name: str
    tolerance: float

    def prepare(self) -> None:
        """What is done while idle."""

    def run(self) -> Blob:
        """The update, ready to be published. This is timed."""

    def result(self, blob: Blob) -> Array:
        """The gradient that the blob holds, float64[11]."""


class Task:
    """A key, encrypted weights, and a mine's rows: phi float64[n, 11] with a bias column, y float64[n]."""

    def __init__(self, bits: int, rows: int = ROWS) -> None:
        rng = np.random.default_rng(2017)  # the data are not secret; the key below does not depend on them
        self.w = np.round(rng.normal(0, 25, FEATURES), 3)
        self.phi = np.c_[np.clip(rng.normal(size=(rows, FEATURES - 1)), -8, 8), np.ones(rows)]
        self.y = 152 + 77 * rng.normal(size=rows)
        self.key = Key.generate(bits)
        self.plan = slot_plan(bits, FEATURES, a_row_l1_max=6)
        self.enc_w = self.key.encrypt_weights(encode_weights(self.w, self.plan))

    @property
    def gradient(self) -> Array:
        """The update in the clear, float64[11]: every contender's result must agree."""
        return np.asarray(self.phi.T @ (self.y - self.phi @ self.w) / len(self.y))

    @property
    def gram(self) -> tuple[Array, Array]:
        """A float64[11, 11] and b float64[11] in the clear."""
        return self.phi.T @ self.phi / len(self.y), self.phi.T @ self.y / len(self.y)

    @cached_property
    def phe_public(self) -> Any:
        return to_phe_public(self.key.public)

    @cached_property
    def phe_secret(self) -> Any:
        return unsafe_to_phe_private(self.key)


def slot_plan(bits: int, features: int, *, a_row_l1_max: int) -> SlotPlan:
    """The precision that training needs: weights with 16 fractional bits, data with 20, 64 mines."""
    bounds = Bounds(weight_max=1000 << 16, a_row_l1_max=a_row_l1_max << 20, b_max=1500 << 20)
    return SlotPlan.make(key_bits=bits, weights=features, bounds=bounds, mines_max=64, weight_rows=65_535)


@dataclass(frozen=True)
class Mine:
    """What our mine has: enough to make an update in another process too."""

    n: int
    plan: SlotPlan
    enc_w: tuple[mpz, ...]
    phi: Array
    y: Array
    steps: int = 1

    @classmethod
    def of(cls, task: Task, steps: int = 1) -> Mine:
        return cls(int(task.key.public.n), task.plan, tuple(task.enc_w), task.phi, task.y, steps)

    def pool(self) -> list[int]:
        """Fresh pool entries for one update."""
        public = PublicKey(mpz(self.n))
        return [int(public.blinding(secrets.randbelow)) for _ in range(self.plan.ciphertexts)]

    def update(self, entries: Sequence[int]) -> Blob:
        """A and b from the rows, one packed product, one pool entry each, one blob."""
        return self.published(self.product(), entries)

    def product(self) -> list[mpz]:
        """The update's ciphertexts before anything hides how they came about."""
        sums = moments(self.phi, self.y.reshape(-1, 1))
        one = local_steps(fixed_point(sums, LOSSES["squared"], self.plan.data_frac), self.steps, 0.05)
        return affine_update(self.public, self.plan, one.a_int, one.b_int, self.enc_w)

    def published(self, ciphertexts: Sequence[mpz], entries: Sequence[int]) -> Blob:
        """One blob, with one pool entry for each ciphertext."""
        public = self.public
        return public.encode_blob(
            [public.rerandomise(c, entry) for c, entry in zip(ciphertexts, entries, strict=True)]
        )

    @property
    def public(self) -> PublicKey:
        """The key afresh, as from a file."""
        return PublicKey(mpz(self.n))


class Sonar:
    """Ours."""

    name, tolerance = "sonar", 1e-3

    def __init__(self, task: Task, steps: int = 1) -> None:
        self.task, self.mine = task, Mine.of(task, steps)
        self._entries: list[int] = []

    def prepare(self) -> None:
        self._entries = self.mine.pool()

    def run(self) -> Blob:
        entries, self._entries = self._entries, []
        return self.mine.update(entries)

    def result(self, blob: Blob) -> Array:
        public, plan = self.task.key.public, self.task.plan
        plain = [
            public.signed(self.task.phe_secret.raw_decrypt(int(c)))
            for c in public.decode_blob(blob, plan.ciphertexts)
        ]
        return decode_update(plan.unpack(plain, weight=1), plan)


class Phe:
    """python-paillier: one ciphertext per weight and per value, obfuscated when published."""

    tolerance = 1e-3

    def __init__(self, task: Task, name: str, precision: float | None = None, gram: bool = False) -> None:
        self.task, self.name, self._gram = task, name, gram
        self._precision = precision
        self._enc_w = [task.phe_public.encrypt(float(w), precision=precision) for w in task.w]
        self._exponents: list[int] = []

    def prepare(self) -> None:
        """Nothing: phe has no pool."""

    def run(self) -> Blob:
        values = self._by_gram() if self._gram else self._by_rows()
        self._exponents = [value.exponent for value in values]
        width = self.task.key.public.ciphertext_bytes
        return b"".join(value.ciphertext(be_secure=True).to_bytes(width, "big") for value in values)

    def result(self, blob: Blob) -> Array:
        cs = self.task.key.public.decode_blob(blob, FEATURES)
        numbers = [
            phe.EncryptedNumber(self.task.phe_public, int(c), exponent)
            for c, exponent in zip(cs, self._exponents, strict=True)
        ]
        sums = np.array([self.task.phe_secret.decrypt(number) for number in numbers])
        return sums if self._gram else sums / len(self.task.y)

    def _by_rows(self) -> list[Any]:
        """As it was done in 2017: for each row the encrypted error, then times each of its features."""
        total: list[Any] = [0] * FEATURES
        for row, y in zip(self.task.phi, self.task.y, strict=True):
            features = [self._encode(x) for x in row]
            error = self._dot(features) * -1 + self._encode(y)
            total = [t + error * x for t, x in zip(total, features, strict=True)]
        return total

    def _by_gram(self) -> list[Any]:
        """Our method with phe's numbers: b - A w, so that the number of rows does not matter."""
        a, b = self.task.gram
        return [
            self._dot([self._encode(-x) for x in row]) + self._encode(y) for row, y in zip(a, b, strict=True)
        ]

    def _dot(self, factors: Sequence[Any]) -> Any:
        first, *rest = (w * x for w, x in zip(self._enc_w, factors, strict=True))
        return sum(rest, start=first)

    @cached_property
    def _encode(self) -> Callable[[float], Any]:
        if self._precision is None:
            return float
        public, precision = self.task.phe_public, self._precision
        return lambda value: phe.EncodedNumber.encode(public, float(value), precision=precision)


def ours_and_phe(task: Task) -> list[Contender]:
    """Ours first, then python-paillier's ways."""
    return [
        Sonar(task),
        Phe(task, "phe"),
        Phe(task, "phe precision=1e-6", COARSE),
        Phe(task, "phe + Gram", gram=True),
    ]
