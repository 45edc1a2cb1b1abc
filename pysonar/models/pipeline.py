"""A model as a fitted pipeline of scikit-learn's own estimators, which needs nothing of ours to predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, PolynomialFeatures, StandardScaler

from pysonar.models.base import Portable
from pysonar.models.graph import head_of
from pysonar.models.marks import Marks
from sonar.data.fixed import floats, from_q32
from sonar.errors import ConfigError
from sonar.families.quadratic.maps.base import BaseStage
from sonar.families.quadratic.maps.bent import Bent
from sonar.families.quadratic.maps.clip import Clip
from sonar.families.quadratic.maps.fourier import Fourier
from sonar.families.quadratic.maps.leaves import Leaves
from sonar.families.quadratic.maps.polynomial import Polynomial
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.spec import by_output

Steps = list[tuple[str, Any]]


def to_sklearn(model: Portable) -> Pipeline:
    """Return a pipeline that predicts what the model does, from float64[rows, features] in its order.

    It ends with a LinearRegression, or a LogisticRegression whose `classes_` are the model's. Raises
    ConfigError for a map that scikit-learn has no transformer for.
    """
    steps: Steps = []
    width = len(model.features)
    for place, stage in enumerate(model.spec.stages):
        maker = MAKERS.get(type(stage))
        if maker is None:
            problem = f"has the stage {stage.words()!r}, for which scikit-learn has no transformer"
            raise ConfigError("model", problem, hint="save it as ONNX or safetensors, or use model.predict")
        steps += [(f"{name}{place}", made) for name, made in maker(stage, width)]
        width = stage.width_after(width, "")
    return Pipeline([*steps, ("linear", _last(model, width))])


def _standard(stage: Any, width: int) -> Steps:
    mean, std, clip = stage.constants
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = mean, std, std**2
    scaler.n_features_in_, scaler.n_samples_seen_ = width, 1
    return [("standardise", scaler), ("clip", _clipper(clip))]


def _clip(stage: Any, width: int) -> Steps:
    return [("clip", _clipper(from_q32(stage.clip_q32)))]


def _clipper(clip: float) -> FunctionTransformer:
    return FunctionTransformer(np.clip, kw_args={"a_min": -clip, "a_max": clip})


def _polynomial(stage: Any, width: int) -> Steps:
    products = PolynomialFeatures(stage.degree, include_bias=False)
    return [("products", products.fit(np.zeros((1, width))))]


def _fourier(stage: Any, width: int) -> Steps:
    sampler = RBFSampler(n_components=len(stage.phases_q32))
    sampler.random_weights_ = floats(stage.weights_q32).T
    sampler.random_offset_ = floats(stage.phases_q32)
    sampler.n_features_in_, sampler._n_features_out = width, len(stage.phases_q32)
    if stage.beside:
        return [("cosines", FeatureUnion([("columns", "passthrough"), ("cosines", sampler)]))]
    return [("cosines", sampler)]


def _leaves(stage: Any, width: int) -> Steps:
    """Comparisons, as x - threshold > 0; then sums of them, which are compared."""
    marks = Marks.of(stage)
    edges, leaves = marks.signs.shape
    picked = ColumnTransformer([("picked", "passthrough", marks.columns.tolist())])
    added = TruncatedSVD(leaves)
    added.components_, added.n_features_in_ = marks.signs.T, edges
    steps = [
        ("picked", picked.fit(np.zeros((1, width)))),
        ("less", _shifted(marks.thresholds)),
        ("above", Binarizer().fit(np.zeros((1, edges)))),
        ("added", added),
        ("least", _shifted(marks.least)),
        ("held", Binarizer().fit(np.zeros((1, leaves)))),
    ]
    both = FeatureUnion([("columns", "passthrough"), ("leaves", Pipeline(steps))])
    return [("leaves", both)]


def _shifted(by: Any) -> StandardScaler:
    scaler = StandardScaler(with_std=False)
    scaler.mean_, scaler.scale_, scaler.var_ = by, None, None
    scaler.n_features_in_, scaler.n_samples_seen_ = len(by), 1
    return scaler


def _bent(stage: Any, width: int) -> Steps:
    sizes = FunctionTransformer(np.abs)
    return [("bent", FeatureUnion([("columns", "passthrough"), ("sizes", sizes)]))]


MAKERS: Mapping[type[BaseStage], Callable[[Any, int], Steps]] = {
    Standard: _standard,
    Clip: _clip,
    Bent: _bent,
    Polynomial: _polynomial,
    Fourier: _fourier,
    Leaves: _leaves,
}
"""How a stage of a feature map becomes fitted transformers, of the width that it takes."""


def _last(model: Portable, width: int) -> LinearRegression | LogisticRegression:
    offset, factor = head_of(model)
    weights = by_output(model.spec, model.weights) * factor
    last = LogisticRegression() if model.predicts_classes else LinearRegression()
    last.coef_, last.intercept_ = weights[:-1].T.copy(), weights[-1] + offset
    last.n_features_in_ = width
    if model.predicts_classes:
        last.classes_ = np.asarray(model.classes)
        last.n_iter_ = np.array([1])
    elif len(model.targets) == 1:
        last.coef_, last.intercept_ = last.coef_[0], float(last.intercept_[0])
    return last
