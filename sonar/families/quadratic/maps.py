"""Public feature maps: from a mine's columns to phi, the matrix that a model is linear in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.stages import Q32_ONE, Clip, Fourier, Polynomial, Stage, Standard

Matrix = NDArray[np.float64]


def transform(spec: QuadraticSpec, x: Matrix) -> Matrix:
    """Return phi(x), float64[n, spec.weights], for raw columns float64[n, f]; the last column is ones.

    Raises DataError for another number of columns, and for values that are or become infinite or NaN.
    """
    if x.ndim != 2 or x.shape[1] != len(spec.features):
        raise DataError("features", f"shape {x.shape}; the model takes {len(spec.features)} columns")
    _require_finite(x, "features")
    with np.errstate(over="ignore", invalid="ignore"):  # found below, and said in words
        phi = apply_stages(spec.stages, np.asarray(x, dtype=np.float64))
    _require_finite(phi, "features after the feature map")
    return np.column_stack([phi, np.ones(len(phi))])


def apply_stages(stages: Sequence[Stage], x: Matrix) -> Matrix:
    """Return what the stages make of x float64[n, f], one after the other; nothing is checked."""
    for stage in stages:
        x = _apply(stage, x)
    return x


def names_of(spec: QuadraticSpec) -> tuple[str, ...]:
    """Return a name for each column of phi, as scikit-learn has them: "age", "age^2", "age bmi"; "(bias)"."""
    names = spec.features
    for stage in spec.stages:
        if isinstance(stage, Polynomial):
            names = tuple(
                " ".join(f"{names[i]}^{power}" if power > 1 else names[i] for i, power in factors.items())
                for factors in map(Counter, _monomials(len(names), stage.degree))
            )
        elif isinstance(stage, Fourier):
            names = tuple(f"fourier {i + 1}" for i in range(len(stage.weights_q32)))
    return (*names, "(bias)")


def in_words(spec: QuadraticSpec) -> str:
    """Return the feature map for people who decide whether to train it: what is done to the columns."""
    told = [_in_words(stage) for stage in spec.stages] or ["as they are"]
    return f"{', then '.join(told)}: {spec.weights} weights"


def _in_words(stage: Stage) -> str:
    if isinstance(stage, Standard):
        return f"standardised to ±{stage.clip_q32 / Q32_ONE:g}"
    if isinstance(stage, Clip):
        return f"cut off at ±{stage.clip_q32 / Q32_ONE:g}"
    if isinstance(stage, Polynomial):
        return f"products of up to {stage.degree}"
    return f"{len(stage.weights_q32)} random cosines"


def _apply(stage: Stage, x: Matrix) -> Matrix:
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
    monomials = [np.prod(x[:, list(factors)], axis=1) for factors in _monomials(x.shape[1], degree)]
    return np.column_stack(monomials)


def _monomials(width: int, degree: int) -> Iterator[tuple[int, ...]]:
    for power in range(1, degree + 1):
        yield from combinations_with_replacement(range(width), power)


def _amplitude(stage: Fourier) -> float:
    return float(np.sqrt(2.0 / len(stage.weights_q32)))


def _floats(values: tuple[int, ...] | tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64) / Q32_ONE


def _require_finite(x: Matrix, field: str) -> None:
    if not np.isfinite(x).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(field, f"row {row + 1}, column {column + 1} is infinite or not a number")
