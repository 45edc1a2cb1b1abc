"""The affine map: its gradient, its exactness in fixed point, local steps, losses; the diabetes figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.data import examples
from sonar.errors import BoundsError, DataError, UsageError
from sonar.families.quadratic import answer as quadratic
from sonar.families.quadratic.answer import (
    LOSS_MAX,
    curvature,
    local_map,
    local_steps,
    loss_gradient,
    loss_units,
    mean_loss,
)
from sonar.families.quadratic.columns import standard_stage, to_q32
from sonar.families.quadratic.maps import transform
from sonar.families.quadratic.spec import QuadraticSpec

FRAC = 20
ONE = 1 << FRAC


def problem(seed: int, n: int = 30, f: int = 3, loss: str = "squared"):
    rng = np.random.default_rng(seed)
    phi = np.column_stack([rng.normal(size=(n, f)), np.ones(n)])
    y = rng.choice([-1.0, 1.0], n) if loss == "logistic-taylor" else rng.normal(size=n) * 10
    return phi, y, rng.normal(size=f + 1)


def spec(loss="squared", features=3, **fields):
    names = [f"x{i}" for i in range(features)]
    wanted = {"features": names, "target": "y", "loss": loss, "rows_min": 1}
    return QuadraticSpec.parse({**wanted, "target_max_q32": to_q32(1000.0), **fields})


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 6))
def test_the_map_is_symmetric_and_the_same_in_its_bias_entry_for_everyone(seed, n, f):
    phi, y, _ = problem(seed, n, f)
    one = quadratic.quadratic(phi, y, data_frac=FRAC)
    assert (one.a_int == one.a_int.T).all()
    assert one.a_int[-1, -1] == ONE
    assert all(type(v) is int for v in [*one.a_int.flat, *one.b_int])
    taylor = quadratic.quadratic(phi, np.sign(y), data_frac=FRAC, loss="logistic-taylor")
    assert taylor.a_int[-1, -1] * 4 == ONE
    assert np.abs(one.a_int / ONE - phi.T @ phi / n).max() <= 0.5 / ONE + 1e-12
    assert np.abs(one.b_int / ONE - phi.T @ y / n).max() <= 0.5 / ONE + 1e-12


@pytest.mark.parametrize("loss", ["squared", "logistic-taylor"])
@given(seed=st.integers(0, 10**6))
def test_an_update_is_the_negative_gradient(loss, seed):
    phi, y, w = problem(seed, loss=loss)
    update = quadratic.quadratic(phi, y, data_frac=40, loss=loss).update(w)
    # Mean squared error is twice the loss whose gradient is A w - b.
    scale = 0.5 if loss == "squared" else 1.0
    assert np.allclose(update, -scale * loss_gradient(loss, phi, y, w), atol=1e-9)


@pytest.mark.parametrize("loss", ["squared", "logistic-taylor"])
def test_the_gradient_is_the_slope_of_the_loss(loss):
    phi, y, w = problem(3, loss=loss)
    gradient = loss_gradient(loss, phi, y, w)
    for index, step in enumerate(np.eye(len(w)) * 1e-5):
        slope = (mean_loss(loss, phi, y, w + step) - mean_loss(loss, phi, y, w - step)) / 2e-5
        assert slope == pytest.approx(gradient[index], rel=1e-6, abs=1e-7)


def test_taylor_loss_is_the_logistic_loss_near_zero():
    phi, y, w = problem(4, loss="logistic-taylor")
    w = w * 1e-3
    exact = np.mean(np.log1p(np.exp(-y * (phi @ w))))
    assert mean_loss("logistic-taylor", phi, y, w) == pytest.approx(exact, abs=1e-9)
    assert mean_loss("logistic-taylor", phi, y, 0 * w) == pytest.approx(np.log(2))


def test_what_the_map_solves_is_least_squares():
    phi, y, _ = problem(5)
    one = quadratic.quadratic(phi, y, data_frac=40)
    solved = np.linalg.solve(one.a_int.astype(float), one.b_int.astype(float))
    assert np.allclose(solved, np.linalg.lstsq(phi, y, rcond=None)[0], atol=1e-8)


@pytest.mark.parametrize("loss", ["squared", "logistic-taylor"])
@pytest.mark.parametrize("k", [1, 2, 7, 500])
def test_local_steps_are_gradient_descent(loss, k):
    phi, y, w0 = problem(6, loss=loss)
    one = quadratic.quadratic(phi, y, data_frac=40, loss=loss)
    rate = 0.3
    w = w0
    for _ in range(k):
        w = w + rate * one.update(w)
    many = local_steps(one, k, rate)
    assert (many.a_int == many.a_int.T).all()
    assert np.allclose(many.update(w0), (w - w0) / (k * rate), atol=1e-8)


@given(st.integers(0, 10**6), st.integers(2, 50))
def test_local_steps_keep_the_scale(seed, k):
    phi, y, w = problem(seed)
    one = quadratic.quadratic(phi, y, data_frac=30)
    rate = 2.0 / np.linalg.eigvalsh(one.a_int.astype(float) / 2**30)[-1]
    assert np.linalg.norm(local_steps(one, k, rate * 0.999).update(w)) <= np.linalg.norm(one.update(w)) + 1e-6


def test_local_steps_that_diverge_are_refused():
    phi, y, _ = problem(7)
    with pytest.raises(BoundsError, match="diverge") as caught:
        local_steps(quadratic.quadratic(phi, y, data_frac=FRAC), 5, 3.0)
    assert "at most" in caught.value.hint


@pytest.mark.parametrize(
    "fields", [{}, {"local_steps": 4, "local_rate_q32": to_q32(0.2)}, {"loss": "logistic-taylor"}]
)
def test_curvature_is_a_mines_own_a(fields):
    kind = spec(**fields)
    phi, y, _ = problem(8, loss=kind.loss)
    one = local_map(kind, phi[:, :-1], y, data_frac=40)
    assert np.allclose(curvature(kind, phi), one.a_int.astype(float) / 2**40, atol=1e-9)


def test_chunks_of_rows_add_up(monkeypatch):
    phi, y, _ = problem(9, n=100)
    whole = quadratic.quadratic(phi, y, data_frac=FRAC)
    monkeypatch.setattr(quadratic, "_CHUNK_ROWS", 7)
    parts = local_map(spec(), phi[:, :-1], y, data_frac=FRAC)
    assert parts.rows == whole.rows == 100
    assert np.abs(parts.a_int - whole.a_int).max() <= 1
    assert parts.a_int[-1, -1] == ONE


def test_bounds_of_a_map():
    one = quadratic.quadratic(np.array([[2.0, 1.0], [-4.0, 1.0]]), np.array([1.0, -3.0]), data_frac=4)
    # A = [[10, -1], [-1, 1]], b = [7, -1]
    assert one.a_int.tolist() == [[160, -16], [-16, 16]]
    assert (one.a_row_l1_max, one.b_max) == (176, 112)


@pytest.mark.parametrize(
    ("loss", "y", "error", "words"),
    [
        ("squared", [1.0, 1001.0], BoundsError, "limit of 1000"),
        ("squared", [1.0, np.nan], DataError, "column y"),
        ("logistic-taylor", [1.0, 0.0], DataError, "-1 and 1"),
        ("squared", [1.0], DataError, "2 rows and 1 targets"),
    ],
)
def test_refused_targets(loss, y, error, words):
    with pytest.raises(error, match=words):
        local_map(spec(loss, features=1), np.ones((2, 1)), np.array(y), data_frac=FRAC)


def test_no_rows():
    with pytest.raises(DataError):
        local_map(spec(), np.ones((0, 3)), np.ones(0), data_frac=FRAC)
    with pytest.raises(DataError, match="one target per row"):
        quadratic.moments(np.ones((2, 2)), np.ones(3))


def test_sums_that_overflow():
    with pytest.raises(DataError, match="overflow"), np.errstate(over="ignore"):
        local_map(spec(features=1), np.full((2, 1), 1e200), np.ones(2), data_frac=FRAC)


def test_loss_units():
    phi = np.ones((2, 1))
    assert loss_units("squared", phi, np.array([1.0, 2.0]), np.array([0.0])) == 2500
    assert loss_units("squared", phi, np.array([1.0, 2.0]), np.array([1e200])) == LOSS_MAX
    with pytest.raises(UsageError):
        loss_units("squared", phi, np.array([1.0, 2.0]), np.array([np.nan]))


def test_the_diabetes_figures():
    table = examples.load("diabetes")
    features, target = examples.DIABETES_FEATURES, examples.DIABETES_TARGET
    held = examples.holdout(table)
    kind = spec(features=10)
    kind = QuadraticSpec.parse(
        {
            **dict(kind),
            "features": features,
            "target": target,
            "stages": (standard_stage(features, held.matrix(features)),),
        }
    )
    phi, y = transform(kind, held.matrix(features)), held.column(target)
    assert loss_units("squared", phi, y, np.zeros(11)) == 26_645_643

    maps = []
    for index in range(10):
        part = examples.shard(table, index, 10)
        maps.append(local_map(kind, part.matrix(features), part.column(target), data_frac=40))
    assert [one.rows for one in maps] == [40] * 10
    pooled = sum(one.a_int for one in maps).astype(float), sum(one.b_int for one in maps).astype(float)
    assert loss_units("squared", phi, y, np.linalg.solve(*pooled)) == 2_505_272

    w, rate = np.zeros(11), 1.0 / np.linalg.eigvalsh(curvature(kind, phi))[-1]
    for _ in range(50):
        w = w + rate * np.mean([one.update(w) for one in maps], axis=0)
    assert loss_units("squared", phi, y, w) < 2_800_000
