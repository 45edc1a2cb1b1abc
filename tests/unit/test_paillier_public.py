"""Laws of the public key: arithmetic on ciphertexts, blobs, and what it refuses from outside."""

from __future__ import annotations

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import CiphertextError, UsageError
from sonar.paillier.public import PublicKey
from tests.unit.paillier_keys import decrypted, real_key, small_key, textbook_decrypt

KEY = small_key()
PUBLIC = KEY.public
N, N2 = int(PUBLIC.n), int(PUBLIC.n2)
numbers = st.integers(-(N // 2), N // 2)
units = st.integers(1, N - 1).filter(lambda r: gmpy2.gcd(r, N) == 1)


def encrypt(m: int, r: int = 12345) -> mpz:
    return PUBLIC.encrypt(m % N, r)


def signed(m: int) -> int:
    return (m + N // 2) % N - N // 2


@given(numbers, units)
def test_decryption_inverts_encryption_and_agrees_with_the_textbook(m: int, r: int) -> None:
    c = encrypt(m, r)
    assert c == pow(N + 1, m % N, N2) * pow(r, N, N2) % N2
    assert decrypted(KEY, c) == textbook_decrypt(KEY, c) == m


@given(numbers)
def test_the_key_holder_encrypts_what_everybody_can_add_to(m: int) -> None:
    first, second = KEY.encrypt_weights([m, m])
    assert first != second
    assert PUBLIC.check(first) == first
    assert textbook_decrypt(KEY, first) == textbook_decrypt(KEY, second) == m
    assert decrypted(KEY, first) == m


@given(numbers, numbers, st.integers(-(2**70), 2**70), units)
def test_homomorphism(x: int, y: int, k: int, r: int) -> None:
    cx, cy = encrypt(x), encrypt(y, r)
    assert decrypted(KEY, PUBLIC.add(cx, cy)) == signed(x + y)
    assert decrypted(KEY, PUBLIC.add_plain(cx, y)) == signed(x + y)
    assert decrypted(KEY, PUBLIC.mul_plain(cx, k)) == signed(k * x)
    assert decrypted(KEY, PUBLIC.weighted_sum([cx, cy], [k, -3])) == signed(k * x - 3 * y)


@given(numbers, st.integers(1, N - 1))
def test_rerandomising_changes_the_ciphertext_alone(m: int, r: int) -> None:
    draws = iter([int(small_key().unsafe_primes()[0]), 0, r, 2])  # the first two are no units: drawn again
    c = encrypt(m)
    blinded = PUBLIC.rerandomise(c, PUBLIC.blinding(lambda bound: next(draws)))
    assert blinded != c or r == 1
    assert decrypted(KEY, blinded) == m


@pytest.mark.parametrize("m", [-1, N])
def test_encrypt_takes_residues_only(m: int) -> None:
    with pytest.raises(UsageError, match=r"\[0, n\)"):
        PUBLIC.encrypt(m, 1)


@pytest.mark.parametrize("r", [0, N, -1, int(KEY.unsafe_primes()[0])])
def test_encrypt_takes_units_only(r: int) -> None:
    with pytest.raises(UsageError, match="unit"):
        PUBLIC.encrypt(1, r)


P = KEY.unsafe_primes()[0]
HOSTILE = {
    "0": 0,
    "-1": -1,
    "n": N,
    "n^2": N2,
    "n^2+1": N2 + 1,
    "2n": 2 * N,
    "p": P,
    "5p": 5 * P,
    "n^2-p": N2 - P,
}


@pytest.mark.parametrize("c", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_ciphertexts_are_refused(c: int) -> None:
    with pytest.raises(CiphertextError, match="ciphertext 7 "):
        PUBLIC.check(c, 7)
    with pytest.raises(CiphertextError, match="ciphertext 1 "):
        PUBLIC.check_all([encrypt(1), c, encrypt(2)])
    if 0 <= c < 1 << (8 * PUBLIC.ciphertext_bytes):
        blob = b"".join(int(x).to_bytes(PUBLIC.ciphertext_bytes, "big") for x in (encrypt(1), c))
        with pytest.raises(CiphertextError, match="ciphertext 1 "):
            PUBLIC.decode_blob(blob, 2)
        with pytest.raises(CiphertextError):
            PUBLIC.encode_blob([encrypt(1), c])


def test_a_larger_keys_ciphertext_is_refused() -> None:
    other = small_key(1024)
    with pytest.raises(CiphertextError, match="not between 0 and n"):
        PUBLIC.check(other.encrypt_weights([1])[0])
    with pytest.raises(CiphertextError, match="bytes"):
        PUBLIC.decode_blob(other.public.encode_blob(other.encrypt_weights([1])), 1)


@given(st.lists(st.tuples(numbers, units), max_size=4))
def test_blobs_round_trip(pairs: list[tuple[int, int]]) -> None:
    cs = [encrypt(m, r) for m, r in pairs]
    blob = PUBLIC.encode_blob(cs)
    assert len(blob) == len(cs) * PUBLIC.ciphertext_bytes == len(cs) * 128
    assert PUBLIC.decode_blob(blob, len(cs)) == cs


@given(st.binary(max_size=600), st.integers(0, 5))
def test_any_bytes_decode_to_ciphertexts_or_are_refused(data: bytes, count: int) -> None:
    try:
        cs = PUBLIC.decode_blob(data, count)
    except CiphertextError:
        return
    assert PUBLIC.encode_blob(cs) == data


@pytest.mark.parametrize("change", [-1, 1, 128])
def test_blobs_of_another_length_are_refused(change: int) -> None:
    blob = PUBLIC.encode_blob([encrypt(1), encrypt(2)])
    with pytest.raises(CiphertextError, match="2 ciphertexts of this key take 256"):
        PUBLIC.decode_blob((blob + bytes(128))[: len(blob) + change], 2)


def test_a_public_key_survives_the_wire() -> None:
    public = real_key().public
    read = PublicKey.from_bytes(public.to_bytes())
    assert (read, read.fingerprint, read.bits) == (public, public.fingerprint, 2048)


TOP = mpz(3) << 2046
PRIME_1024 = gmpy2.next_prime(mpz(3) << 1022)
BAD_MODULI = {
    "even": (TOP + 2, "even"),
    "short": (gmpy2.next_prime(mpz(3) << 1022), "at least 2048"),
    "leading bits": (mpz(1) << 2049 | 1, "leading bits"),
    "small factor": ((TOP // 9973 | 1) * 9973, "factor below 10,000"),
    "square": (PRIME_1024**2, "perfect power"),
    "prime": (gmpy2.next_prime(TOP), "is a prime"),
    "too long": ((mpz(1) << 8200) - 1, "limit is 8192"),
    "zero": (mpz(0), "at least 2048"),
}


@pytest.mark.parametrize(("n", "problem"), BAD_MODULI.values(), ids=BAD_MODULI.keys())
def test_moduli_that_are_no_keys_are_refused(n: mpz, problem: str) -> None:
    with pytest.raises(CiphertextError, match=problem):
        PublicKey.from_bytes(int(n).to_bytes((int(n).bit_length() + 7) // 8, "big"))


def test_1024_bits_need_the_insecure_flag() -> None:
    data = small_key(1024).public.to_bytes()
    assert PublicKey.from_bytes(data, insecure=True).bits == 1024
    with pytest.raises(CiphertextError, match="at least 2048"):
        PublicKey.from_bytes(data)
    with pytest.raises(CiphertextError, match="at least 1024"):
        PublicKey.from_bytes(PUBLIC.to_bytes(), insecure=True)
