"""What a histogram over published bins says of quantiles and of where values end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import NumberColumn

Vector = NDArray[np.float64]


def edges_of(column: NumberColumn, bins: int) -> Vector:
    """Return the edges of bins of equal width between a column's bounds, float64[bins + 1]."""
    return np.linspace(column.low, column.high, bins + 1)


def ends_of(edges: Vector, counts: Vector) -> tuple[float, float]:
    """Return the lower edge of the first bin with a value, the upper edge of the last; NaN without values."""
    there = np.flatnonzero(counts > 0.5)
    if not len(there):
        return np.nan, np.nan
    return float(edges[there[0]]), float(edges[there[-1] + 1])


def quantile_of(edges: Vector, counts: Vector, share: float) -> float:
    """Return about where a `share` of the values lies below.

    It is off by a bin's width at most from the value nearest to place share (n - 1) among n, which is numpy's
    method="nearest"; within a bin values are taken as evenly spread.
    """
    total = float(counts.sum())
    if total < 0.5:
        return np.nan
    place = share * (total - 1) + 0.5
    below = np.concatenate([[0.0], np.cumsum(counts)])
    bin_ = int(np.clip(np.searchsorted(below, place, side="left") - 1, 0, len(counts) - 1))
    inside = min(max((place - below[bin_]) / max(counts[bin_], 1.0), 0.0), 1.0)
    return float(edges[bin_] + inside * (edges[bin_ + 1] - edges[bin_]))
