"""The proof that comes with a key: no prime factor of n divides phi(n), so that r -> r^n is one-to-one.

A mine hides its data from the holder of the key by a factor r^n. If a prime d divided both n and phi(n), only
one number in d could be such a factor, and whoever made the key could tell something of what it hides.

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
from collections.abc import Sequence
from functools import lru_cache

import gmpy2
from gmpy2 import mpz

from sonar.errors import CiphertextError
from sonar.paillier.public import PublicKey

ROOTS = 11
_DOMAIN = b"sonar key proof 1"
_EXCESS_BITS = 128  # hashed beyond the modulus' length, so that what is left of a bias is below 2^-128


def challenges(key: PublicKey) -> list[mpz]:
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


def encode(key: PublicKey, roots: Sequence[int]) -> bytes:
    """The roots as big-endian numbers of the modulus' width, one after the other."""
    return b"".join(int(root).to_bytes(_width(key), "big") for root in roots)


@lru_cache(maxsize=64)
def check(key: PublicKey, proof: bytes) -> None:
    """Check that `proof` shows what this module says of a key that `PublicKey.from_bytes` took.

    11 powers modulo n: about 40 ms at 2048 bits, and nothing for a proof that passed just before.
    Raises CiphertextError.
    """
    width = _width(key)
    if len(proof) != ROOTS * width:
        _refuse(f"has {len(proof)} bytes; {ROOTS} roots for this key take {ROOTS * width}")
    roots = [mpz(int.from_bytes(proof[i : i + width], "big")) for i in range(0, len(proof), width)]
    for i, (root, challenge) in enumerate(zip(roots, challenges(key), strict=True)):
        if not 0 < root < key.n or gmpy2.gcd(root, key.n) != 1:
            _refuse(f"has a root {i} that is not a unit in (0, n)")
        if gmpy2.powmod(root, key.n, key.n) != challenge:
            _refuse(f"fails: root {i} to the power of n is not the challenge")


def _width(key: PublicKey) -> int:
    return (key.bits + 7) // 8


def _refuse(problem: str) -> None:
    raise CiphertextError(
        f"the public key's proof {problem}",
        hint="without it the holder of this key might read your updates: leave the bounty alone",
    )
