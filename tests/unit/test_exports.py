"""A model in other programs' formats predicts the same there: scikit-learn, ONNX, safetensors."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from pysonar.estimators.classifier import SonarClassifier
from pysonar.estimators.regressor import SonarRegressor
from pysonar.models.graph import to_onnx
from pysonar.models.linear import LinearModel
from pysonar.models.pipeline import to_sklearn
from pysonar.models.tensors import to_safetensors, told_in
from sonar.errors import ConfigError
from sonar.families.quadratic.maps.registry import WISHES

onnxruntime = pytest.importorskip("onnxruntime")

MAPS: dict[str, dict[str, Any]] = {
    "standard": {"kind": "standard", "clip": 1.5},
    "polynomial": {"kind": "polynomial", "degree": 3},
    "leaves": {"kind": "leaves", "trees": 8, "depth": 2},
    "fourier": {"kind": "fourier", "n_components": 20, "random_state": 1},
    "bent": {"kind": "bent", "clip": 1.5},
    "linear-fourier": {"kind": "linear-fourier", "n_components": 20, "clip": 1.5},
}
"""Each with settings under which every part of it matters."""
DATA = {"diabetes": load_diabetes, "breast cancer": load_breast_cancer, "wine": load_wine}


def test_every_feature_map_is_tried() -> None:
    assert set(WISHES) == set(MAPS)


def _fitted(kind: str, data: str) -> tuple[LinearModel, np.ndarray[Any, Any]]:
    x, y = DATA[data](return_X_y=True)
    x = x[:, :4]
    made = SonarRegressor(MAPS[kind]) if data == "diabetes" else SonarClassifier(MAPS[kind])
    far = np.concatenate([x, 3 * x, -5 * x])
    return made.fit(x, y).model_, far


CASES = [(kind, data) for kind in MAPS for data in DATA]


@pytest.mark.parametrize(("kind", "data"), CASES)
def test_onnx_predicts_the_same(kind: str, data: str) -> None:
    model, x = _fitted(kind, data)
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"X": x}), strict=True))
    if data == "diabetes":
        np.testing.assert_allclose(found["predictions"][:, 0], model.predict(x), rtol=1e-9)
    else:
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(x), rtol=1e-6, atol=1e-12)
        assert found["labels"].tolist() == model.predict(x).tolist()
    props = session.get_modelmeta().custom_metadata_map
    assert json.loads(props["features"]) == list(model.features)


@pytest.mark.parametrize(("kind", "data"), CASES)
def test_scikit_learn_predicts_the_same_without_us(kind: str, data: str) -> None:
    model, x = _fitted(kind, data)
    pipeline = pickle.loads(pickle.dumps(to_sklearn(model)))
    if data == "diabetes":
        np.testing.assert_allclose(pipeline.predict(x), model.predict(x), rtol=1e-9)
    else:
        np.testing.assert_allclose(pipeline.predict_proba(x), model.predict_proba(x), rtol=1e-6, atol=1e-12)
        assert pipeline.predict(x).tolist() == model.predict(x).tolist()


@pytest.mark.parametrize(("kind", "data"), CASES)
def test_safetensors_hold_the_whole_model(kind: str, data: str) -> None:
    model, x = _fitted(kind, data)
    again = LinearModel.from_bytes(told_in(to_safetensors(model), "model.safetensors"), "m")
    assert again.to_bytes() == model.to_bytes()
    assert again.predict(x).tolist() == model.predict(x).tolist()


def test_texts_are_classes_in_every_format() -> None:
    x, y = load_wine(return_X_y=True)
    classifier = SonarClassifier().fit(x, np.array(["a", "b", "ü"])[y])
    model = classifier.model_
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    labels = session.run(["labels"], {"X": x})[0]
    assert labels.tolist() == classifier.predict(x).tolist() == to_sklearn(model).predict(x).tolist()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 40, b"\xff" * 8 + b"{}", (2).to_bytes(8, "little") + b"{}", b"not a file at all"],
)
def test_a_file_that_is_no_model_is_told_as_such(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^odd\.safetensors: is not a model") as caught:
        told_in(data, "odd.safetensors")
    assert caught.value.hint


def test_what_is_not_installed_is_told_with_what_to_install() -> None:
    program = """
import sys
for name in ("sklearn", "onnx", "safetensors", "scipy", "pandas"):
    sys.modules[name] = None
import numpy as np, pysonar, pysonar.show.card, pysonar.cli
from sonar.errors import ClientMissing
model = pysonar.LinearModel.at(pysonar.Bounty.example("diabetes").design, np.zeros(11), 1)
for call in (model.to_sklearn, lambda: model.to_onnx("m"), lambda: model.to_safetensors("m")):
    try:
        call()
    except ClientMissing as error:
        print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    extras = re.findall(r"pip install 'sonar-network-scientist\[(\w+)\]'", done.stdout)
    assert extras == ["sklearn", "onnx", "safetensors"]


def test_weights_of_another_shape_or_not_finite_are_refused() -> None:
    from safetensors.numpy import save

    model, _ = _fitted("standard", "diabetes")
    told = json.loads(model.to_bytes())
    del told["weights"]
    for weights in (np.zeros((1, 2)), np.full((1, 5), np.nan)):
        data = save({"weights": weights}, metadata={"sonar": json.dumps(told)})
        with pytest.raises(ConfigError, match=r"^odd: "):
            LinearModel.from_bytes(told_in(data, "odd"), "odd")
