"""The affine map: its gradient, its exactness in fixed point, local steps, batches; the diabetes figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sonar.data import examples
from sonar.data.batches import even
from sonar.data.fixed import to_q32
from sonar.errors import BoundsError, ConsentError, DataError
from sonar.families.quadratic.answer import LocalMap, curvature, fixed_point, local_steps, moments
from sonar.families.quadratic.losses.base import mapped
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.prepare import prepare
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.slots import Bounds, SlotPlan
from tests.family_kit import Array, map_of

FRAC = 20
ONE = 1 << FRAC
NAMES = sorted(LOSSES)


def problem(seed: int, n: int = 30, f: int = 3, loss: str = "squared", k: int = 1) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    phi = np.column_stack([rng.normal(size=(n, f)), np.ones(n)])
    labels = LOSSES[loss].half != 1
    y = rng.choice([-1.0, 1.0], (n, k)) if labels else rng.normal(size=(n, k)) * 10
    return phi, y, rng.normal(size=(f + 1) * k)


def spec(loss: str = "squared", features: int = 3, k: int = 1, **fields: Any) -> QuadraticSpec:
    centre, scale = (0.0, 1.0) if loss == "logistic-taylor" else (2.0, 5.0)
    target = {"centre_q32": to_q32(centre), "scale_q32": to_q32(scale), "clip_q32": to_q32(8.0)}
    targets = [{"name": f"y{i}", **target} for i in range(k)]
    names = [f"x{i}" for i in range(features)]
    return QuadraticSpec.parse({"features": names, "targets": targets, "loss": loss, "rows_min": 1, **fields})


def plan(asked: QuadraticSpec, data_frac: int = FRAC, **bounds: int) -> SlotPlan:
    wide = {"weight_max": 1 << 40, "a_row_l1_max": 1 << 40, "b_max": 1 << 40}
    return SlotPlan.make(
        key_bits=2048,
        weights=asked.weights,
        outputs=asked.outputs,
        bounds=Bounds(**wide | bounds),
        mines_max=10,
        weight_rows=100,
        data_frac=data_frac,
    )


def one_step(phi: Array, z: Array, loss: str = "squared", data_frac: int = FRAC) -> LocalMap:
    return fixed_point(moments(phi, z), LOSSES[loss], data_frac)


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 6), st.integers(1, 3))
def test_the_map_is_symmetric_and_the_same_in_its_bias_entry_for_everyone(
    seed: int, n: int, f: int, k: int
) -> None:
    phi, y, _ = problem(seed, n, f, k=k)
    one = one_step(phi, y)
    assert (one.a_int == one.a_int.T).all()
    assert one.a_int[-1, -1] == ONE
    assert one.b_int.shape == (f + 1, k)
    assert all(type(v) is int for v in [*one.a_int.flat, *one.b_int.flat])
    taylor = one_step(phi, np.sign(y), "logistic-taylor")
    assert taylor.a_int[-1, -1] * 4 == ONE
    assert np.abs(one.a_int / ONE - phi.T @ phi / n).max() <= 0.5 / ONE + 1e-12
    assert np.abs(one.b_int / ONE - phi.T @ y / n).max() <= 0.5 / ONE + 1e-12


@pytest.mark.parametrize("loss", NAMES)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 3))
def test_an_answer_is_the_negative_gradient(loss: str, seed: int, k: int) -> None:
    """Of |z - h phi w|^2 / (2 h n), with A and b as the loss's factors say."""
    phi, z, w = problem(seed, loss=loss, k=k)
    half, b = LOSSES[loss].half, LOSSES[loss].b_factor
    residual = z - half * (phi @ w.reshape(k, -1).T)
    answer = one_step(phi, z, loss, 40).update(w)
    assert np.allclose(answer, (b * phi.T @ residual / len(phi)).T.ravel(), atol=1e-9)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 3))
def test_an_opened_answer_is_the_update_in_integers(seed: int, k: int) -> None:
    phi, z, w = problem(seed, k=k)
    one = one_step(phi, z)
    w_int = [round(x * 2**16) for x in w]
    exact = one.answer(w_int, 16)
    assert np.array(exact, dtype=float) / 2**36 == pytest.approx(one.update(np.array(w_int) / 2**16))
    d = len(one.a_int)
    for o in range(k):
        for i in range(d):
            products = sum(one.a_int[i, j] * w_int[o * d + j] for j in range(d))
            assert exact[o * d + i] == (one.b_int[i, o] << 16) - products


@given(seed=st.integers(0, 10**6), k=st.integers(2, 3))
def test_several_targets_are_several_models_of_one_matrix(seed: int, k: int) -> None:
    phi, z, _ = problem(seed, k=k)
    together = one_step(phi, z)
    for o in range(k):
        alone = one_step(phi, z[:, [o]])
        assert (alone.a_int == together.a_int).all()
        assert (alone.b_int[:, 0] == together.b_int[:, o]).all()


