"""A bounty that starts from the scientist's own weights: what they are converted to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.models.linear import LinearModel
from sonar.data import examples
from sonar.errors import ConfigError

TABLE = examples.load("diabetes")
NAMES = [name for name in TABLE.columns if name != "target"]
X, Y = TABLE.matrix(NAMES), TABLE.column("target")
RNG = np.random.default_rng(5)
LABELS = np.where(Y + 30 * RNG.normal(size=len(Y)) > 150, 1.0, -1.0)
ILL = {"target": "ill", "features": NAMES, "name": "ill", "loss": "logistic-taylor"}


def ridge() -> Any:
    return Ridge(alpha=1000.0).fit(X[42:], Y[42:])


def started(start: Any, **settings: Any) -> Bounty:
    return Bounty.example("diabetes", name="own", key_bits=2048, start=start, **settings)


def test_an_estimator_is_the_start_and_only_what_is_better_is_paid() -> None:
    estimator = ridge()
    bounty = started(estimator)
    said = estimator.predict(X[:42])
    assert bounty.start is not None
    assert bounty.start.predict(X[:42]) == pytest.approx(said, rel=1e-6)
    mse = np.mean((said - Y[:42]) ** 2)
    assert bounty.terms.initial_loss == pytest.approx(1e6 * mse / Y[:42].var(), abs=3)
    assert bounty.terms.initial_loss < 900_000
    assert bounty.terms.reward_at(bounty.terms.initial_loss) == 0
    assert "starts from your own model: R²" in explain(bounty)
    assert bounty.start.coefficients["bmi"] == pytest.approx(estimator.coef_[NAMES.index("bmi")], rel=1e-4)
    assert bounty.start.coefficients["(bias)"] == pytest.approx(estimator.intercept_, rel=1e-4)


def test_a_named_column_finds_its_place() -> None:
    frame = {name: X[:, i] for i, name in enumerate(NAMES)}
    order = list(reversed(NAMES))
    shuffled = LinearRegression().fit(np.column_stack([frame[name] for name in order]), Y)
    shuffled.feature_names_in_ = np.array(order, dtype=object)
    bounty = Bounty.of(X[:42], Y[:42], target="y", features=NAMES, name="d", start=shuffled)
    assert bounty.start is not None
    assert bounty.start.predict(X[:42]) == pytest.approx(shuffled.predict(X[:42][:, ::-1]), rel=1e-6)


def test_a_classifier_is_the_start_of_classes() -> None:
    estimator = LogisticRegression(C=0.001, max_iter=5000).fit(X[42:], LABELS[42:])
    bounty = Bounty.of(X[:42], LABELS[:42], **ILL, start=estimator)
    assert bounty.start is not None
    assert bounty.start.probability(X[:42]) == pytest.approx(estimator.predict_proba(X[:42])[:, 1], rel=1e-5)
    assert bounty.terms.initial_loss < 1_000_000


def test_several_targets_start_from_one_estimator() -> None:
    names = NAMES[1:]
    x, y = X[:, 1:], np.column_stack([Y, X[:, 0]])
    estimator = Ridge(alpha=1000.0).fit(x[42:], y[42:])
    bounty = Bounty.of(x[:42], y[:42], target=["y", "age"], features=names, name="two", start=estimator)
    assert bounty.start is not None
    assert bounty.start.predict(x[:42]) == pytest.approx(estimator.predict(x[:42]), rel=1e-6)


def test_a_sonar_model_brings_its_map(tmp_path: Path) -> None:
    first = Bounty.example("diabetes", rows=60, feature_map={"kind": "polynomial"})
    weights = np.full(first.design.spec.weights, 0.01)
    model = LinearModel.at(first.design, weights, first.design.holdout.loss(weights, None))
    bounty = started(model)
    assert bounty.design.spec.stages == first.design.spec.stages
    assert bounty.design.holdout.told(np.zeros(66))["r2"] == pytest.approx(0.0, abs=1e-9)
    assert bounty.start is not None
    mse = np.mean((model.predict(X[:42]) - Y[:42]) ** 2)
    assert bounty.design.holdout.told(bounty.start_weights)["mse"] == pytest.approx(mse, rel=1e-4)

    model.save(tmp_path / "model.json")
    text = 'name = "own"\nkey_bits = 2048\nstart = "model.json"\n[holdout]\nexample = "diabetes"\n'
    (tmp_path / "bounty.toml").write_text(text)
    assert Bounty.from_toml(tmp_path / "bounty.toml") == bounty
    (tmp_path / "bounty.toml").write_text(text.replace("model.json", "first"))
    asked: list[str] = []

    def earlier(name: str) -> LinearModel:
        asked.append(name)
        return model

    assert Bounty.from_toml(tmp_path / "bounty.toml", earlier) == bounty
    assert asked == ["first"]
    shelf = Shelf(tmp_path)
    shelf.keep(bounty)
    assert shelf.take("own") == bounty
    assert started(None) != bounty


def test_a_start_that_cannot_be_one_is_refused_by_name() -> None:
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    classifier = LogisticRegression(max_iter=5000).fit(X, LABELS)
    other = Ridge().fit(X[:, :3], Y)
    zero_one = LogisticRegression(max_iter=5000).fit(X, LABELS > 0)
    infinite = LinearRegression().fit(X, Y)
    infinite.coef_[0] = np.inf
    named = Ridge().fit(X, Y)
    named.feature_names_in_ = np.array([*NAMES[:-1], "sugar"], dtype=object)
    for start, said in (
        (pipeline, "is a Pipeline; a fitted"),
        (LinearRegression(), "LinearRegression is not fitted"),
        (classifier, "LogisticRegression predicts classes, and not amounts"),
        (other, r"Ridge has coefficients of shape \[3\]; \[1, 10\] are needed"),
        (infinite, "LinearRegression has a coefficient that is not finite"),
        (named, "Ridge was fitted on other columns than the bounty's: s6, sugar"),
    ):
        with pytest.raises(ConfigError, match=f"^start: {said}") as told:
            started(start)
        assert told.value.hint
    for start, said in (
        (ridge(), "Ridge predicts amounts, and the bounty asks for classes"),
        (zero_one, "LogisticRegression knows the classes False, True, and the bounty -1, 1"),
    ):
        with pytest.raises(ConfigError, match=f"^start: {said}"):
            Bounty.of(X[:42], LABELS[:42], **ILL, start=start)
    with pytest.raises(ConfigError, match=r"^start: is linear in the columns, and the bounty's feature_map"):
        started(ridge(), feature_map="polynomial")


def test_a_model_of_another_job_is_no_start() -> None:
    first = Bounty.example("diabetes")
    model = LinearModel.at(first.design, np.zeros(11), 1_000_000)
    for settings, said in (
        ({"feature_map": "polynomial"}, "feature_map: comes with the model"),
        ({"loss": "logistic-taylor"}, "start: has loss = 'squared', and the bounty 'logistic-taylor'"),
    ):
        with pytest.raises(ConfigError, match=said):
            started(model, **settings)
    with pytest.raises(ConfigError, match="start: reads the columns age, sex"):
        Bounty.of(X[:42, 1:], Y[:42], target="target", features=NAMES[1:], name="d", start=model)
    with pytest.raises(ConfigError, match="start: predicts target, and the bounty y"):
        Bounty.of(X[:42], Y[:42], target="y", features=NAMES, name="d", start=model)


def test_a_target_that_the_start_has_reached_is_refused() -> None:
    best = LinearRegression().fit(X[:42], Y[:42])
    with pytest.raises(ConfigError, match=r"r2: 0.3 is no better than the start, which has r2 = 0\.6"):
        started(best, r2=0.3)
    with pytest.raises(ConfigError, match="start: is as good as any model of this map can be"):
        started(best)
