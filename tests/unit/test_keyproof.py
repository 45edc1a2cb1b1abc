"""The key proof: sound keys pass, every other kind is refused, and so is every change of a proof."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from math import gcd, isqrt

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.key import Key, _Prime
from sonar.errors import CiphertextError, EnvironmentFault
from sonar.paillier.public import ROOTS, PublicKey, check_proof, encode_proof, proof_challenges
from tests.unit.paillier_keys import real_key, small_key


@pytest.mark.parametrize("bits", [2048, 3072])
def test_a_generated_key_passes(bits: int) -> None:
    key = Key.generate(bits)
    check_proof(PublicKey.from_bytes(key.public.to_bytes()), key.proof)
    assert len(key.proof) == ROOTS * bits // 8
    assert Key(*key.unsafe_primes()).proof == key.proof


def test_challenges_are_bound_to_the_modulus_and_cover_it() -> None:
    sets = [proof_challenges(small_key(512, which).public) for which in range(3)]
    assert len({int(x) for some in sets for x in some}) == 3 * ROOTS
    n = small_key().public.n
    assert all(0 <= x < n for x in sets[0])
    assert max(sets[0]) > n / 2 > min(sets[0])


def test_a_proof_of_another_key_is_refused() -> None:
    with pytest.raises(CiphertextError, match="root 0 to the power of n is not the challenge"):
        check_proof(small_key(512, 0).public, small_key(512, 1).proof)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_of_a_proof_is_refused(data: st.DataObject) -> None:
    key = small_key()
    proof = bytearray(key.proof)
    proof[data.draw(st.integers(0, len(proof) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CiphertextError, match="the public key's proof"):
        check_proof(key.public, bytes(proof))


def test_malformed_proofs_are_refused() -> None:
    key, width = small_key(), 64
    p, n = key.unsafe_primes()[0], int(key.public.n)
    roots = [int.from_bytes(key.proof[i : i + width], "big") for i in range(0, len(key.proof), width)]
    assert encode_proof(key.public, roots) == key.proof
    for length in (0, 1, width, len(key.proof) - 1, len(key.proof) + 1):
        with pytest.raises(CiphertextError, match=f"has {length} bytes; 11 roots for this key take 704"):
            check_proof(key.public, (key.proof + b"\0")[:length])
    for bad in (0, n, p, 2**512 - 1):
        with pytest.raises(CiphertextError, match="root 3 that is not a unit"):
            check_proof(key.public, encode_proof(key.public, [*roots[:3], bad, *roots[4:]]))
    swapped = encode_proof(key.public, [roots[1], roots[0], *roots[2:]])
    with pytest.raises(CiphertextError, match="root 0 "):
        check_proof(key.public, swapped)
    negated = encode_proof(key.public, [n - roots[0], *roots[1:]])
    with pytest.raises(CiphertextError, match="root 0 "):
        check_proof(key.public, negated)


def prime(bits: int) -> mpz:
    """A random prime with the top two bits set."""
    return gmpy2.next_prime(mpz(secrets.randbits(bits - 2)) | mpz(3) << (bits - 2))


def prime_above(p: mpz, bits: int) -> mpz:
    """A prime q of `bits` bits with p dividing q - 1."""
    k = (mpz(3) << (bits - 3)) // p
    while not gmpy2.is_prime(2 * k * p + 1):
        k += 1
    return 2 * k * p + 1


def best_cheat(n: mpz, factors: dict[mpz, int]) -> bytes:
    """What a holder who knows the factors can do: every root that exists, the number itself elsewhere."""
    key = PublicKey(n)
    totient = mpz(1)
    for p, times in factors.items():
        totient *= (p - 1) * p ** (times - 1)
    shared = gmpy2.gcd(n, totient)
    order = totient // shared
    while (common := gmpy2.gcd(n, order)) > 1:  # n-th powers have an order that is prime to n
        order //= common
    exponent = gmpy2.invert(n, order)
    roots = (gmpy2.powmod(x, exponent, n) for x in proof_challenges(key))
    return encode_proof(key, list(roots))


def not_square_free() -> tuple[mpz, dict[mpz, int]]:
    p, q = prime(683), prime(682)
    return p * p * q, {p: 2, q: 1}


def one_divides_the_other_less_one() -> tuple[mpz, dict[mpz, int]]:
    p = prime(684)
    q = prime_above(p, 1364)
    return p * q, {p: 1, q: 1}


@pytest.mark.parametrize("make", [not_square_free, one_divides_the_other_less_one])
def test_keys_that_lose_something_cannot_prove_that_they_do_not(
    make: Callable[[], tuple[mpz, dict[mpz, int]]],
) -> None:
    n, factors = make()
    while n.bit_length() != 2048:
        n, factors = make()
    key = PublicKey.from_bytes(int(n).to_bytes(256, "big"))  # nothing but the proof finds it
    with pytest.raises(CiphertextError, match="is not the challenge"):
        check_proof(key, best_cheat(n, factors))


def test_the_best_cheat_is_no_straw_man() -> None:
    """For a sound modulus it is the proof itself; for an unsound one it finds each root that there is."""
    key = small_key()
    factors = dict.fromkeys(map(mpz, key.unsafe_primes()), 1)
    assert best_cheat(key.public.n, factors) == key.proof
    found = 0
    for k in range(300):
        q = prime(40 + k % 9)
        n = 9 * q
        if q % 3 == 1:
            continue
        cheat = best_cheat(n, {mpz(3): 2, q: 1})
        width = (n.bit_length() + 7) // 8
        challenges = proof_challenges(PublicKey(n))
        for i, challenge in enumerate(challenges):
            root = int.from_bytes(cheat[i * width : (i + 1) * width], "big")
            found += gmpy2.powmod(root, n, n) == challenge
    assert found > 50  # about one in three of the units


@given(st.integers(3, 600).map(lambda k: 2 * k + 1))
def test_the_law_that_the_proof_rests_on(n: int) -> None:
    """By counting: if a prime d divides n and phi(n), one unit in d is an n-th power at most."""
    units = [x for x in range(1, n) if gcd(x, n) == 1]
    powers = {pow(x, n, n) for x in units}
    shared = gcd(n, len(units))
    if shared == 1:
        assert len(powers) == len(units)
        assert all(n % (x * x) for x in range(2, isqrt(n) + 1))
    else:
        least = next(d for d in range(2, shared + 1) if shared % d == 0)
        assert least * len(powers) <= len(units)


def test_a_wrong_root_is_not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key(*small_key().unsafe_primes())
    right, broken = _Prime.roots, key._secret._q

    def wrong(self: _Prime, xs: list[mpz]) -> list[mpz]:
        roots = right(self, xs)
        return [*roots[:-1], roots[-1] ^ 1] if self is broken else roots

    monkeypatch.setattr(_Prime, "roots", wrong)
    with pytest.raises(EnvironmentFault, match="a root failed its check"):
        _ = key.proof


def test_a_real_key_in_its_manifest_form() -> None:
    key = real_key()
    check_proof(PublicKey.from_bytes(key.public.to_bytes()), key.proof)
