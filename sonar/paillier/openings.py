"""Openings: whoever can decrypt shows what ciphertexts hold, and others check it without the key's factors.

The opening (X, r) of c says that c = (1 + X n) r^n modulo n^2. Checked one by one that is a power modulo n^2
each. Ten and more are checked together: for random factors e_i of the verifier's own,

    prod c_i^(e_i) = (1 + n sum e_i X_i) (prod r_i^(e_i))^n  modulo n^2.

Decryption is a homomorphism from the units modulo n^2 to Z_n (for keys with the proof of
`sonar.paillier.public`). So if the plaintext of c_i is X_i + d_i, this says that sum e_i d_i = 0 modulo n.

Why ten times with 20 bits, and not once with 128: nobody knows that n has no small factor. If it has a factor
p, a cheat makes all d_i multiples of n / p, and then a batch passes with a chance of 1 / p, however long the
factors are. `PublicKey.from_bytes` has refused factors below 10,000. If some d_i is not 0 modulo p, at most
ceil(2^20 / p) of 2^20 values of e_i make the sum 0 modulo p. That is a chance of at most 2^-13.2 for a batch,
and below 2^-132 for ten. Where n has no factor below 2^20, which a product of all primes up to there tells
in milliseconds, it is 2^-20 for a batch, and 2^-100 for five: the n-th powers are what batches cost. That is
the chance of one attempt, and an attempt is a false packet that the scientist has signed; no computing makes
it larger. So the factors must be drawn after the openings are there, and by the verifier: factors that follow
from the openings can be ground.

Only what a ciphertext holds is proved so well. Batches may pass an r that is off by a unit of small order:
by -1 with a chance of 2^-10. That changes no plaintext.

Bellare, Garay and Rabin, "Fast batch verification for modular exponentiation" (Eurocrypt 1998): the test by
random subsets, and why one with long factors needs a group without elements of small order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import gmpy2
from gmpy2 import mpz

from sonar.errors import CiphertextError, UsageError
from sonar.paillier.public import PublicKey

Opening = tuple[int, int]
"""The plaintext in [0, n), and the randomness: a unit in (0, n)."""
BATCH_MIN = 10
FACTOR_BITS = 20
BATCHES = {False: 10, True: 5}
"""How many batches are checked, by whether n has no factor below 2^FACTOR_BITS."""
_WINDOWS = range(1, 11)


def check_openings(
    key: PublicKey,
    ciphertexts: Sequence[int],
    openings: Sequence[Opening],
    random_bits: Callable[[int], int],
) -> None:
    """Check that the plaintext of each ciphertext is what its opening says; a false one passes with 2^-100.

    `key` has passed `PublicKey.from_bytes` and its proof. `random_bits(k)` draws k bits, as
    `secrets.randbits` does. At 2048 bits 2,000 openings take less than a second. Raises CiphertextError,
    which names the first false one, and UsageError if there are more of one than of the other.
    """
    if len(ciphertexts) != len(openings):
        raise UsageError(f"{len(ciphertexts)} ciphertexts and {len(openings)} openings")
    cs = key.check_all(ciphertexts)
    _check_ranges(key, openings)
    pairs = [(c, mpz(x), mpz(r)) for c, (x, r) in zip(cs, openings, strict=True)]
    if not _all_hold(key, pairs, random_bits):
        bad = _first_false(key, pairs, random_bits)
        raise CiphertextError(f"opening {bad} is not that of ciphertext {bad}")


_Pair = tuple[mpz, mpz, mpz]


def _check_ranges(key: PublicKey, openings: Sequence[Opening]) -> None:
    product = mpz(1)
    for i, (x, r) in enumerate(openings):
        if not (0 <= x < key.n and 0 < r < key.n):
            raise CiphertextError(f"opening {i} is outside [0, n), or its randomness outside (0, n)")
        product = product * r % key.n
    if gmpy2.gcd(product, key.n) != 1:
        bad = next(i for i, (_, r) in enumerate(openings) if gmpy2.gcd(r, key.n) != 1)
        raise CiphertextError(f"opening {bad} has randomness that shares a factor with the key's modulus")


def _all_hold(key: PublicKey, pairs: Sequence[_Pair], random_bits: Callable[[int], int]) -> bool:
    if len(pairs) < BATCH_MIN:
        return all(_holds(key, c, x, r) for c, x, r in pairs)
    batches = BATCHES[_is_rough(key.n)]
    return all(_batch_holds(key, pairs, random_bits) for _ in range(batches))


@lru_cache(maxsize=1)
def _primes() -> mpz:
    """The product of all primes below 2^FACTOR_BITS: 190 kB, which take 20 ms."""
    return gmpy2.primorial(1 << FACTOR_BITS)


@lru_cache(maxsize=64)
def _is_rough(n: mpz) -> bool:
    """Whether n has no prime factor below 2^FACTOR_BITS."""
    return bool(gmpy2.gcd(n, _primes() % n) == 1)


def _holds(key: PublicKey, c: mpz, x: mpz, r: mpz) -> bool:
    return bool(c == (1 + x * key.n) * gmpy2.powmod(r, key.n, key.n2) % key.n2)


def _batch_holds(key: PublicKey, pairs: Sequence[_Pair], random_bits: Callable[[int], int]) -> bool:
    factors = [random_bits(FACTOR_BITS) for _ in pairs]
    x = sum(e * plain for e, (_, plain, _) in zip(factors, pairs, strict=True)) % key.n
    c = _product([c for c, _, _ in pairs], factors, key.n2)
    return _holds(key, c, mpz(x), _product([r for _, _, r in pairs], factors, key.n))


def _first_false(key: PublicKey, pairs: Sequence[_Pair], random_bits: Callable[[int], int]) -> int:
    """The index of the first false opening, by halves, where there is one."""
    first, rest = 0, pairs
    while len(rest) >= BATCH_MIN:
        half = len(rest) // 2
        if _all_hold(key, rest[:half], random_bits):
            first, rest = first + half, rest[half:]
        else:
            rest = rest[:half]
    return first + next((i for i, (c, x, r) in enumerate(rest) if not _holds(key, c, x, r)), 0)


def _product(bases: Sequence[mpz], factors: Sequence[int], modulus: mpz) -> mpz:
    """prod bases_i^(factors_i), the factors of `FACTOR_BITS` bits: by buckets (Pippenger 1976)."""
    window = min(_WINDOWS, key=lambda w: -(-FACTOR_BITS // w) * (len(bases) + (2 << w)))
    total = mpz(1)
    for shift in reversed(range(0, FACTOR_BITS, window)):
        buckets = [mpz(1)] * (1 << window)
        for base, factor in zip(bases, factors, strict=True):
            digit = factor >> shift & ((1 << window) - 1)
            buckets[digit] = buckets[digit] * base % modulus
        total = gmpy2.powmod(total, 1 << window, modulus) * _weighted(buckets, modulus) % modulus
    return total


def _weighted(buckets: Sequence[mpz], modulus: mpz) -> mpz:
    """prod buckets_d^d, by running products from the largest d down."""
    running, total = mpz(1), mpz(1)
    for bucket in reversed(buckets[1:]):
        running = running * bucket % modulus
        total = total * running % modulus
    return total
