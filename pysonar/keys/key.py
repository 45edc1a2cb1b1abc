"""The scientist's key: two primes, and the ledger of what they gave away.

By itself it answers `decrypt_packed_sum` alone: a sum of at least two packed vectors, each of which enters
one sum only. What may be asked about a bounty's updates, its holder answers: `pysonar.keys.holder`. Methods
that give out more are named `unsafe_...`. In the shipped code only the holder calls `unsafe_decrypt`, and it
keeps the result to itself.

This protects against mistakes, not against the key's owner, who can write another class. The key at rest:
`pysonar.keys.keyfile`.

Only `Secret` uses p and q, by the Chinese remainder theorem: modulo p^2 and q^2, in a quarter of the time.

Faults. A result that is right modulo one prime and wrong modulo the other gives the factors away to whoever
learns it (Boneh, DeMillo and Lipton 1997). So every decryption is checked before it leaves `decrypt`. That m
is what c = (1 + m n) r^n encrypts, for some r, is the same as that y = c (1 - m n) is an n-th power modulo
n^2, and this is the same as y^(p-1) = 1 modulo p^2 and y^(q-1) = 1 modulo q^2: no r is needed, and the check
costs as much as a decryption. Several are checked at once: y^(p-1) lies in a group of p elements, p prime, so
a product of powers y_i^e_i with random e_i of 64 bits is 1 only if every y_i^(p-1) is, but for one chance in
2^64 (the small exponents test of Bellare, Garay and Rabin 1998). For sixteen at a time it adds a fifth. A
root is raised to the power of n again, modulo each prime. Encryption is not checked: nobody else knows its
randomness, to which the ciphertext could be compared.

Side channels. Exponents here are secret. GMP's powers, the choice of table entries, and the making of primes
take a time, and touch memory, that depend on them: none of it is constant-time. Decrypt on a machine where
nobody else measures or runs programs. `Key.close` lets go of p and q and of what was computed from them. But
Python does not overwrite memory that it frees: they may stay in it, in a core dump or in swapped pages, until
it is used again.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys import keyfile
from pysonar.keys.ledger import Ledger
from pysonar.keys.zeros import ZeroTable
from sonar.cores import cores_allowed, spread
from sonar.errors import EnvironmentFault, KeyFileError, UsageError
from sonar.paillier.cohort import digest_of_parts
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
        ledger_path = keyfile.ledger_beside(path, self.public.fingerprint)
        if path.exists() or ledger_path.exists():
            hint = "give another name; or move the old file away"
            raise KeyFileError(f"{path} or {ledger_path} exists", hint=hint)
        ledger = Ledger(ledger_path, self.public.fingerprint)
        if self._ledger is not None:
            self._ledger.copy_to(ledger)
        keyfile.write(path, self._bytes(), self.public.fingerprint, passphrase, light=dev)
        self._close_ledger()
        self._ledger = ledger

    def save_next(self, path: Path, passphrase: str, first: bytes, *, dev: bool = False) -> None:
        """Write a key that follows others in a bounty: it uses the ledger of the `first`, by its fingerprint.

        This one file is all that is written, whole or not at all. Raises KeyFileError, also when it exists.
        """
        public = self.public
        keyfile.write(Path(path), self._bytes(), public.fingerprint, passphrase, light=dev, ledger=first)

    def _bytes(self) -> bytes:
        half = self.public.bits // 16
        return b"".join(prime.to_bytes(half, "big") for prime in self.unsafe_primes())

    @classmethod
    def load(cls, path: Path, passphrase: str, ledger: Ledger | None = None) -> Key:
        """Read a key and its ledger, or one that uses the same `ledger`, which is open.

        Raises KeyFileError: wrong passphrase, file mode, format, no ledger.
        """
        path = Path(path)
        p, q, said = keyfile.primes(path, passphrase)
        if ledger is None:
            return cls(p, q, Ledger(keyfile.ledger_of(path, said), said.ledger))
        if ledger.owner != said.ledger:
            raise KeyFileError(f"{path} belongs to another bounty's keys", hint="move it away")
        return cls(p, q, ledger)

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

    def unsafe_open(
        self, ciphertexts: Sequence[mpz], plain: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        """Reveal of each ciphertext the plaintext m in [0, n) and the r with c = (1 + m n) r^n modulo n^2.

        `plain`: what they hold, where `unsafe_decrypt` has told it or `encrypt_weights` was given it. Whoever
        is shown both can check them (`sonar.paillier.openings`). The ciphertexts must have passed
        `PublicKey.check_all`. Nothing is written into the ledger. Raises EnvironmentFault as `decrypt`.
        """
        return self._secret.openings(ciphertexts, plain)

    def unsafe_derive(self, purpose: bytes) -> bytes:
        """Return 32 bytes that only this key can derive, per purpose: they encrypt what it keeps on disk."""
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


Tell = Callable[[int, int], None]
"""Called with (done, of) about once a second by work that takes longer."""

_PRIMALITY_ROUNDS = 40
_SIEVE = gmpy2.primorial(2_000)
_CHECK_BITS = 64
_AT_A_TIME = 16
_TABLE_PAYS_FROM = 50


class Secret:
    """The primes of a key, of any size. `generate` makes good ones; the constructor takes them for primes."""

    def __init__(self, p: int, q: int) -> None:
        if p == q or gmpy2.gcd(p * q, (p - 1) * (q - 1)) != 1:
            raise UsageError(
                "p and q make no key: they are equal, or p q shares a factor with (p - 1)(q - 1)"
            )
        self._p, self._q = _Prime(mpz(p), mpz(q)), _Prime(mpz(q), mpz(p))
        self._q_inverse = gmpy2.invert(q, p)
        self._q2_inverse = gmpy2.invert(self._q.square, self._p.square)
        self.public = PublicKey(mpz(p) * q)
        self.cores = cores_allowed()
        self.tell: Tell | None = None

    @classmethod
    def generate(cls, bits: int) -> Secret:
        """Two random primes of bits / 2 bits each, a multiple of 8; a second or so."""
        while True:
            p, q = random_prime(bits // 2), random_prime(bits // 2)
            # Fermat's method finds factors that lie close together; the last point makes r -> r^n one-to-one.
            if abs(p - q).bit_length() > bits // 2 - 100 and gmpy2.gcd(p * q, (p - 1) * (q - 1)) == 1:
                return cls(p, q)

    def primes(self) -> tuple[int, int]:
        """The key itself."""
        return int(self._p.p), int(self._q.p)

    def encrypt(self, numbers: Sequence[int]) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |number| < n/2.

        The randomness is a uniform n-th power, or from `ZeroTable` where that pays. Raises UsageError.
        """
        if any(2 * abs(number) >= self.public.n for number in numbers):
            raise UsageError("a number to encrypt is not between -n/2 and n/2")
        if len(numbers) >= _TABLE_PAYS_FROM:
            for prime in (self._p, self._q):
                prime.table = prime.table or ZeroTable(prime.p)
        # Additions to a table's product are too short for threads: they would wait for each other.
        cores = 1 if self._p.table else self.cores
        return self._spread(
            lambda part: [self.public.add_plain(self._zero(), m) for m in part], numbers, cores
        )

    def decrypt(self, ciphertexts: Sequence[mpz]) -> list[int]:
        """The signed plaintexts, checked as this module says. Raises EnvironmentFault for a wrong one.

        The ciphertexts must have passed `PublicKey.check_all`.
        """
        return self._spread(self._decrypt_some, ciphertexts, self.cores)

    def roots(self, numbers: Sequence[mpz]) -> list[mpz]:
        """The n-th roots modulo n of units. Raises EnvironmentFault for a wrong one."""
        by_p, by_q = self._p.roots(numbers), self._q.roots(numbers)
        roots = [self._combine(*pair) for pair in zip(by_p, by_q, strict=True)]
        if not (self._p.are_roots(roots, numbers) and self._q.are_roots(roots, numbers)):
            raise _miscalculated("a root")
        return roots

    def openings(
        self, ciphertexts: Sequence[mpz], plain: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        """The plaintext in [0, n) and the randomness of each: modulo n, a ciphertext is r^n.

        `plain`: what they hold, if it is known. The ciphertexts must have passed `PublicKey.check_all`.
        Raises EnvironmentFault for a wrong one.
        """
        n = self.public.n
        plain = self.decrypt(ciphertexts) if plain is None else plain
        numbers = [mpz(c) % n for c in ciphertexts]
        parts = spread(self.roots, numbers, cores=self.cores, at_a_time=_AT_A_TIME)
        roots = [root for part in parts for root in part]
        return [(int(m % n), int(r)) for m, r in zip(plain, roots, strict=True)]

    def _spread(
        self, work: Callable[[Sequence[mpz]], list[mpz]], items: Sequence[int], cores: int
    ) -> list[mpz]:
        done: list[mpz] = []
        told_s = time.monotonic()
        at_a_time = min(_AT_A_TIME, max(1, -(-len(items) // cores)))  # few items keep all cores busy too
        for part in spread(work, items, cores=cores, at_a_time=at_a_time):
            done += part
            if self.tell and time.monotonic() - told_s >= 1:
                told_s = time.monotonic()
                self.tell(len(done), len(items))
        return done

    def _zero(self) -> mpz:
        zero_p, zero_q = self._p.random_zero(), self._q.random_zero()
        step = (zero_p - zero_q) * self._q2_inverse % self._p.square
        return zero_q + self._q.square * step

    def _decrypt_some(self, cs: Sequence[mpz]) -> list[int]:
        by_p, by_q = self._p.decrypt(cs), self._q.decrypt(cs)
        plain = [self._combine(*pair) for pair in zip(by_p, by_q, strict=True)]
        n, n2 = self.public.n, self.public.n2
        zeros = [c * (1 - m * n) % n2 for c, m in zip(cs, plain, strict=True)]
        if not (self._p.are_zeros(zeros) and self._q.are_zeros(zeros)):
            raise _miscalculated("a decryption")
        return [self.public.signed(m) for m in plain]

    def _combine(self, x_p: mpz, x_q: mpz) -> mpz:
        """The number in [0, n) that is x_p modulo p and x_q modulo q."""
        return x_q + self._q.p * ((x_p - x_q) * self._q_inverse % self._p.p)


class _Prime:
    """What is done modulo one of the primes, p, and its square."""

    __slots__ = ("_decrypt_factor", "_root_exponent", "_to_n", "p", "square", "table")

    def __init__(self, p: mpz, other: mpz) -> None:
        self.p, self.square = p, p * p
        self.table: ZeroTable | None = None
        self._decrypt_factor = gmpy2.invert(-other, p)
        self._to_n = p * other % (p - 1)
        self._root_exponent = gmpy2.invert(self._to_n, p - 1)

    def decrypt(self, cs: Sequence[mpz]) -> list[mpz]:
        """The plaintexts mod p: L(c^(p-1) mod p^2) / L((1 + n)^(p-1) mod p^2), L(x) = (x - 1) / p."""
        powers = gmpy2.powmod_base_list(list(cs), self.p - 1, self.square)
        return [(power - 1) // self.p * self._decrypt_factor % self.p for power in powers]

    def are_zeros(self, ys: Sequence[mpz]) -> bool:
        """Whether all are n-th powers mod p^2, by one power of a random combination of them."""
        combined = mpz(1)
        for y in ys:
            combined = combined * gmpy2.powmod(y, secrets.randbits(_CHECK_BITS), self.square) % self.square
        return bool(gmpy2.powmod_base_list([combined], self.p - 1, self.square) == [1])

    def roots(self, xs: Sequence[mpz]) -> list[mpz]:
        """The n-th roots mod p."""
        return list(gmpy2.powmod_base_list(list(xs), self._root_exponent, self.p))

    def are_roots(self, roots: Sequence[mpz], xs: Sequence[mpz]) -> bool:
        """Whether root^n = x mod p for each: x is a unit, so n counts modulo p - 1 only."""
        powers = gmpy2.powmod_base_list([root % self.p for root in roots], self._to_n, self.p)
        return all(power == x % self.p for power, x in zip(powers, xs, strict=True))

    def random_zero(self) -> mpz:
        """A random n-th power mod p^2. x^p takes each of them, because q is prime to p - 1."""
        if self.table:
            return self.table.random()
        x = mpz(1 + secrets.randbelow(int(self.p) - 1))
        return gmpy2.powmod_base_list([x], self.p, self.square)[0]


def random_prime(bits: int) -> mpz:
    """A uniform prime of `bits` bits among those that are 3 mod 4 with the top two bits set.

    Every candidate is drawn afresh: stepping from a random start would favour primes after long gaps.
    """
    while True:
        candidate = mpz(secrets.randbits(bits)) | 3 << (bits - 2) | 3
        if gmpy2.gcd(candidate, _SIEVE) == 1 and gmpy2.is_prime(candidate, _PRIMALITY_ROUNDS):
            return candidate


def _miscalculated(what: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"{what} failed its check; nothing was released",
        hint="this machine miscalculated: check its memory, and do not use it for keys until then",
    )
