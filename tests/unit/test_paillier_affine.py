"""Laws of the packed affine product: it is the integer product, and refuses what no plan covers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar.errors import BoundsError, CiphertextError, PlanError
from sonar.paillier import affine
from sonar.paillier.affine import Part, affine_update, check_bounds, estimated_s, shape
from sonar.paillier.powers import Bases
from sonar.paillier.slots import Bounds, SlotPlan
from tests.unit.paillier_keys import decrypted, real_key, small_key

KEY = small_key()
PUBLIC = KEY.public


def plan_for(d: int, key_bits: int = 512, outputs: int = 1, **changes: int) -> SlotPlan:
    bounds = Bounds(weight_max=1000, a_row_l1_max=changes.pop("a_row_l1_max", d * 50), b_max=5000)
    return SlotPlan.make(
        key_bits=key_bits,
        weights=d * outputs,
        bounds=bounds,
        mines_max=10,
        weight_rows=100,
        weight_frac=4,
        data_frac=6,
        outputs=outputs,
    )


def by_definition(plan: SlotPlan, a: list[list[int]], b: list[list[int]], w: list[int]) -> list[int]:
    """Output by output: b_io 2^weight_frac - sum_j A_ij w_jo, with w_jo at o d + j."""
    d = plan.features
    return [
        (b[i][o] << plan.weight_frac) - sum(a[i][j] * w[o * d + j] for j in range(d))
        for o in range(plan.outputs)
        for i in range(d)
    ]


@st.composite
def problems(draw: st.DrawFn) -> tuple[SlotPlan, list[list[int]], list[list[int]], list[int]]:
    d, outputs = draw(st.integers(1, 24)), draw(st.integers(1, 3))
    rows = st.lists(st.integers(-50, 50), min_size=d, max_size=d)
    targets = st.lists(st.integers(-5000, 5000), min_size=outputs, max_size=outputs)
    a, b = draw(st.lists(rows, min_size=d, max_size=d)), draw(st.lists(targets, min_size=d, max_size=d))
    w = draw(st.lists(st.integers(-1000, 1000), min_size=d * outputs, max_size=d * outputs))
    return plan_for(d, outputs=outputs), a, b, w


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(1, 3))
def test_the_packed_product_equals_the_integer_product(
    problem: tuple[SlotPlan, list[list[int]], list[list[int]], list[int]], parts: int
) -> None:
    """Any matrix, not only symmetric ones; up to 72 values take up to six ciphertexts of this small key."""
    plan, a, b, w = problem
    enc = affine_update(PUBLIC, plan, a, b, KEY.encrypt_weights(w), parts=parts, run=map)
    assert len(enc) == plan.ciphertexts
    assert plan.unpack([decrypted(KEY, c) for c in enc], weight=1) == by_definition(plan, a, b, w)


def test_parts_are_the_whole_and_travel_to_other_processes() -> None:
    """Each part says all that it needs: two processes give, to the bit, what one call gives."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    plan, rng = plan_for(40), np.random.default_rng(0)
    a, b = rng.integers(-50, 51, (40, 40)), rng.integers(-5000, 5001, 40)
    enc_w = KEY.encrypt_weights([int(w) for w in rng.integers(-1000, 1001, 40)])
    whole = affine_update(PUBLIC, plan, a, b, enc_w)
    assert plan.ciphertexts > 2
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert affine_update(PUBLIC, plan, a, b, enc_w, parts=2, run=pool.map) == whole
    counted: list[Part] = []

    def run(compute: Callable[[Part], list[mpz]], parts: Sequence[Part]) -> list[list[mpz]]:
        counted.extend(parts)
        return [compute(part) for part in parts]

    assert affine_update(PUBLIC, plan, a, b, enc_w, parts=99, run=run) == whole
    assert [list(part.which) for part in counted] == [[c] for c in range(plan.ciphertexts)]


def test_tables_are_shared_and_arrays_are_taken() -> None:
    plan, w = plan_for(3), [7, -1000, 0]
    bases = Bases(PUBLIC, KEY.encrypt_weights(w))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(-50, 51, (3, 3)), rng.integers(-5000, 5001, 3)
        for as_type in (np.int64, object):
            enc = affine_update(PUBLIC, plan, a.astype(as_type), b.astype(as_type), bases)
            values = plan.unpack([decrypted(KEY, c) for c in enc], weight=1)
            assert values == by_definition(plan, a.tolist(), b.reshape(-1, 1).tolist(), w)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_shipped_sizes_with_31_features(bits: int) -> None:
    """Breast-cancer's size at the precision it needs: two ciphertexts at 2048 bits, one at 3072."""
    key, rng = real_key(bits), np.random.default_rng(0)
    bounds = Bounds(weight_max=64 << 24, a_row_l1_max=64 << 24, b_max=64 << 24)
    plan = SlotPlan.make(
        key_bits=bits, weights=31, bounds=bounds, mines_max=10, weight_rows=1000, weight_frac=24, data_frac=24
    )
    assert plan.ciphertexts == (2 if bits == 2048 else 1)
    phi = np.c_[np.clip(rng.normal(size=(40, 30)), -8, 8), np.ones(40)]
    a = np.rint(phi.T @ phi / 40 * 2**24).astype(np.int64)
    b = np.rint(phi.T @ rng.normal(size=40) / 40 * 2**24).astype(np.int64)
    w = [int(x) for x in rng.integers(-(3 << 24), 3 << 24, 31)]
    enc = affine_update(key.public, plan, a, b, key.encrypt_weights(w))
    values = plan.unpack([decrypted(key, c) for c in enc], weight=1)
    assert values == by_definition(plan, a.tolist(), b.reshape(-1, 1).tolist(), w)


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
    huge = 2**63 - 1  # a sum of two would wrap in 64 bits
    with pytest.raises(BoundsError, match="row 1"):
        check_bounds(plan, np.array([[1, 2], [huge, huge]]), [0, 0])
    with pytest.raises(BoundsError, match="row 0"):
        check_bounds(plan, [[2**70, 0], [0, 0]], [0, 0])


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


def test_the_estimate_is_an_upper_one_of_the_expected_cost() -> None:
    """For a mine whose A fills its bounds; most are below."""
    for d in (1, 11, 100):
        plan = plan_for(d, 2048, a_row_l1_max=6 << 20)
        phi = np.random.default_rng(d).normal(size=(300, d))
        a = phi.T @ phi / 300
        a = np.rint(a * (6 << 20) / np.abs(a).sum(axis=1).max()).astype(np.int64)
        actual = shape(plan, a)
        method = affine.choose(actual, plan.key_bits)
        expected_s = affine.counts(method, actual).mulmods * 3e-6
        assert expected_s <= estimated_s(plan) <= 3 * expected_s
