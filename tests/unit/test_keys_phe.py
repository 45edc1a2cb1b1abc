"""Cross-checks against `phe`, the reference: it reads what we encrypt, and we what it does."""

from __future__ import annotations

import json
from pathlib import Path

import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.phe_compat import (
    from_phe_number,
    from_phe_private,
    from_phe_public,
    to_phe_number,
    to_phe_public,
    unsafe_to_phe_private,
)
from sonar.errors import CiphertextError, UsageError
from sonar.paillier.affine import affine_update
from sonar.paillier.slots import Bounds, SlotPlan
from tests.unit.paillier_keys import decrypted, real_key, small_key

KEY = small_key()
PUBLIC = KEY.public
PHE_PUBLIC, PHE_PRIVATE = to_phe_public(PUBLIC), unsafe_to_phe_private(KEY)
numbers = st.integers(-(2**400), 2**400)


@settings(max_examples=50, deadline=None)
@given(numbers, st.integers(2, 2**500))
def test_the_same_ciphertext_for_the_same_randomness(m: int, r: int) -> None:
    residue = int(m % PUBLIC.n)
    assert PHE_PUBLIC.raw_encrypt(residue, r_value=r) == PUBLIC.encrypt(residue, r)
    assert PHE_PRIVATE.raw_decrypt(int(KEY.encrypt_weights([m])[0])) == residue


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(0, 40))
def test_numbers_go_both_ways(value: float, scale_bits: int) -> None:
    fixed = round(value * 2**scale_bits)
    number = to_phe_number(PUBLIC, KEY.encrypt_weights([fixed])[0], scale_bits=scale_bits)
    assert PHE_PRIVATE.decrypt(number) == fixed / 2**scale_bits
    finer = scale_bits + -scale_bits % 4
    assert decrypted(KEY, from_phe_number(PUBLIC, number, scale_bits=finer)) == fixed << (finer - scale_bits)
    theirs = PHE_PUBLIC.encrypt(value, precision=2**-32)
    assert abs(decrypted(KEY, from_phe_number(PUBLIC, theirs, scale_bits=80)) / 2**80 - value) <= 2**-32


def test_phe_makes_the_ciphertexts_of_the_vector_file() -> None:
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "paillier.json").read_text())
    n, p, q = (int(vectors["key"][name]) for name in ("n", "p", "q"))
    public = phe.PaillierPublicKey(n)
    secret = phe.PaillierPrivateKey(public, p, q)
    for case in vectors["encrypt"]:
        m, r, c = (int(case[name]) for name in ("plaintext", "r", "ciphertext"))
        assert public.raw_encrypt(m % n, r_value=r) == c
        assert secret.raw_decrypt(c) == m % n


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="another key"):
        from_phe_number(small_key(512, 1).public, PHE_PUBLIC.encrypt(1), scale_bits=0)
    with pytest.raises(UsageError, match="32 fractional bits, not 31"):
        from_phe_number(PUBLIC, PHE_PUBLIC.encrypt(1.5, precision=2**-32), scale_bits=31)
    with pytest.raises(CiphertextError):
        to_phe_number(PUBLIC, 0, scale_bits=0)
    hostile = phe.EncryptedNumber(PHE_PUBLIC, int(PUBLIC.n), 0)
    with pytest.raises(CiphertextError):
        from_phe_number(PUBLIC, hostile, scale_bits=0)


def test_keys_go_both_ways() -> None:
    theirs, secret = phe.generate_paillier_keypair(n_length=2048)
    assert from_phe_public(theirs).n == theirs.n
    assert to_phe_public(from_phe_public(theirs)) == theirs
    ours = from_phe_private(secret)
    assert unsafe_to_phe_private(ours) == secret
    assert decrypted(ours, theirs.raw_encrypt(42)) == 42
    for short in (KEY, small_key(1024)):
        with pytest.raises(CiphertextError, match="at least 2048"):
            from_phe_private(unsafe_to_phe_private(short))


def test_the_packed_product_equals_phe_row_by_row() -> None:
    """phe computes b - A w with a ciphertext per weight and per output; ours decrypts to the same values."""
    key = real_key()
    d, unit = 4, 1 << 20
    bounds = Bounds(weight_max=64 << 16, a_row_l1_max=64 * unit, b_max=512 * unit)
    plan = SlotPlan.make(key_bits=2048, weights=d, bounds=bounds, mines_max=10, weight_rows=100)
    a = [[(i * 7 + j * 3 - 9) * unit // 5 for j in range(d)] for i in range(d)]
    b = [(i - 2) * 100 * unit + i for i in range(d)]
    w = [3 << 16, -(5 << 14), 12345, 0]
    enc_w = key.encrypt_weights(w)
    phe_private = unsafe_to_phe_private(key)
    phe_w = [to_phe_number(key.public, c, scale_bits=16) for c in enc_w]
    (packed,) = affine_update(key.public, plan, a, b, enc_w)
    ours = plan.unpack([key.public.signed(phe_private.raw_decrypt(int(packed)))], weight=1)
    for i in range(d):
        encrypted = sum((phe_w[j] * (-a[i][j]) for j in range(d)), start=b[i])
        assert ours[i] == phe_private.decrypt(encrypted) * 2**16
