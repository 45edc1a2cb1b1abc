"""Openings of ciphertexts: true ones pass, false ones are named, and keys with a small factor help nobody."""

from __future__ import annotations

import secrets
from random import Random

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import CiphertextError, UsageError
from sonar.paillier.openings import BATCH_MIN, Opening, check_openings
from sonar.paillier.public import PublicKey
from tests.unit.paillier_keys import small_key

KEY = small_key(512).public
COUNTS = st.integers(1, 3 * BATCH_MIN)


def opened(key: PublicKey, count: int, seed: int = 0) -> tuple[list[mpz], list[Opening]]:
    random = Random(seed)
    units = [r for _ in range(2 * count) if gmpy2.gcd(r := random.randrange(1, 2**64), key.n) == 1]
    openings = [(random.randrange(int(key.n)), r) for r in units[:count]]
    assert len(openings) == count
    return [key.encrypt(x, r) for x, r in openings], openings


@given(st.integers(0, 3 * BATCH_MIN), st.integers(0, 2**32))
def test_true_openings_pass(count: int, seed: int) -> None:
    check_openings(KEY, *opened(KEY, count, seed), secrets.randbits)


@given(COUNTS, st.data())
def test_a_false_opening_is_named(count: int, data: st.DataObject) -> None:
    ciphertexts, openings = opened(KEY, count)
    bad = data.draw(st.integers(0, count - 1))
    off = data.draw(st.integers(1, int(KEY.n) - 1))
    x, r = openings[bad]
    openings[bad] = ((x + off) % int(KEY.n), r)
    with pytest.raises(CiphertextError, match=f"opening {bad} is not that of ciphertext {bad}$"):
        check_openings(KEY, ciphertexts, openings, secrets.randbits)


def test_the_first_of_several_false_ones_is_named() -> None:
    ciphertexts, openings = opened(KEY, 40)
    for bad in (39, 23, 31):
        openings[bad] = openings[bad - 1]
    with pytest.raises(CiphertextError, match="opening 23 "):
        check_openings(KEY, ciphertexts, openings, secrets.randbits)


def test_errors_that_cancel_do_not_pass() -> None:
    """Two false ones whose sum is right pass a batch with equal factors, and no other."""
    ciphertexts, openings = opened(KEY, BATCH_MIN)
    (a, r), (b, s) = openings[:2]
    openings[:2] = [((a + 5) % int(KEY.n), r), ((b - 5) % int(KEY.n), s)]
    check_openings(KEY, ciphertexts, openings, lambda bits: 1)
    with pytest.raises(CiphertextError, match="opening 0 "):
        check_openings(KEY, ciphertexts, openings, secrets.randbits)


def batch_holds(key: PublicKey, cs: list[mpz], openings: list[Opening], factors: list[int]) -> bool:
    """One batch, by its definition."""
    c, x, r = mpz(1), 0, mpz(1)
    for each, (plain, randomness), e in zip(cs, openings, factors, strict=True):
        c = c * gmpy2.powmod(each, e, key.n2) % key.n2
        x += e * plain
        r = r * gmpy2.powmod(randomness, e, key.n) % key.n
    return bool(c == key.encrypt(int(x % key.n), int(r)))


def test_a_small_factor_of_n_passes_one_long_batch_but_not_ten() -> None:
    """10,007 is the least prime that a key may hide: a batch passes with its inverse, however long it is."""
    small = 10_007
    key = PublicKey(small * gmpy2.next_prime(mpz(3) << 500))
    ciphertexts, honest = opened(key, 20)
    step = int(key.n) // small
    openings = [((x + i * step) % int(key.n), r) for i, (x, r) in enumerate(honest)]
    for seed in range(10 * small):
        factors = [Random(seed * 100 + i).getrandbits(128) for i in range(20)]
        if sum(e * i for i, e in enumerate(factors)) % small == 0:
            break
    assert batch_holds(key, ciphertexts, openings, factors)
    given_out = iter(factors)
    draw = Random(seed)
    with pytest.raises(CiphertextError, match="opening 1 "):
        check_openings(
            key, ciphertexts, openings, lambda bits: next(given_out, draw.getrandbits(128)) % (1 << bits)
        )


def test_the_chance_is_the_one_that_is_claimed() -> None:
    """With a factor of 3, one batch in 3 passes: 300 tries of ten batches pass none in 3^10 = 59,049."""
    key = PublicKey(3 * gmpy2.next_prime(mpz(3) << 200))
    ciphertexts, honest = opened(key, BATCH_MIN)
    openings = [((x + key.n // 3) % int(key.n), r) for x, r in honest]
    random = Random(7)
    single = sum(
        batch_holds(
            key, ciphertexts, [(int(x), r) for x, r in openings], [random.getrandbits(128) for _ in openings]
        )
        for _ in range(300)
    )
    assert 60 < single < 140
    for _ in range(30):
        with pytest.raises(CiphertextError):
            check_openings(key, ciphertexts, [(int(x), r) for x, r in openings], random.getrandbits)


@pytest.mark.parametrize(("small", "batches"), [(1_048_573, 10), (1_048_583, 5)])
def test_a_key_without_small_factors_takes_fewer_batches(small: int, batches: int) -> None:
    """The last prime below 2^20, and the first above: 2^20 is where a batch's chance stops falling."""
    key = PublicKey(small * gmpy2.next_prime(mpz(3) << 500))
    drawn: list[int] = []

    def draw(bits: int) -> int:
        drawn.append(bits)
        return secrets.randbits(bits)

    check_openings(key, *opened(key, BATCH_MIN), draw)
    assert drawn == [20] * (BATCH_MIN * batches)
    assert 20 * 7 >= 132


@pytest.mark.parametrize("count", [1, BATCH_MIN])
def test_what_is_no_unit_is_refused(count: int) -> None:
    p = small_key(512).unsafe_primes()[0]
    ciphertexts, openings = opened(KEY, count)
    with pytest.raises(CiphertextError, match="ciphertext 0 shares a factor"):
        check_openings(KEY, [mpz(p), *ciphertexts[1:]], openings, secrets.randbits)
    with pytest.raises(CiphertextError, match="opening 0 has randomness that shares a factor"):
        check_openings(KEY, ciphertexts, [(openings[0][0], int(p)), *openings[1:]], secrets.randbits)
    with pytest.raises(CiphertextError, match="ciphertext 0 is not between 0"):
        check_openings(KEY, [KEY.n2 + 1, *ciphertexts[1:]], openings, secrets.randbits)


@pytest.mark.parametrize("opening", [(-1, 2), (int(KEY.n), 2), (1, 0), (1, int(KEY.n))])
def test_what_is_out_of_range_is_refused(opening: Opening) -> None:
    ciphertexts, openings = opened(KEY, 2)
    with pytest.raises(CiphertextError, match="opening 1 is outside"):
        check_openings(KEY, ciphertexts, [openings[0], opening], secrets.randbits)


def test_one_opening_for_each_ciphertext() -> None:
    ciphertexts, openings = opened(KEY, 3)
    with pytest.raises(UsageError, match="3 ciphertexts and 2 openings"):
        check_openings(KEY, ciphertexts, openings[:2], secrets.randbits)
