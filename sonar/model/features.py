"""Public feature maps: from a mine's columns to phi, the matrix that a model is linear in."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError
from sonar.protocol.featuremaps import Q32_ONE, Clip, Fourier, Polynomial, Standard
from sonar.protocol.messages import ModelSpec

Matrix = NDArray[np.float64]


def transform(spec: ModelSpec, x: Matrix) -> Matrix:
    """Return phi(x), float64[n, spec.outputs], for raw columns float64[n, f]; the last column is ones.

    Raises DataError for another number of columns, and for values that are or become infinite or NaN.
    """
    if x.ndim != 2 or x.shape[1] != len(spec.features):
        raise DataError("features", f"shape {x.shape}; the model takes {len(spec.features)} columns")
    _require_finite(x, "features")
    phi = np.asarray(x, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # found below, and said in words
        for stage in spec.stages:
            phi = _apply(stage, phi)
    _require_finite(phi, "features after the feature map")
    return np.column_stack([phi, np.ones(len(phi))])


def _apply(stage: Standard | Clip | Polynomial | Fourier, x: Matrix) -> Matrix:
    if isinstance(stage, Standard):
        scaled = (x - _floats(stage.mean_q32)) / _floats(stage.std_q32)
        return np.clip(scaled, -stage.clip_q32 / Q32_ONE, stage.clip_q32 / Q32_ONE)
    if isinstance(stage, Clip):
        return np.clip(x, -stage.clip_q32 / Q32_ONE, stage.clip_q32 / Q32_ONE)
    if isinstance(stage, Polynomial):
        return _polynomial(x, stage.degree)
    angles = x @ _floats(stage.weights_q32).T + _floats(stage.phases_q32)
    return _amplitude(stage) * np.cos(angles)


def _polynomial(x: Matrix, degree: int) -> Matrix:
    columns = range(x.shape[1])
    monomials = [
        np.prod(x[:, list(factors)], axis=1)
        for power in range(1, degree + 1)
        for factors in combinations_with_replacement(columns, power)
    ]
    return np.column_stack(monomials)


def _amplitude(stage: Fourier) -> float:
    return float(np.sqrt(2.0 / len(stage.weights_q32)))


def _floats(values: tuple[int, ...] | tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64) / Q32_ONE


def _require_finite(x: Matrix, field: str) -> None:
    if not np.isfinite(x).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(field, f"row {row + 1}, column {column + 1} is infinite or not a number")
