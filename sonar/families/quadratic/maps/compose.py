"""A whole map: its stages one after the other, and the column of ones. From a mine's columns to phi."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import comb, prod

import numpy as np

from sonar.errors import DataError
from sonar.families.quadratic.maps.base import BaseStage, Matrix, Names

LEAST_ROWS = 10
ROWS_PER_WEIGHT = 3
BIAS = "(bias)"


def transform(stages: Sequence[BaseStage], columns: int, x: Matrix) -> Matrix:
    """Return phi(x), float64[n, width], for raw columns float64[n, columns]; the last column is ones.

    Raises DataError for another number of columns, and for values that are or become infinite or NaN.
    """
    if x.ndim != 2 or x.shape[1] != columns:
        raise DataError("features", f"shape {x.shape}; the model takes {columns} columns")
    _require_finite(x, "features")
    phi = np.asarray(x, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # found below, and said in words
        for stage in stages:
            phi = stage.apply(phi)
    _require_finite(phi, "features after the feature map")
    return np.column_stack([phi, np.ones(len(phi))])


def widths(stages: Sequence[BaseStage], columns: int) -> list[int]:
    """Return how many columns there are after each stage, the raw ones first.

    Raises ValueError when a stage does not take that many, or makes too many: no stage's output may be larger
    than a model, whatever the next stage would make of it.
    """
    found = [columns]
    for index, stage in enumerate(stages):
        found.append(stage.width_after(found[-1], f"stages.{index}"))
    return found


def names_of(stages: Sequence[BaseStage], features: Names) -> Names:
    """Return a name for each column of phi, as scikit-learn has them: "age", "age^2", "age bmi"; "(bias)"."""
    for stage in stages:
        features = stage.names(features)
    return (*features, BIAS)


def in_words(stages: Sequence[BaseStage]) -> str:
    """Return what is done to the columns, for people who decide whether to train on it."""
    return ", then ".join([stage.words() for stage in stages] or ["as they are"])


def degree_of(stages: Sequence[BaseStage]) -> int:
    """Return of how many columns the map has products, before mixtures of them if there are any."""
    return prod(stage.factors for stage in takewhile(lambda stage: not stage.mixes, stages))


def mixes(stages: Sequence[BaseStage]) -> bool:
    """Tell whether the map's columns are mixtures of all that it takes."""
    return any(stage.mixes for stage in stages)


def least_rows(stages: Sequence[BaseStage], columns: int, outputs: int = 1) -> int:
    """Return how many rows a mine needs at least, so that sums over them hide single ones.

    Three per weight of an output; and no fewer numbers in them, targets included, than A and b are sums of
    them: else the sums could be solved for the rows. Of columns and of products of few, three per weight are
    enough for that; many mixtures of few columns need more.
    """
    width = widths(stages, columns)[-1] + 1
    squares = width * (width + 1) // 2
    if not mixes(stages):
        degree = 2 * degree_of(stages)  # A holds each product of so many columns, most of them several times
        squares = min(squares, comb(columns + degree, degree))
    sums = squares + width * outputs
    return max(LEAST_ROWS, ROWS_PER_WEIGHT * width, -(-sums // (columns + outputs)))


def _require_finite(x: Matrix, field: str) -> None:
    if not np.isfinite(x).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(field, f"row {row + 1}, column {column + 1} is infinite or not a number")