def test_what_the_map_solves_is_least_squares() -> None:
    phi, y, _ = problem(5)
    one = one_step(phi, y, data_frac=40)
    solved = np.linalg.solve(one.a_int.astype(float), one.b_int.astype(float))
    assert np.allclose(solved, np.linalg.lstsq(phi, y, rcond=None)[0], atol=1e-8)


@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("k", [1, 2, 7, 500])
def test_local_steps_are_gradient_descent(loss: str, k: int) -> None:
    phi, z, w0 = problem(6, loss=loss, k=2)
    one = one_step(phi, z, loss, 40)
    rate = 0.3
    w = w0
    for _ in range(k):
        w = w + rate * one.update(w)
    many = local_steps(one, k, rate)
    assert (many.a_int == many.a_int.T).all()
    assert np.allclose(many.update(w0), (w - w0) / (k * rate), atol=1e-8)


@given(st.integers(0, 10**6), st.integers(2, 50))
def test_local_steps_keep_the_scale(seed: int, k: int) -> None:
    phi, y, w = problem(seed)
    one = one_step(phi, y, data_frac=30)
    rate = 2.0 / np.linalg.eigvalsh(one.a_int.astype(float) / 2**30)[-1]
    assert np.linalg.norm(local_steps(one, k, rate * 0.999).update(w)) <= np.linalg.norm(one.update(w)) + 1e-6


def test_local_steps_that_diverge_are_refused() -> None:
    phi, y, _ = problem(7)
    with pytest.raises(BoundsError, match="diverge") as caught:
        local_steps(one_step(phi, y), 5, 3.0)
    assert "at most" in caught.value.hint


@pytest.mark.parametrize(
    "fields", [{}, {"local_steps": 4, "local_rate_q32": to_q32(0.2)}, {"loss": "logistic-taylor"}]
)
def test_curvature_is_a_mines_own_a(fields: dict[str, Any]) -> None:
    kind = spec(**fields)
    phi, y, _ = problem(8, loss=kind.loss)
    one = map_of(kind, phi[:, :-1], y, 40)
    assert np.allclose(curvature(kind, phi), one.a_int.astype(float) / 2**40, atol=1e-9)


def test_bounds_of_a_map() -> None:
    one = one_step(np.array([[2.0, 1.0], [-4.0, 1.0]]), np.array([[1.0], [-3.0]]), data_frac=4)
    # A = [[10, -1], [-1, 1]], b = [7, -1]
    assert one.a_int.tolist() == [[160, -16], [-16, 16]]
    assert (one.a_row_l1_max, one.b_max) == (176, 112)


# ---- the target map


@given(
    st.floats(-100, 100), st.floats(0.01, 100), st.floats(1, 20), st.lists(st.floats(-1e4, 1e4), min_size=1)
)
def test_targets_are_centred_scaled_and_clipped(
    centre: float, scale: float, clip: float, values: list[float]
) -> None:
    fields = {"centre_q32": to_q32(centre), "scale_q32": to_q32(scale), "clip_q32": to_q32(clip)}
    target = spec(targets=[{"name": "y", **fields}]).targets[0]
    z = mapped(target, np.array(values))
    assert z == pytest.approx(np.clip((np.array(values) - centre) / scale, -clip, clip), rel=1e-6, abs=1e-4)


def test_targets_beyond_the_clip_are_in_another_unit() -> None:
    rng = np.random.default_rng(0)
    asked = spec(k=2)
    table = np.column_stack([rng.normal(size=(50, 3)), 2 + 5 * rng.normal(size=(50, 2))])
    table[:5, 4] = 2 - 5 * 9  # a tenth: outliers, clipped
    own = prepare(asked, plan(asked), [table])
    assert own.b_int[-1, 1] / ONE == pytest.approx(np.mean(np.clip((table[:, 4] - 2) / 5, -8, 8)), abs=1e-5)
    table[5, 4] = 2 + 5 * 8
    with pytest.raises(
        BoundsError, match=r"column 'y1': more than 10% of the values lie more than 8 dev"
    ) as e:
        prepare(asked, plan(asked), [table])
    assert "in the units that the bounty asks for?" in e.value.hint


def test_a_target_map_that_singles_out_rows_is_refused() -> None:
    """Of a target of few values, a clip just where most rows lie makes one that all but three share."""
    rng = np.random.default_rng(0)
    y = np.array([0.0] * 94 + [1.0] * 3 + [-1.0] * 3)
    table = np.column_stack([rng.normal(size=(100, 3)), y])
    fields = {"name": "y0", "scale_q32": to_q32(0.5), "clip_q32": to_q32(8.0)}
    fair, hostile = (spec(targets=[fields | {"centre_q32": to_q32(c)}]) for c in (0.0, 4.0))
    assert prepare(fair, plan(fair), [table]).rows == 100
    with pytest.raises(ConsentError, match="column 'y0'"):
        prepare(hostile, plan(hostile), [table])


