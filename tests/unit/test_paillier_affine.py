"""Laws of the packed affine product: it is the integer product, and refuses what no plan covers."""

from __future__ import annotations

from itertools import pairwise

import gmpy2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import real_key, small_key

from sonar.errors import BoundsError, CiphertextError, PlanError
from sonar.paillier.affine import Bases, affine_update, best_window, signed_digits
from sonar.paillier.slots import Bounds, SlotPlan

KEY = small_key()
PUBLIC = KEY.public


def plan_for(d: int, key_bits: int = 512, **changes: int) -> SlotPlan:
    bounds = Bounds(weight_max=1000, a_row_l1_max=changes.pop("a_row_l1_max", d * 50), b_max=5000)
    return SlotPlan.make(
        key_bits=key_bits, values=d, bounds=bounds, mines_max=10, rows_max=100, weight_frac=4, data_frac=6
    )


def by_definition(plan: SlotPlan, a: list[list[int]], b: list[int], w: list[int]) -> list[int]:
    d = plan.values
    return [(b[i] << plan.weight_frac) - sum(a[i][j] * w[j] for j in range(d)) for i in range(d)]


@given(st.integers(-(2**300), 2**300), st.integers(2, 8))
def test_signed_digits_add_up_and_lie_apart(k: int, window: int) -> None:
    digits = list(signed_digits(k, window))
    assert sum(digit << position for position, digit in digits) == k
    assert all(digit % 2 and abs(digit) < 1 << (window - 1) for _, digit in digits)
    positions = [position for position, _ in digits]
    assert all(after - before >= window for before, after in pairwise(positions))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 2**512), st.integers(-(2**200), 2**200)), max_size=5), st.integers(2, 6)
)
def test_a_product_of_powers_is_one(pairs: list[tuple[int, int]], window: int) -> None:
    cs = [PUBLIC.encrypt(m % PUBLIC.n, 2 + i) for i, (m, _) in enumerate(pairs)]
    exponents = [k for _, k in pairs]
    expected = gmpy2.mpz(1)
    for c, k in zip(cs, exponents, strict=True):
        expected = expected * gmpy2.powmod(c, k, PUBLIC.n2) % PUBLIC.n2
    assert Bases(PUBLIC, cs, window=window).product(exponents) == expected


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[int]], list[int], list[int]]:
    d = draw(st.integers(1, 24))
    rows = st.lists(st.integers(-50, 50), min_size=d, max_size=d)
    a = draw(st.lists(rows, min_size=d, max_size=d))
    b = draw(st.lists(st.integers(-5000, 5000), min_size=d, max_size=d))
    return a, b, draw(st.lists(st.integers(-1000, 1000), min_size=d, max_size=d))


@settings(max_examples=40, deadline=None)
@given(problems())
def test_the_packed_product_equals_the_integer_product(
    problem: tuple[list[list[int]], list[int], list[int]],
) -> None:
    """Any matrix, not only symmetric ones; d up to 24 takes up to two ciphertexts of this small key."""
    a, b, w = problem
    plan = plan_for(len(b))
    enc = affine_update(PUBLIC, plan, a, b, KEY.encrypt_weights(w))
    assert len(enc) == plan.ciphertexts
    assert plan.unpack([KEY._decrypt(c) for c in enc], weight=1) == by_definition(plan, a, b, w)


def test_tables_are_shared_and_arrays_are_taken() -> None:
    plan, w = plan_for(3), [7, -1000, 0]
    bases = Bases(PUBLIC, KEY.encrypt_weights(w))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(-50, 51, (3, 3)), rng.integers(-5000, 5001, 3)
        for as_type in (np.int64, object):
            enc = affine_update(PUBLIC, plan, a.astype(as_type), b.astype(as_type), bases)
            values = plan.unpack([KEY._decrypt(c) for c in enc], weight=1)
            assert values == by_definition(plan, a.tolist(), b.tolist(), w)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_shipped_sizes_with_31_features(bits: int) -> None:
    """Breast-cancer's size at the precision it needs: two ciphertexts at 2048 bits, one at 3072."""
    key, rng = real_key(bits), np.random.default_rng(0)
    bounds = Bounds(weight_max=64 << 24, a_row_l1_max=64 << 24, b_max=64 << 24)
    plan = SlotPlan.make(
        key_bits=bits, values=31, bounds=bounds, mines_max=10, rows_max=1000, weight_frac=24, data_frac=24
    )
    assert plan.ciphertexts == (2 if bits == 2048 else 1)
    phi = np.c_[np.clip(rng.normal(size=(40, 30)), -8, 8), np.ones(40)]
    a = np.rint(phi.T @ phi / 40 * 2**24).astype(np.int64)
    b = np.rint(phi.T @ rng.normal(size=40) / 40 * 2**24).astype(np.int64)
    w = [int(x) for x in rng.integers(-(3 << 24), 3 << 24, 31)]
    enc = affine_update(key.public, plan, a, b, key.encrypt_weights(w))
    values = plan.unpack([key._decrypt(c) for c in enc], weight=1)
    assert values == by_definition(plan, a.tolist(), b.tolist(), w)


def test_data_beyond_the_bounds_are_refused_by_row_and_not_shown() -> None:
    plan, w = plan_for(2), KEY.encrypt_weights([1, 2])
    good = [[50, -50], [0, 100]]
    affine_update(PUBLIC, plan, good, [5000, -5000], w)
    with pytest.raises(BoundsError, match=r"row 1 .* a_row_l1_max") as caught:
        affine_update(PUBLIC, plan, [[50, -50], [31, -70]], [0, 0], w)
    assert "101" not in str(caught.value)
    with pytest.raises(BoundsError, match=r"entry 0 .* b_max"):
        affine_update(PUBLIC, plan, good, [-5001, 0], w)
    for a, b in [([[1, 2]], [0, 0]), ([[1], [2]], [0, 0]), (good, [0])]:
        with pytest.raises(BoundsError, match="size 2"):
            affine_update(PUBLIC, plan, a, b, w)


def test_models_that_do_not_fit_the_plan_are_refused() -> None:
    plan, w = plan_for(2), KEY.encrypt_weights([1, 2])
    good = [[1, 0], [0, 1]]
    with pytest.raises(PlanError, match="1 encrypted weights, the slot plan 2"):
        affine_update(PUBLIC, plan, good, [0, 0], w[:1])
    with pytest.raises(PlanError, match="key of 1024 bits, the key has 512"):
        affine_update(PUBLIC, plan_for(2, 1024), good, [0, 0], w)
    for hostile in (0, int(PUBLIC.n), int(PUBLIC.n2), KEY.unsafe_primes()[0]):
        with pytest.raises(CiphertextError, match="ciphertext 1"):
            affine_update(PUBLIC, plan, good, [0, 0], [w[0], hostile])


def test_the_window_is_the_one_that_multiplies_least() -> None:
    """Against counted operations: table entries, and non-zero digits of the exponents."""
    plan = plan_for(11, a_row_l1_max=11 << 20)
    rng = np.random.default_rng(1)
    a = [[int(x) for x in row] for row in rng.integers(-(2**20), 2**20, (11, 11))]

    def multiplications(window: int) -> int:
        digits = sum(len(list(signed_digits(x, window))) for row in a for x in row)
        return 11 * (1 << (window - 1)) + digits

    best = min(range(2, 8), key=multiplications)
    assert multiplications(best_window(plan, a)) <= 1.05 * multiplications(best)
