"""Columns that tell nothing, or nothing of their own: found in the matrix of sums, and named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.newton import scales_of
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import DataError

Matrix = NDArray[np.float64]
LEAST_VARIANCE = 1e-9
"""Of the rows, the least sum of squares of a column around its mean; and what other columns must leave."""
LEAST_COUNT = 1e-6
"""A sum of squares of an indicator below it is none."""


def check_columns(gram: Matrix, labels: Sequence[str], *, bias: bool = True) -> None:
    """Check that a matrix of sums x x^T, float64[d, d], has an inverse.

    With `bias`, the first column is of ones. Raises DataError, which names constant or collinear columns.
    """
    if bias:
        constant = [labels[place] for place in range(1, len(labels)) if _constant(gram, place)]
    else:
        constant = [labels[place] for place in range(len(labels)) if gram[place, place] <= 0]
    if constant:
        raise DataError(
            f"column {constant[0]!r}",
            "is constant over all rows" + (f"; so are {', '.join(constant[1:])}" if constant[1:] else ""),
            hint="leave it out of `columns`: it carries no information",
        )
    together = _together(gram)
    if together:
        raise DataError(
            "columns",
            f"{', '.join(repr(labels[place]) for place in together)} are collinear: one follows from others",
            hint="leave one of them out; of indicators that add up to 1, all but one",
        )


def filled(columns: Sequence[Column], names: Sequence[str], gram: Matrix) -> tuple[list[int], list[str]]:
    """Return a design's places but those of levels that no row has, and warnings of these."""
    place, places, told = 0, [0], list[str]()
    by_name = {column.name: column for column in columns}
    for name in names:
        column = by_name[name]
        for level in column.levels[1:] if isinstance(column, CategoryColumn) else ("",):
            place += 1
            if level and gram[place, place] < LEAST_COUNT:
                told.append(f"no row has level {level!r} of column {name!r}: it has no coefficient")
            else:
                places.append(place)
    return places, told


def _constant(gram: Matrix, place: int) -> bool:
    """Tell whether a column within ±1 does not vary, as far as rounding lets it be seen."""
    left = gram[place, place] - gram[0, place] ** 2 / gram[0, 0] if gram[0, 0] > 0 else 0.0
    return bool(left <= LEAST_VARIANCE * gram[0, 0])


def _together(gram: Matrix) -> list[int]:
    """Return the columns in the combination that is zero, if there is one."""
    scale = scales_of(gram)
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    if values[0] > LEAST_VARIANCE:
        return []
    parts = np.abs(vectors[:, 0])
    return [int(place) for place in np.flatnonzero(parts > 1e-3 * parts.max())]
