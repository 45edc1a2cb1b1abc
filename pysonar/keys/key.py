"""The scientist's key: two primes, and the ledger of what they gave away.

By itself it answers `decrypt_packed_sum` alone: a sum of at least two packed vectors, each of which enters
one sum only. What may be asked about a bounty's updates, its holder answers: `pysonar.keys.holder`. Methods
that give more are named `unsafe_...`; the holder is the one shipped path that calls `unsafe_decrypt`, and
what it reads there stays inside.

This holds against mistakes. It does not hold against the owner of the key, who can write another class.
The arithmetic, how faults in it are found, and what is said about side channels: `pysonar.keys.secret`. The
key at rest: `pysonar.keys.keyfile`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys import keyfile
from pysonar.keys.ledger import Ledger
from pysonar.keys.secret import Secret, Tell
from pysonar.keys.updates import digest_of_parts
from sonar.errors import KeyFileError, UsageError
from sonar.paillier.packed import PackedPlan, Vector
from sonar.paillier.public import (
    MAX_BITS,
    MIN_BITS,
    MIN_BITS_INSECURE,
    PublicKey,
    encode_proof,
    proof_challenges,
)


class Key:
    """A Paillier key pair with its ledger.

    `public` is the public half. The constructor trusts its primes, for tests and conversions; use
    `generate` and `load`.
    """

    def __init__(self, p: int, q: int, ledger: Ledger | None = None) -> None:
        self._open_secret: Secret | None = Secret(p, q)
        self.public = self._secret.public
        self._ledger = ledger

    @classmethod
    def generate(cls, bits: int = 3072, *, insecure: bool = False) -> Key:
        """Make a key with a modulus of `bits` bits from the system's randomness. A second or so.

        2048 bits are worth 112 bits of security, 3072 are worth 128. `insecure` admits 1024, for comparisons.
        Raises UsageError.
        """
        least = MIN_BITS_INSECURE if insecure else MIN_BITS
        if type(bits) is not int or bits % 16 or not least <= bits <= MAX_BITS:
            raise UsageError(f"bits must be a multiple of 16 from {least} to {MAX_BITS}, got {bits!r}")
        return cls(*Secret.generate(bits).primes())

    @property
    def ledger(self) -> Ledger:
        """The record of what this key has given away: in memory until the key is saved."""
        if self._ledger is None:
            self._ledger = Ledger(None, self.public.fingerprint)
        return self._ledger

    @property
    def _secret(self) -> Secret:
        if self._open_secret is None:
            raise UsageError("the key is closed", hint="load it again")
        return self._open_secret

    @cached_property
    def proof(self) -> bytes:
        """The proof that mines ask for, for the key's manifest: see `sonar.paillier.public`."""
        return encode_proof(self.public, self._secret.roots(proof_challenges(self.public)))

    def on_progress(self, tell: Tell | None) -> None:
        """Have `tell` called with (done, of) about once a second by work that takes longer."""
        self._secret.tell = tell

    def save(self, path: Path, passphrase: str, *, dev: bool = False) -> None:
        """Write the key to `path`, encrypted, and its ledger, named by the fingerprint, into the same folder.

        Both have mode 0600. `dev` takes a light scrypt (16 MiB, not 128), for development networks only. From
        here on this object uses the ledger on disk. Raises KeyFileError, also when either exists.
        """
        path = Path(path)
        ledger_path = _ledger_path(path, self.public.fingerprint)
        if path.exists() or ledger_path.exists():
            raise KeyFileError(f"{path} or {ledger_path} exists", hint="load it, or move it away")
        half = self.public.bits // 16
        secret = b"".join(prime.to_bytes(half, "big") for prime in self.unsafe_primes())
        ledger = Ledger(ledger_path, self.public.fingerprint)
        if self._ledger is not None:
            self._ledger.copy_to(ledger)
        keyfile.write(path, secret, self.public.fingerprint, passphrase, light=dev)
        self._close_ledger()
        self._ledger = ledger

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Key:
        """Read a key and its ledger. Raises KeyFileError: wrong passphrase, file mode, format, no ledger."""
        path = Path(path)
        secret, fingerprint = keyfile.read(path, passphrase)
        ledger_path = _ledger_path(path, fingerprint)
        if not ledger_path.exists():
            raise KeyFileError(
                f"the ledger {ledger_path} is missing, and without it the key could decrypt too much",
                hint="copy it from where the key was used last; if it is lost, make a new key",
            )
        keyfile.check_private(ledger_path)
        half = len(secret) // 2
        p, q = int.from_bytes(secret[:half], "big"), int.from_bytes(secret[half:], "big")
        if PublicKey(mpz(p) * q).fingerprint != fingerprint:
            raise KeyFileError(f"{path} holds another key than its fingerprint says")
        if p == q or not (gmpy2.is_prime(p) and gmpy2.is_prime(q)):
            raise KeyFileError(f"{path} does not hold two primes", hint="whoever made it cannot be trusted")
        return cls(p, q, Ledger(ledger_path, fingerprint))

    def close(self) -> None:
        """Close the ledger, and let go of the key."""
        self._open_secret = None
        self._close_ledger()

    def _close_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def encrypt_weights(self, w_int: Sequence[int]) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |w| < n/2. Reveals nothing. Raises UsageError."""
        return self._secret.encrypt(w_int)

    def encrypt_packed(self, plan: PackedPlan, values: Vector) -> list[mpz]:
        """The ciphertexts of a long vector int[plan.weights]. Reveals nothing. Raises UsageError."""
        self._check_bits(plan)
        return self._secret.encrypt(plan.pack(values))

    def decrypt_packed_sum(self, plan: PackedPlan, vectors: Sequence[Sequence[mpz]]) -> NDArray[np.int64]:
        """Reveal the sum int64[plan.weights] of two or more packed vectors.

        The digest of each goes to the ledger first, with that of the sum. The same call may be made again; a
        vector that was part of another sum raises LedgerConflict, since two sums that differ by one vector
        give that one away. Raises UsageError, CiphertextError, UpdateOutOfRange, EnvironmentFault.
        """
        self._check_bits(plan)
        if len(vectors) < 2:
            raise UsageError("the sum of one vector is that vector; at least 2 are needed")
        total = plan.add(self.public, vectors)
        digests = sorted(digest_of_parts(self.public.encode_blob(vector)) for vector in vectors)
        if len(set(digests)) != len(digests):
            raise UsageError("a vector occurs twice in one sum")
        self.ledger.record_sum(digests, digest_of_parts(b"sonar packed sum", *digests))
        return plan.unpack(self._secret.decrypt(total), addends=len(vectors))

    def unsafe_decrypt(self, ciphertexts: Sequence[mpz]) -> list[int]:
        """Reveal the signed plaintexts of ciphertexts that `PublicKey.check_all` has passed.

        Nothing is written into the ledger. Each decryption is checked: raises EnvironmentFault.
        """
        return self._secret.decrypt(ciphertexts)

    def unsafe_derive(self, purpose: bytes) -> bytes:
        """Return 32 bytes that only this key makes, for a purpose: they encrypt what it keeps on disk."""
        half = self.public.bits // 16
        primes = sorted(int(prime).to_bytes(half, "big") for prime in self.unsafe_primes())
        return hashlib.blake2b(
            b"".join(primes), digest_size=32, person=b"sonar derived", key=purpose
        ).digest()

    def unsafe_primes(self) -> tuple[int, int]:
        """Reveal p and q: the key itself, without its ledger."""
        return self._secret.primes()

    def __repr__(self) -> str:
        return f"<Key {self.public.bits} bits, fingerprint {self.public.fingerprint.hex()[:16]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key is neither pickled nor copied; use save and load")

    def _check_bits(self, plan: PackedPlan) -> None:
        if plan.key_bits != self.public.bits:
            raise UsageError(f"the plan is for a key of {plan.key_bits} bits, not {self.public.bits}")


def _ledger_path(key_path: Path, fingerprint: bytes) -> Path:
    return key_path.with_name(f"{fingerprint.hex()[:16]}.ledger")
