"""The holdout and its metrics: a start of zero is the null model, and people's numbers are scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score, roc_auc_score

from sonar.errors import ConfigError, DataError, UsageError
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.holdout import LOSS_MAX, MILLION
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.spec import by_output
from tests.family_kit import Array, design_like, least_squares

METRICS = [(name, metric.name) for name, loss in LOSSES.items() for metric in loss.metrics]


def design_for(loss: str, seed: int = 0, outputs: int = 1, rows: int = 40, rate: float = 0.5) -> Design:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = 100 + 10 * (x @ rng.normal(size=(3, outputs)) + rng.normal(size=(rows, outputs)))
    if loss != "squared":
        s = x @ rng.normal(size=(3, outputs)) + rng.normal(size=(rows, outputs))
        y = np.where(s > np.quantile(s, 1 - rate, axis=0), 1.0, -1.0)
    return design_like(x, y, ["a", "b", "c"], [f"y{i}" for i in range(outputs)], loss=loss)


@pytest.mark.parametrize(("loss", "metric"), METRICS)
@given(seed=st.integers(0, 10**6), outputs=st.integers(1, 3), rate=st.sampled_from([0.1, 0.5, 0.8]))
def test_zero_weights_are_the_null_model_to_the_last_bit(
    loss: str, metric: str, seed: int, outputs: int, rate: float
) -> None:
    design = design_for(loss, seed, outputs, rate=rate)
    assert design.holdout.loss(np.zeros(design.spec.weights), metric) == MILLION
    assert design.initial_loss == MILLION
    assert design.zero_start


@given(seed=st.integers(0, 10**6))
def test_amounts_are_told_as_scikit_learn_tells_them(seed: int) -> None:
    design = design_for("squared", seed)
    holdout = design.holdout
    w = np.random.default_rng(seed).normal(size=4) / 3
    y, target = holdout.y[:, 0], design.spec.targets[0]
    predicted = LOSSES["squared"].predict(target, holdout.phi @ w)
    told = holdout.told(w)
    assert told["mse"] == pytest.approx(mean_squared_error(y, predicted))
    assert told["r2"] == pytest.approx(r2_score(y, predicted), abs=1e-9)
    assert holdout.loss(w) == pytest.approx(1e6 * (1 - told["r2"]), abs=0.6)
    assert holdout.loss(w, "mse") == holdout.loss(w, "r2")
    assert holdout.said("mse", holdout.loss(w)) == pytest.approx(told["mse"], abs=2e-6 * y.var())


@given(seed=st.integers(0, 10**6), rate=st.sampled_from([0.1, 0.3, 0.5, 0.9]), ties=st.booleans())
def test_labels_are_told_as_scikit_learn_tells_them(seed: int, rate: float, ties: bool) -> None:
    design = design_for("logistic-taylor", seed, rate=rate)
    holdout, target = design.holdout, design.spec.targets[0]
    w = np.random.default_rng(seed).normal(size=4)
    s = np.round(holdout.phi @ w) if ties else holdout.phi @ w
    y, loss = holdout.y[:, 0], LOSSES["logistic-taylor"]
    t = loss.predict(target, s)
    told = loss.told(target, y, s)
    probability = 1 / (1 + np.exp(-t))
    assert told["log_loss"] == pytest.approx(log_loss(y, probability))
    assert told["auc"] == pytest.approx(roc_auc_score(y, s))
    assert told["accuracy"] == pytest.approx(accuracy_score(y, np.where(t > 0, 1, -1)))
    frequencies = np.full(len(y), (1 + target.centre) / 2)
    assert loss.metrics[0].loss(target, y, 0 * s) == pytest.approx(log_loss(y, frequencies))


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 10**6), outputs=st.integers(1, 3))
def test_the_gradient_is_the_slope_of_the_quadratic_loss(loss: str, seed: int, outputs: int) -> None:
    holdout = design_for(loss, seed, outputs).holdout
    half = LOSSES[loss].half
    z = (holdout.y - [t.centre for t in holdout.spec.targets]) / [t.scale for t in holdout.spec.targets]

    def quadratic(w: Array) -> float:
        residual = z - half * (holdout.phi @ by_output(holdout.spec, w))
        return float(np.mean(np.mean(residual**2, axis=0) / np.mean(z**2, axis=0)))

    w = np.random.default_rng(seed).normal(size=holdout.spec.weights)
    gradient = holdout.gradient(w)
    for index, step in enumerate(np.eye(len(w)) * 1e-4):
        slope = (quadratic(w + step) - quadratic(w - step)) / 2e-4
        assert slope == pytest.approx(gradient[index], rel=1e-5, abs=1e-7)
    if loss == "squared":
        assert 1e6 * quadratic(w) == pytest.approx(holdout.loss(w), abs=1)


@pytest.mark.parametrize(("loss", "metric"), METRICS)
@given(seed=st.integers(0, 10**4), outputs=st.integers(1, 2))
def test_no_weights_beat_the_floor(loss: str, metric: str, seed: int, outputs: int) -> None:
    holdout = design_for(loss, seed, outputs).holdout
    floor = holdout.floor(metric)
    assert 0 <= floor < MILLION
    for scale in (0.1, 1.0, 5.0):
        w = scale * np.random.default_rng(seed).normal(size=holdout.spec.weights)
        # An order of few rows that is better than that of the least log loss is found now and then.
        assert holdout.loss(w, metric) >= floor - (MILLION // 10 if metric == "auc" else 0)


def test_the_floor_is_what_scikit_learn_reaches() -> None:
    holdout = design_for("logistic-taylor", 5, rows=200).holdout
    fit = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(holdout.phi[:, :-1], holdout.y[:, 0])
    best = log_loss(holdout.y[:, 0], fit.predict_proba(holdout.phi[:, :-1]))
    assert holdout.said("log_loss", holdout.floor("log_loss")) == pytest.approx(best, rel=1e-4)
    parted = design_like(
        np.arange(20.0)[:, None], np.where(np.arange(20) > 9, 1.0, -1.0), ["a"], ["y"], loss="logistic-taylor"
    )
    assert parted.holdout.floor() < 1000


def test_the_bound_of_the_logistic_loss_is_one() -> None:
    """What mines minimise lies above the log loss, and touches it at the null model."""
    design = design_for("logistic-taylor", 3, rate=0.2)
    holdout, target = design.holdout, design.spec.targets[0]
    y, metric = holdout.y[:, 0], LOSSES["logistic-taylor"].metrics[0]
    null = metric.loss(target, y, np.zeros(len(y)))
    for seed in range(50):
        s = holdout.phi @ np.random.default_rng(seed).normal(size=4)
        bound = null + float(np.mean(-(y - target.centre) * s / 2 + s**2 / 8))
        assert metric.loss(target, y, s) <= bound + 1e-12


# ---- targets that people say


@pytest.mark.parametrize(
    ("loss", "metric", "value"),
    [
        ("squared", "r2", 0.3),
        ("squared", "mse", 90.0),
        ("logistic-taylor", "log_loss", 0.4),
        ("logistic-taylor", "auc", 0.8),
    ],
)
def test_a_target_is_said_and_told_in_its_metric(loss: str, metric: str, value: float) -> None:
    holdout = design_for(loss).holdout
    millionths = holdout.loss_of(metric, value)
    assert 0 < millionths < MILLION
    assert holdout.said(metric, millionths) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "metric", "value", "told"),
    [
        ("squared", "r2", 1.0, "1 is out of reach"),
        ("squared", "r2", 7.0, "out of reach"),
        ("squared", "mse", 0.0, "out of reach: mse = 0 would be a perfect model"),
        ("squared", "mse", -1.0, "out of reach"),
        ("squared", "r2", 0.0, "no better than the null model, which has r2 = 0"),
        ("squared", "mse", 1e9, "no better than the null model, which has mse = "),
        ("squared", "r2", -0.5, "no better"),
        ("squared", "auc", 0.9, "is not a metric of the loss 'squared'"),
        ("squared", "r2", math.nan, "is not a number"),
        ("squared", "mse", math.inf, "no better"),
        ("logistic-taylor", "log_loss", 0.0, "out of reach"),
        ("logistic-taylor", "log_loss", 0.7, "no better than the null model, which has log_loss = 0.69"),
        ("logistic-taylor", "auc", 1.0, "out of reach"),
        ("logistic-taylor", "auc", 0.5, "no better than the null model, which has auc = 0.5"),
        ("logistic-taylor", "mse", 0.5, "is not a metric"),
    ],
)
def test_a_target_that_cannot_be_is_told_by_its_metric(
    loss: str, metric: str, value: float, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        design_for(loss).holdout.loss_of(metric, value)
    assert caught.value.field == metric
    assert told in caught.value.problem
    assert caught.value.hint


def test_several_targets_have_no_mean_of_units() -> None:
    holdout = design_for("squared", outputs=2).holdout
    with pytest.raises(ConfigError, match="mse: has a unit of its own for each of the 2 targets"):
        holdout.loss_of("mse", 5.0)
    assert holdout.loss_of("r2", 0.25) == 750_000
    told = holdout.told(np.zeros(8))
    assert told["r2"] == pytest.approx(0.0)
    assert {"r2 y0", "mse y0", "r2 y1", "mse y1"} < set(told)
    assert "mse" not in told
    w = np.random.default_rng(0).normal(size=8) / 5
    assert holdout.loss(w) == pytest.approx(1e6 * (1 - holdout.told(w)["r2"]), abs=1)


# ---- what a loss can be


def test_losses_at_their_ends() -> None:
    holdout = design_for("squared").holdout
    assert holdout.loss(np.full(4, 1e200)) == LOSS_MAX
    with pytest.raises(UsageError, match="not a number"):
        holdout.loss(np.full(4, np.nan))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_target_without_spread_is_refused(loss: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 1))
    with pytest.raises(DataError, match="column 'y': is 1 in every held-out row"):
        design_like(x, np.ones(20), ["a"], ["y"], loss=loss)


@pytest.mark.parametrize("spread", [1e-12, 1e9 * 3])
def test_a_target_that_no_constant_holds_is_refused(spread: float) -> None:
    x = np.random.default_rng(0).normal(size=(20, 1))
    with pytest.raises(DataError, match=r"column 'y': .*(2\^-32|2\^31)"):
        design_like(x, spread * x[:, 0], ["a"], ["y"])


@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 1e6])
def test_the_loss_does_not_know_the_targets_unit(scale: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    y = 0.3 + x @ [0.5, -0.2] + rng.normal(size=50)
    one, other = (design_like(x, factor * y, ["a", "b"], ["y"]).holdout for factor in (1.0, scale))
    for w in rng.normal(size=(5, 3)):
        assert one.loss(w) == pytest.approx(other.loss(w), rel=1e-3 if scale < 1e-3 else 1e-6)
    assert one.loss_of("r2", 0.4) == other.loss_of("r2", 0.4) == 600_000


def test_held_out_targets_are_never_clipped() -> None:
    y = np.concatenate([np.zeros(199), [1000.0]]) + np.random.default_rng(0).normal(size=200)
    target = LOSSES["squared"].target("y", y, 8.0)
    assert np.abs((y - target.centre) / target.scale).max() < target.clip == 15.0


# ---- a start of one's own


def test_a_start_of_ones_own_is_where_the_loss_begins() -> None:
    design = design_for("squared", 7)
    fit = least_squares(design.holdout.phi, design.holdout.z[:, 0])
    own = design.starting_at(0.9 * fit)
    assert not own.zero_start
    assert own.initial_loss == pytest.approx(design.holdout.loss(0.9 * fit), abs=1)
    assert own.initial_loss < design.initial_loss == MILLION
    assert np.array(own.start) / 2**own.plan.weight_frac == pytest.approx(0.9 * fit, abs=1e-5)
    with pytest.raises(Exception, match="the plan allows"):
        design.starting_at(np.full(4, 1e6))
