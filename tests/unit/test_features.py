"""Feature maps against their formulas, and against scikit-learn where it has the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sonar.data.fixed import from_q32, to_q32
from sonar.errors import DataError
from sonar.families.quadratic.maps.base import BaseStage
from sonar.families.quadratic.maps.standard import standard_stage
from sonar.families.quadratic.spec import QuadraticSpec

RNG = np.random.default_rng(1)
X = RNG.normal(3.0, 20.0, (50, 4))
NAMES = ["a", "b", "c", "d"]


def spec(*stages: Mapping[str, object] | BaseStage, features: list[str] = NAMES) -> QuadraticSpec:
    return QuadraticSpec.parse(
        {
            "features": features,
            "targets": [{"name": "y", "centre_q32": 0, "scale_q32": 1, "clip_q32": 1}],
            "stages": stages,
            "rows_min": 1,
        }
    )


def q(x: NDArray[np.float64]) -> list[Any]:
    return [to_q32(v) for v in x] if x.ndim == 1 else [q(row) for row in x]


def test_no_stages_is_the_columns_and_a_last_column_of_ones() -> None:
    phi = spec().transform(X)
    assert np.array_equal(phi[:, :-1], X)
    assert np.array_equal(phi[:, -1], np.ones(50))
    assert phi.shape[1] == spec().width


def test_standard_is_scikit_learns_within_fixed_point() -> None:
    stage = standard_stage(NAMES, X, clip=1000.0)
    assert np.allclose(spec(stage).transform(X)[:, :-1], StandardScaler().fit_transform(X), atol=1e-8)


def test_standard_clips_both_ways() -> None:
    far = X.copy()
    far[0], far[1] = 1e6, -1e6
    phi = spec(standard_stage(NAMES, X, clip=2.5)).transform(far)
    assert (phi[0, :-1] == 2.5).all()
    assert (phi[1, :-1] == -2.5).all()


def test_clip() -> None:
    phi = spec({"kind": "clip", "clip_q32": to_q32(0.5)}).transform(X)
    assert np.array_equal(phi[:, :-1], np.clip(X, -0.5, 0.5))


@pytest.mark.parametrize("degree", [2, 3])
def test_polynomial_is_scikit_learns(degree: int) -> None:
    phi = spec({"kind": "polynomial", "degree": degree}).transform(X)
    expected = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
    assert np.allclose(phi[:, :-1], expected, rtol=1e-12)


def test_fourier_features_approximate_a_gaussian_kernel() -> None:
    points, width = RNG.normal(size=(6, 2)), 900
    weights, phases = RNG.normal(size=(width, 2)), RNG.uniform(0, 2 * np.pi, width)
    stage = {"kind": "fourier", "weights_q32": q(weights), "phases_q32": q(phases)}
    phi = spec(stage, features=["a", "b"]).transform(points)[:, :-1]
    assert np.allclose(phi, np.sqrt(2 / width) * np.cos(points @ weights.T + phases), atol=1e-8)
    distances = ((points[:, None] - points[None, :]) ** 2).sum(axis=2)
    assert np.abs(phi @ phi.T - np.exp(-distances / 2)).max() < 0.15


def test_stages_apply_in_order() -> None:
    square, clip = {"kind": "polynomial", "degree": 2}, {"kind": "clip", "clip_q32": to_q32(2.0)}
    x = np.full((1, 4), 3.0)
    assert spec(square, clip).transform(x).max() == 2.0
    assert spec(clip, square).transform(x).max() == 4.0


@given(st.floats(-(2.0**31), 2.0**31, exclude_min=True, exclude_max=True))
def test_fixed_point_is_within_half_a_step(x: float) -> None:
    assert abs(from_q32(to_q32(x)) - x) <= 2.0**-33


@pytest.mark.parametrize("x", [float("nan"), float("inf"), 2.0**31, -(2.0**31)])
def test_fixed_point_refuses_what_it_cannot_hold(x: float) -> None:
    with pytest.raises(DataError, match="clip"):
        to_q32(x, "clip")


def test_a_constant_column_is_named() -> None:
    with pytest.raises(DataError, match="column 'b': is constant"):
        standard_stage(NAMES, np.column_stack([X[:, 0], np.ones(50), X[:, 2:]]))


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (X[:, :3], "takes 4 columns"),
        (X[0], "takes 4 columns"),
        (np.where(X[7, 2] == X, np.nan, X), "row 8, column 3"),
        (np.where(X[7, 2] == X, np.inf, X), "row 8, column 3"),
    ],
)
def test_refused_input(x: NDArray[np.float64], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        spec().transform(x)


def test_overflow_in_a_stage_is_said_in_words() -> None:
    with pytest.raises(DataError, match="after the feature map"):
        spec({"kind": "polynomial", "degree": 3}).transform(np.full((2, 4), 1e200))