@pytest.mark.parametrize("scale", [1, 1 << 62])
def test_no_published_unit_makes_sums_overflow_silently(scale: int) -> None:
    phi, y, _ = problem(3)
    asked = spec(targets=[{"name": "y", "centre_q32": 0, "scale_q32": scale, "clip_q32": (1 << 63) - 1}])
    table = np.column_stack([phi[:, :-1], 1e300 * y])
    with pytest.raises((BoundsError, DataError)):
        prepare(asked, plan(asked, b_max=1 << 30), [table])


@pytest.mark.parametrize(
    ("loss", "bad", "words"),
    [
        ("squared", np.nan, "column 'y0': has a value that is infinite or not a number"),
        ("squared", np.inf, "column 'y0': has a value that is infinite"),
        ("logistic-taylor", 0.0, "column 'y0': has the label 0; -1 and 1 are expected"),
    ],
)
def test_refused_targets(loss: str, bad: float, words: str) -> None:
    phi, y, _ = problem(1, loss=loss)
    y[3] = bad
    asked = spec(loss)
    with pytest.raises(DataError, match=words):
        prepare(asked, plan(asked), [np.column_stack([phi[:, :-1], y])])


@pytest.mark.parametrize("change", [{"centre_q32": 1 << 32}, {"scale_q32": 5}])
def test_a_mean_label_that_is_none_is_refused(change: dict[str, int]) -> None:
    target = {"name": "y", "centre_q32": 0, "scale_q32": 1 << 32, "clip_q32": 2 << 32}
    spec("logistic-taylor", targets=[target])
    with pytest.raises(Exception, match="mean label"):
        spec("logistic-taylor", targets=[target | change])


# ---- one pass over batches


@given(
    cuts=st.lists(st.integers(0, 100), max_size=8),
    seed=st.integers(0, 99),
    rows=st.integers(9, 120),
)
def test_however_rows_arrive_the_sums_are_the_same_to_the_last_bit(
    cuts: list[int], seed: int, rows: int
) -> None:
    phi, y, _ = problem(seed, n=100)
    table = np.column_stack([phi[:, :-1], y])
    batches = np.split(table, sorted(cuts))
    assert np.array_equal(np.concatenate(list(even(batches, rows))), table)
    assert all(len(batch) == rows for batch in list(even(batches, rows))[:-1])
    asked = spec()
    whole, parts = (prepare(asked, plan(asked), each) for each in ([table], batches))
    assert whole.digest() == parts.digest()


def test_no_batch_is_larger_than_its_share_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from sonar.families.quadratic import prepare as module

    monkeypatch.setattr(module, "_CHUNK_ROWS", 10)
    asked = spec()
    seen: list[int] = []
    table = np.column_stack([problem(2, n=95)[0][:, :-1], problem(2, n=95)[1]])
    original = QuadraticSpec.transform

    def counted(self: QuadraticSpec, x: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.append(len(x))
        return original(self, x)

    monkeypatch.setattr(QuadraticSpec, "transform", counted)
    own = prepare(asked, plan(asked), [table])
    assert max(seen) == 10
    assert own.rows == 95
    assert own.a_int[-1, -1] == ONE


def test_malformed_batches() -> None:
    asked = spec()
    with pytest.raises(DataError, match="takes 4 columns"):
        prepare(asked, plan(asked), [np.ones((20, 3))])
    with pytest.raises(ConsentError, match="the data set has 0"):
        prepare(asked, plan(asked), [])
    with pytest.raises(DataError, match="one of each per row"):
        moments(np.ones((2, 2)), np.ones((3, 1)))


def test_sums_that_overflow() -> None:
    asked = spec(features=1)
    table = np.column_stack([np.linspace(1, 2, 20) * 1e200, np.linspace(-1, 1, 20)])
    with pytest.raises(DataError, match="overflow"), np.errstate(over="ignore"):
        prepare(asked, plan(asked), [table])


def test_sums_beyond_the_plan_are_refused() -> None:
    phi, y, _ = problem(3)
    asked = spec()
    with pytest.raises(BoundsError, match="b_max"):
        prepare(asked, plan(asked, b_max=1), [np.column_stack([phi[:, :-1], y])])


def test_the_diabetes_figures() -> None:
    """Pooled least squares through the demo's map, in the unit of the published figures."""
    from pysonar.bounty.request import Bounty

    table, design = examples.load("diabetes"), Bounty.example("diabetes").design
    maps = []
    for index in range(10):
        part = examples.shard(table, index, 10)
        maps.append(prepare(design.spec, design.plan, [part.matrix(design.spec.columns)]))
    assert [one.rows for one in maps] == [40] * 10
    a = np.sum([one.a_int for one in maps], axis=0).astype(float)
    b = np.sum([one.b_int for one in maps], axis=0).astype(float)
    told = design.holdout.told(np.linalg.solve(a, b)[:, 0])
    assert told["mse"] == pytest.approx(2_505.272, abs=0.01)
    assert told["r2"] == pytest.approx(1 - 2_505.272 / 5_572.282, abs=1e-5)
