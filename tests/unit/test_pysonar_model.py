"""The fitted model: the same predictions from arrays, columns, a file, and after being saved."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from sonar.data import examples
from sonar.errors import ConfigError, DataError, KeyFileError, UsageError
from sonar.families.quadratic.course import Course, Point, start_of
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.optimisers.base import ORIGIN
from tests.family_kit import least_squares

BOUNTY = Bounty.example("diabetes", key_bits=2048)
TABLE = examples.load("diabetes")


def best_of(bounty: Bounty) -> LinearModel:
    """The model of least squares on the holdout itself."""
    design = bounty.design
    centres = [target.centre for target in design.spec.targets]
    scales = [target.scale for target in design.spec.targets]
    wanted = (design.holdout.y - centres) / scales
    best = least_squares(design.holdout.phi, wanted).T.ravel()
    loss = design.holdout.loss(best, bounty.metric)
    point = Point(design.rounded(best), ORIGIN, loss)
    worse = Point(point.weights_int, ORIGIN, point.loss + 1)
    return LinearModel.of(design, Course((*start_of(design).points, point, worse)))


def fitted() -> LinearModel:
    return best_of(BOUNTY)


def test_predictions_are_the_ones_that_the_loss_was_measured_by() -> None:
    model = fitted()
    x, y = TABLE.matrix(BOUNTY.features)[:42], TABLE.column("target")[:42]
    mse = np.mean((model.predict(x) - y) ** 2)
    assert mse == pytest.approx(model.figures["mse"], rel=1e-4)
    assert 1 - mse / y.var() == pytest.approx(model.figures["r2"], rel=1e-4)
    assert model.loss == pytest.approx(1e6 * mse / y.var(), abs=2)
    assert model.loss == pytest.approx(BOUNTY.target_loss, abs=1)


def test_a_model_of_several_targets_predicts_each_in_its_own_unit() -> None:
    names = [name for name in BOUNTY.features if name != "bmi"]
    x, y = TABLE.matrix(names)[:42], TABLE.matrix(["target", "bmi"])[:42]
    both = best_of(Bounty.of(x, y, target=["target", "bmi"], features=names, name="two"))
    assert both.predict(x).shape == (42, 2)
    for i, target in enumerate(("target", "bmi")):
        alone = best_of(Bounty.of(x, y[:, i], target=target, features=names, name="one"))
        assert both.predict(x)[:, i] == pytest.approx(alone.predict(x), rel=1e-4)
        for name, per_unit in alone.coefficients.items():
            told = both.coefficients[f"{target}: {name}"]
            assert told == pytest.approx(per_unit, rel=1e-3, abs=1e-4 * np.abs(y[:, i]).max())


def test_classes_are_labels_with_probabilities() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3))
    y = np.where(x @ [1.0, -2.0, 0.5] + 0.5 * rng.normal(size=200) > 0.3, 1.0, -1.0)
    model = best_of(Bounty.of(x, y, target="ill", features=list("abc"), name="l", loss="logistic-taylor"))
    labels, odds = model.predict(x), model.decision_function(x)
    assert set(np.unique(labels)) == {-1.0, 1.0}
    assert np.mean(labels == y) == pytest.approx(model.figures["accuracy"])
    assert model.score(x, y) == np.mean(labels == y)
    with pytest.raises(DataError, match=r"column 'ill': row . has the label '0'; the classes are '-1', '1'"):
        model.score(x, (y + 1) / 2)
    assert model.probability(x) == pytest.approx(1 / (1 + np.exp(-odds)))
    assert np.mean(np.log1p(np.exp(-y * odds))) == pytest.approx(model.figures["log_loss"], rel=1e-6)
    with pytest.raises(ConfigError, match="has no classes"):
        fitted().probability(TABLE.matrix(BOUNTY.features))


def test_the_score_is_r2_as_in_scikit_learn() -> None:
    model, x, y = fitted(), TABLE.matrix(BOUNTY.features), TABLE.column("target")
    assert model.score(x[:42], y[:42]) == pytest.approx(model.figures["r2"], rel=1e-4)
    for rows in (slice(42, 142), slice(7, 9)):
        by_hand = 1 - np.sum((y[rows] - model.predict(x[rows])) ** 2) / np.sum(
            (y[rows] - y[rows].mean()) ** 2
        )
        assert model.score(x[rows], y[rows]) == pytest.approx(by_hand, rel=1e-12)
        assert model.score(x[rows], {"target": y[rows]}) == model.score(x[rows], y[rows].tolist())
    same = np.repeat(x[:1], 3, axis=0)
    assert model.score(same, model.predict(same)) == 1.0
    assert model.score(x[:3], [150.0] * 3) == 0.0  # it has no variance that could be explained


def test_the_score_of_several_targets_is_the_mean_of_theirs() -> None:
    names = [name for name in BOUNTY.features if name != "bmi"]
    x, y = TABLE.matrix(names)[:42], TABLE.matrix(["target", "bmi"])[:42]
    both = best_of(Bounty.of(x, y, target=["target", "bmi"], features=names, name="two"))
    each = 1 - np.mean((y - both.predict(x)) ** 2, axis=0) / y.var(axis=0)
    assert both.score(x, y) == pytest.approx(each.mean(), rel=1e-12)
    assert both.score(x, {"bmi": y[:, 1], "target": y[:, 0]}) == both.score(x, y)


def test_a_score_says_what_it_needs() -> None:
    model, x, y = fitted(), TABLE.matrix(BOUNTY.features)[:5], TABLE.column("target")[:5]
    with pytest.raises(UsageError, match="needs the true values y") as caught:
        model.score(x)
    assert "score(x, y)" in caught.value.hint
    assert "decision_function(x)" in caught.value.hint
    with pytest.raises(DataError, match="y: has 4 rows, and x has 5"):
        model.score(x, y[:4])
    with pytest.raises(DataError, match="y: has 1 row; at least 2 are needed"):
        model.score(x[:1], y[:1])
    with pytest.raises(DataError, match="column 'target': row 2 is missing"):
        model.score(x, [1.0, None, 2.0, 3.0, 4.0])


def test_arrays_columns_and_files_predict_alike(tmp_path: Path) -> None:
    model, x = fitted(), TABLE.matrix(BOUNTY.features)[100:105]
    expected = model.predict(x)
    assert model.predict(x[0]) == pytest.approx(expected[:1])
    columns = {name: x[:, i] for i, name in reversed(list(enumerate(BOUNTY.features)))}
    assert model.predict(columns) == pytest.approx(expected)
    path = tmp_path / "new.csv"
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row[::-1])) for row in x)]))
    assert model.predict_csv(path) == pytest.approx(expected)
    assert model.predict_csv(str(path)) == pytest.approx(expected)


def test_coefficients_are_in_the_columns_own_units() -> None:
    model, x = fitted(), TABLE.matrix(BOUNTY.features)[:42]
    own = model.coefficients
    by_hand = x @ [own[name] for name in BOUNTY.features] + own["(bias)"]
    assert by_hand == pytest.approx(model.predict(x), abs=1e-3)  # the first rows are within the clip


def test_the_coefficient_of_a_rare_flag_is_what_predict_moves_by() -> None:
    """8 ones in 1,000 rows: eleven deviations from the mean, and the model takes eight of them."""
    rng = np.random.default_rng(1)
    flag, age = np.zeros(1000), rng.normal(50, 10, size=1000)
    flag[:8] = 1.0
    y = 1e6 * flag + 2_000.0 * age + rng.normal(size=1000)
    x = np.column_stack([flag, age])
    model = best_of(Bounty.of(x, y, target="y", features=["flag", "age"], name="rare"))
    moved = float(np.diff(model.predict([[0.0, 50.0], [1.0, 50.0]]))[0])
    assert model.coefficients["flag"] == pytest.approx(moved, rel=1e-12)
    assert model.ranges["flag"] == (0.0, 1.0)
    # The weight alone, over the deviation, would say half as much again.
    spec, stage = model.spec, model.spec.stages[0]
    assert isinstance(stage, Standard)
    alone = spec.targets[0].scale * model.weights[0] / (stage.std_q32[0] / 2**32)
    assert alone > 1.3 * moved
    # Of a column of many values it is the slope, up to where predict is flat.
    low, high = model.ranges["age"]
    assert (low, high) == pytest.approx((age.mean() - 8 * age.std(), age.mean() + 8 * age.std()))
    ends = model.predict([[0.0, low], [0.0, high], [0.0, high + 100]])
    assert ends[1] - ends[0] == pytest.approx(model.coefficients["age"] * (high - low))
    assert ends[2] == ends[1]
    by_hand = x @ [model.coefficients["flag"], model.coefficients["age"]] + model.coefficients["(bias)"]
    assert by_hand == pytest.approx(model.predict(x), rel=1e-9)


def test_a_model_is_shown_in_a_line_and_can_be_compared() -> None:
    model = fitted()
    told = f"R² {model.figures['r2']:.4f}, MSE {model.figures['mse']:,.1f}"
    assert repr(model) == f"<LinearModel: 'target' from 10 columns, {told}>"
    assert model in [model]
    assert model not in [fitted()]


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model, path = fitted(), tmp_path / "model.json"
    model.save(path)
    again = LinearModel.load(path)
    assert again.weights.tolist() == model.weights.tolist()
    assert (again.spec, again.loss, again.figures) == (model.spec, model.loss, model.figures)
    assert again.coefficients == model.coefficients
    assert again.to_bytes() == model.to_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    fitted().save(path)
    text = path.read_text()
    for changed in (
        "",
        "{}",
        "[]",
        "[" * 5000,
        text.replace('"spec": {', '"spec": {"more": 1,'),
        text.replace("sonar-linear-model", "x"),
        text.replace('"weights": [', '"weights": [1.0,'),
        re.sub('("weights": .).*?,', r"\1 NaN,", text, count=1, flags=re.DOTALL),
        text.replace('"loss": ', '"loss": 1.5, "was": ', 1),
        text.replace('"mse": ', '"mse": 1e999, "was": '),
        text.replace('"mse": ', f'"mse": {"9" * 400}, "was": '),
        text.replace('"v": 2', '"v": 1'),
    ):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(
            ConfigError,
            match=r"model\.json: (is not a model|has a weight or figure that|has version 1, from an older)",
        ):
            LinearModel.load(path)
    path.write_text(text.replace('"v": 2', '"v": 1'))
    with pytest.raises(ConfigError) as old:
        LinearModel.load(path)
    assert "train it again, or use the version" in old.value.hint
    with pytest.raises(DataError, match="missing"):
        fitted().predict({"age": [1.0]})
    columns = {name: [1.0, 2.0] for name in BOUNTY.features}
    for x in ([["a"] * 10], columns | {"age": ["a", "b"]}, columns | {"age": [1.0]}):
        with pytest.raises(DataError, match=r"row 1.* is the text 'a'|has 2 rows, and"):
            fitted().predict(x)
    with pytest.raises(DataError, match=r"x: has 3 columns \(shape \[2, 3\]\), and 10 are named") as told:
        fitted().predict(np.ones((2, 3)))
    assert "'age', 'sex', 'bmi'" in told.value.problem


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "none" / "model.json", tmp_path / "taken"):
        with pytest.raises(KeyFileError, match="cannot be written"):
            fitted().save(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
