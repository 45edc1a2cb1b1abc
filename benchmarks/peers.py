"""Other libraries of encrypted arithmetic, each making the same update by the Gram method, b - A w.

Each has keys and weights of its own, at 2048 bits. They are not part of Sonar: a library that cannot be
imported is reported as missing. Fixed point as in ours where a library leaves it to the caller: 16 and 20
fractional bits.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.contenders import FEATURES, Array, Blob, Contender, Task

BITS = 2048


class _Peer:
    """A contender without a pool."""

    name = ""
    tolerance = 1e-3

    def __init__(self, task: Task) -> None:
        self.task = task

    def prepare(self) -> None:
        """Nothing."""

    @property
    def _fixed(self) -> tuple[Any, Any, Any]:
        """-A int64[11, 11] at 2^20, b at 2^36 and w at 2^16."""
        a, b = self.task.gram
        return (
            -np.rint(a * 2**20).astype(np.int64),
            np.rint(b * 2**20).astype(np.int64) << 16,
            np.rint(self.task.w * 2**16).astype(np.int64),
        )


class Heu(_Peer):
    """SecretFlow's HEU (C++, ZPaillier): its own matrix product, b encrypted afresh and added."""

    name = "sf-heu"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._np, he = import_module("heu.numpy"), import_module("heu.phe")
        self._kit = self._np.setup(he.SchemaType.ZPaillier, BITS)
        self._encoder = self._kit.integer_encoder(1)
        self._weights = self._kit.encryptor().encrypt(self._array(self._fixed[2]))

    def run(self) -> Blob:
        a, b, _ = self._fixed
        product = self._kit.evaluator().matmul(self._array(a), self._weights)
        self._update = self._kit.evaluator().add(product, self._kit.encryptor().encrypt(self._array(b)))
        return bytes(self._update.serialize())

    def result(self, blob: Blob) -> Array:
        return np.asarray(self._kit.decryptor().decrypt(self._update).to_numpy(self._encoder) / 2.0**36)

    def _array(self, values: Any) -> Any:
        return self._kit.array(values, self._encoder)


class Pypaillier(_Peer):
    """pypaillier (Rust over GMP, Damgard-Jurik with short exponents): products, sums, b encrypted afresh."""

    name = "pypaillier"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._lib = import_module("paillier")
        self._public, self._secret = self._lib.generate_keypair(BITS)
        self._weights = self._blobs(self._lib.encrypt_integers(self._public, self._fixed[2].tolist()))

    def run(self) -> Blob:
        lib, public = self._lib, self._public
        a, b, _ = self._fixed
        constants = self._blobs(lib.encrypt_integers(public, b.tolist()))
        scalars = a.ravel().tolist()
        bits = max(abs(k) for k in scalars).bit_length()
        products = self._blobs(
            lib.multiply_integers(public, self._weights * FEATURES, scalars, scalar_bits=bits)
        )
        rows = [products[i : i + FEATURES] for i in range(0, len(products), FEATURES)]
        self._update = [
            bytes(lib.add_many(public, [*row, c])) for row, c in zip(rows, constants, strict=True)
        ]
        return b"".join(self._update)

    def result(self, blob: Blob) -> Array:
        values = self._lib.decrypt_exact_many(self._secret, self._update)
        return np.array([numerator / 2**36 for numerator, _ in values])

    @staticmethod
    def _blobs(values: Any) -> list[bytes]:
        return [bytes(value) for value in values]


class Fate(_Peer):
    """FATE's fate_utils (Rust): its matrix product on encoded floats, b encrypted afresh and added."""

    name = "fate_utils"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        lib = import_module("fate_utils.paillier")
        self._secret, self._public, self._coder = lib.keygen(BITS)
        self._weights = self._encrypt(task.w)

    def run(self) -> Blob:
        a, b = self.task.gram
        shapes = [FEATURES, 1], [FEATURES, FEATURES]
        product = self._weights.rmatmul(self._public, self._coder.encode_f64_vec(-a.ravel()), *shapes)
        self._update = product.add(self._public, self._encrypt(b))
        return b"".join(bytes(part) for part in self._update.__getstate__())

    def result(self, blob: Blob) -> Array:
        return np.asarray(self._coder.decode_f64_vec(self._secret.decrypt_to_encoded(self._update)))

    def _encrypt(self, values: Array) -> Any:
        return self._public.encrypt_encoded(self._coder.encode_f64_vec(values), True)


class TenSeal(_Peer):
    """TenSEAL: the other way to do it, CKKS on lattices. Approximate, and a ciphertext of another size."""

    name, tolerance = "tenseal CKKS", 1e-1

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        ts = import_module("tenseal")
        self._context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
        self._context.global_scale = 2**40
        self._context.generate_galois_keys()
        self._weights = ts.ckks_vector(self._context, task.w.tolist())

    def run(self) -> Blob:
        a, b = self.task.gram
        self._update = self._weights.mm((-a.T).tolist()) + b.tolist()
        return bytes(self._update.serialize())

    def result(self, blob: Blob) -> Array:
        return np.array(self._update.decrypt())


PEERS: tuple[Callable[[Task], Contender], ...] = (Heu, Pypaillier, Fate, TenSeal)


def installed(task: Task) -> tuple[list[Contender], tuple[str, ...]]:
    """The peers that are installed here, and the names of the others."""
    found: list[Contender] = []
    missing: list[str] = []
    for peer in PEERS:
        try:
            found.append(peer(task))
        except ImportError:
            missing.append(peer.name)  # type: ignore[attr-defined]
    return found, tuple(missing)
