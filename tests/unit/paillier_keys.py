"""Keys for the tests: small ones for laws, which must be quick, and shipped sizes where size matters."""

from __future__ import annotations

from functools import cache

import gmpy2
from gmpy2 import mpz

from pysonar.keys.key import Key


@cache
def small_key(bits: int = 512, which: int = 0) -> Key:
    """A key that anybody can factor: its primes are the first ones above fixed numbers."""
    half = bits // 2
    start = (mpz(3) << (half - 2)) + 1_000_003 * which
    p = gmpy2.next_prime(start)
    q = gmpy2.next_prime(start + (mpz(1) << (half - 5)))
    return Key(p, q)


@cache
def real_key(bits: int = 2048) -> Key:
    return Key.generate(bits)


def decrypted(key: Key, c: int) -> int:
    """The plaintext of one ciphertext."""
    return key.unsafe_decrypt([mpz(c)])[0]


def textbook_decrypt(key: Key, c: int) -> int:
    """Paillier 1999, line by line: L(c^lambda mod n^2) / L(g^lambda mod n^2) mod n, as a signed integer."""
    p, q = (mpz(x) for x in key.unsafe_primes())
    n = p * q
    carmichael = gmpy2.lcm(p - 1, q - 1)

    def quotient(x: mpz) -> mpz:
        return (x - 1) // n

    top = quotient(gmpy2.powmod(c, carmichael, n * n))
    bottom = quotient(gmpy2.powmod(n + 1, carmichael, n * n))
    m = top * gmpy2.invert(bottom, n) % n
    return int(m if 2 * m < n else m - n)
