"""The public key: encryption, arithmetic on ciphertexts, and the checks that everything from outside passes.

Textbook Paillier with g = n + 1: Enc(m, r) = (1 + m n) r^n mod n^2 (Paillier 1999).
A plaintext m in [0, n) stands for the signed integer of least magnitude with that residue.

A proof comes with a key: no prime factor of n divides phi(n), so that r -> r^n is one-to-one. A mine hides
its data from the holder of the key by a factor r^n. If a prime d divided both n and phi(n), only one number
in d could be such a factor, and whoever made the key could learn something of what it hides.

Goldberg, Reyzin, Sagga and Baldimtsi, "Efficient noninteractive certification of RSA moduli and beyond"
(Asiacrypt 2019): the holder shows n-th roots of challenges that nobody chose, since they are hashed from n
itself. If there is such a d, at most one unit in d has an n-th root, and d is no less than the least prime
factor of n. `PublicKey.from_bytes` has refused factors below 10,000: so by chance passes at most one modulus
in 10,007^11 > 2^146, and whoever wants to cheat must hash as many.

It follows that n is square-free, that no factor p divides q - 1 for another factor q, and that
gcd(n, phi(n)) = 1. It does not follow that n has two factors only: a mine's secrecy does not need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import gmpy2
from gmpy2 import mpz

from sonar.errors import CiphertextError, UsageError

Rng = Callable[[int], int]
"""Uniform in [0, bound), as `secrets.randbelow` is."""

MIN_BITS = 2048
MIN_BITS_INSECURE = 1024
MAX_BITS = 8192
_SMALL_PRIMES = gmpy2.primorial(10_000)


@dataclass(frozen=True)
class PublicKey:
    """A Paillier public key with modulus `n`.

    The constructor trusts `n`; a key from outside comes in by `from_bytes`, which checks it.
    """

    n: mpz

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", mpz(self.n))

    @classmethod
    def from_bytes(cls, n_be: bytes, *, insecure: bool = False) -> PublicKey:
        """Read a modulus of unsigned big-endian bytes and check what can be checked without its factors.

        `insecure` admits 1024-bit keys, for comparisons only. Raises CiphertextError.
        """
        _require(len(n_be) * 8 <= MAX_BITS, f"has {len(n_be) * 8} bits; the limit is {MAX_BITS}")
        least = MIN_BITS_INSECURE if insecure else MIN_BITS
        n = mpz(int.from_bytes(n_be, "big"))
        _require(n.bit_length() >= least, f"has {n.bit_length()} bits; at least {least} are needed")
        _require(n.bit_length() == len(n_be) * 8, "has unused leading bits; its length must be whole bytes")
        _require(bool(n & 1), "is even")
        _require(gmpy2.gcd(n, _SMALL_PRIMES) == 1, "has a factor below 10,000")
        _require(not gmpy2.is_power(n), "is a perfect power")
        _require(not gmpy2.is_prime(n), "is a prime")
        return cls(n)

    def to_bytes(self) -> bytes:
        """The modulus as unsigned big-endian bytes."""
        return int(self.n).to_bytes((self.bits + 7) // 8, "big")

    @cached_property
    def bits(self) -> int:
        """Length of the modulus in bits."""
        return int(self.n.bit_length())

    @cached_property
    def n2(self) -> mpz:
        """n squared, the modulus of ciphertexts."""
        return self.n * self.n

    @cached_property
    def fingerprint(self) -> bytes:
        """sha2-256 of `to_bytes()`."""
        return hashlib.sha256(self.to_bytes()).digest()

    @cached_property
    def ciphertext_bytes(self) -> int:
        """Width of one ciphertext in a blob."""
        return (int(self.n2.bit_length()) + 7) // 8

    def signed(self, m: int) -> int:
        """The signed integer that the residue `m` in [0, n) stands for, in (-n/2, n/2)."""
        return int(m if 2 * m < self.n else m - self.n)

    def encrypt(self, m: int, r: int) -> mpz:
        """Enc(m, r) for m in [0, n) and a unit r in (0, n). Raises UsageError."""
        if not 0 <= m < self.n:
            raise UsageError("the plaintext is not in [0, n)")
        if not 0 < r < self.n or gmpy2.gcd(r, self.n) != 1:
            raise UsageError("the randomness is not a unit in (0, n)")
        return self.add_plain(gmpy2.powmod(r, self.n, self.n2), m)

    def blinding(self, rng: Rng) -> mpz:
        """A fresh encryption of zero, r^n mod n^2 with r uniform among the units: one entry of a pool.

        Use an entry once only: two ciphertexts blinded by the same entry give away their difference. Other
        threads go on meanwhile.
        """
        while True:
            r = mpz(rng(int(self.n)))
            if gmpy2.gcd(r, self.n) == 1:
                return gmpy2.powmod_base_list([r], self.n, self.n2)[0]

    def rerandomise(self, c: int, blinding: int) -> mpz:
        """The ciphertext of the same plaintext as `c`, unlinkable to it when `blinding` is fresh."""
        return c * blinding % self.n2

    def add(self, a: int, b: int) -> mpz:
        """Enc(x + y) of a = Enc(x), b = Enc(y)."""
        return a * b % self.n2

    def add_plain(self, c: int, m: int) -> mpz:
        """Enc(x + m) of c = Enc(x), for any integer m."""
        return c * (1 + mpz(m) % self.n * self.n) % self.n2

    def mul_plain(self, c: int, k: int) -> mpz:
        """Enc(k x) of c = Enc(x), for any integer k."""
        return gmpy2.powmod(c, k, self.n2)

    def weighted_sum(self, cs: Sequence[int], ks: Sequence[int]) -> mpz:
        """Enc(sum_i k_i x_i) of c_i = Enc(x_i). Not re-randomised."""
        total = mpz(1)
        for c, k in zip(cs, ks, strict=True):
            total = total * self.mul_plain(c, k) % self.n2
        return total

    def check(self, c: int, index: int = 0) -> mpz:
        """Return `c` if it is a ciphertext of this key: 0 < c < n^2 and gcd(c, n) = 1.

        Raises CiphertextError, which names `index`.
        """
        return self.check_all([c], first=index)[0]

    def check_all(self, cs: Sequence[int], first: int = 0) -> list[mpz]:
        """Check every one of `cs`, with one gcd for all. Raises CiphertextError naming the first bad one."""
        product = mpz(1)
        for i, c in enumerate(cs, first):
            if not 0 < c < self.n2:
                raise CiphertextError(f"ciphertext {i} is not between 0 and n^2")
            product = product * c % self.n
        if gmpy2.gcd(product, self.n) != 1:
            bad = next(i for i, c in enumerate(cs, first) if gmpy2.gcd(c, self.n) != 1)
            raise CiphertextError(f"ciphertext {bad} shares a factor with the key's modulus")
        return [mpz(c) for c in cs]

    def encode_blob(self, cs: Sequence[int]) -> bytes:
        """Ciphertexts as fixed-width big-endian bytes, one after the other. Raises CiphertextError."""
        return b"".join(int(c).to_bytes(self.ciphertext_bytes, "big") for c in self.check_all(cs))

    def decode_blob(self, data: bytes, count: int) -> list[mpz]:
        """Read a blob of exactly `count` ciphertexts and check each. Raises CiphertextError."""
        width = self.ciphertext_bytes
        if len(data) != count * width:
            raise CiphertextError(
                f"the blob has {len(data)} bytes; {count} ciphertexts of this key take {count * width}"
            )
        return self.check_all(
            [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]
        )


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise CiphertextError(f"the public key's modulus {problem}")


ROOTS = 11
_DOMAIN = b"sonar key proof 1"
_EXCESS_BITS = 128  # hashed beyond the modulus' length, so that what is left of a bias is below 2^-128


def proof_challenges(key: PublicKey) -> list[mpz]:
    """The numbers in [0, n) whose n-th roots a proof shows.

    Number i is sha2-256(domain, i, j, n) for j = 0, 1, ..., joined to 128 bits more than n has, modulo n; the
    domain is `sonar key proof 1`, i and j are two bytes each, n is its big-endian bytes.
    """
    n = key.to_bytes()
    blocks = -(-(key.bits + _EXCESS_BITS) // 256)

    def number(i: int) -> mpz:
        parts = (_DOMAIN + i.to_bytes(2, "big") + j.to_bytes(2, "big") + n for j in range(blocks))
        wide = b"".join(hashlib.sha256(part).digest() for part in parts)
        return mpz(int.from_bytes(wide, "big")) % key.n

    return [number(i) for i in range(ROOTS)]


def encode_proof(key: PublicKey, roots: Sequence[int]) -> bytes:
    """The roots as big-endian numbers of the modulus' width, one after the other."""
    return b"".join(int(root).to_bytes(_width(key), "big") for root in roots)


@lru_cache(maxsize=64)
def check_proof(key: PublicKey, proof: bytes) -> None:
    """Check that `proof` proves this module's claim about a key that `PublicKey.from_bytes` accepted.

    11 powers modulo n: about 40 ms at 2048 bits. A proof that just passed is not checked again.
    Raises CiphertextError.
    """
    width = _width(key)
    if len(proof) != ROOTS * width:
        _refuse(f"has {len(proof)} bytes; {ROOTS} roots for this key take {ROOTS * width}")
    roots = [mpz(int.from_bytes(proof[i : i + width], "big")) for i in range(0, len(proof), width)]
    for i, (root, challenge) in enumerate(zip(roots, proof_challenges(key), strict=True)):
        if not 0 < root < key.n or gmpy2.gcd(root, key.n) != 1:
            _refuse(f"has a root {i} that is not a unit in (0, n)")
        if gmpy2.powmod(root, key.n, key.n) != challenge:
            _refuse(f"fails: root {i} to the power of n is not the challenge")


def _width(key: PublicKey) -> int:
    return (key.bits + 7) // 8


def _refuse(problem: str) -> None:
    raise CiphertextError(
        f"the public key's proof {problem}",
        hint="without it the holder of this key might read your updates: do not join the bounty",
    )
