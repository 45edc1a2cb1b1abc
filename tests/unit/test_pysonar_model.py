"""The fitted model: the same predictions from arrays, columns, a file, and after being saved."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from pysonar.campaign.aggregate import Course, Point, start_of
from pysonar.models.linear import LinearModel
from sonar.data import examples
from sonar.errors import ConfigError, DataError, KeyFileError
from sonar.families.quadratic.step import ORIGIN
from sonar.paillier.vector import encode_weights

BOUNTY = Bounty.example("diabetes", key_bits=2048)
TABLE = examples.load("diabetes")


def fitted() -> LinearModel:
    design = BOUNTY.design
    best = np.linalg.lstsq(design.holdout.phi, design.holdout.y, rcond=None)[0]
    point = Point(tuple(encode_weights(best, design.plan)), ORIGIN, design.holdout.loss_milli(best))
    worse = Point(point.weights_int, ORIGIN, point.loss + 1)
    return LinearModel.of(design, Course((*start_of(design).points, point, worse)))


def test_predictions_are_the_ones_that_the_loss_was_measured_by() -> None:
    model = fitted()
    x, y = TABLE.matrix(BOUNTY.features)[:42], TABLE.column("target")[:42]
    assert np.mean((model.predict(x) - y) ** 2) == pytest.approx(model.loss, rel=1e-4)
    assert model.loss * 1000 == pytest.approx(BOUNTY.target_loss, abs=1)


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


def test_a_model_is_shown_in_a_line_and_can_be_compared() -> None:
    model = fitted()
    assert repr(model) == f"<LinearModel: 'target' from 10 columns, loss {model.loss:g}>"
    assert model in [model]
    assert model not in [fitted()]


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model, path = fitted(), tmp_path / "model.json"
    model.save(path)
    again = LinearModel.load(path)
    assert again.weights.tolist() == model.weights.tolist()
    assert (again.spec, again.loss) == (model.spec, model.loss)
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
        text.replace('"loss": ', '"loss": 1e999, "was": '),
        text.replace('"loss": ', f'"loss": {"9" * 400}, "was": '),
    ):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(ConfigError, match=r"model\.json: (is not a model|has a weight or loss that)"):
            LinearModel.load(path)
    with pytest.raises(DataError, match="missing"):
        fitted().predict({"age": [1.0]})
    columns = {name: [1.0, 2.0] for name in BOUNTY.features}
    for x in ([["a"] * 10], columns | {"age": ["a", "b"]}, columns | {"age": [1.0]}):
        with pytest.raises(DataError, match="x: is not numbers"):
            fitted().predict(x)
    with pytest.raises(DataError, match=r"x: has shape \[2, 3\]; the model takes \[rows, 10\]") as told:
        fitted().predict(np.ones((2, 3)))
    assert "age, sex, bmi" in told.value.hint


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "none" / "model.json", tmp_path / "taken"):
        with pytest.raises(KeyFileError, match="cannot be written"):
            fitted().save(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
