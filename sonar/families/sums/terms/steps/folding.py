"""Bins that a mine tells: each with none of its rows, or with at least `LEAST_IN_SET`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonar.families.sums.terms.base import LEAST_IN_SET

Matrix = NDArray[np.float64]


def folded_bins(bins: Matrix) -> Matrix:
    """Return sums by bin, float64[sums, bins], the first of which are counts of rows, with few rows nowhere.

    From the first bin on, bins are taken together until they have enough rows; what is left at the end joins
    those before. Each such run is told at the bin with its middle row, so that no order of rows is favoured.
    """
    counts, found = bins[0], np.zeros_like(bins)
    for start, end in _runs(counts):
        running = np.cumsum(counts[start:end])
        middle = start + int(np.searchsorted(running, running[-1] / 2))
        found[:, middle] += bins[:, start:end].sum(axis=1)
    return found


def _runs(counts: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return where runs of bins start and end, over all bins that have rows."""
    found: list[tuple[int, int]] = []
    start, rows = 0, 0.0
    for place in np.flatnonzero(counts).tolist():
        rows += counts[place]
        if rows >= LEAST_IN_SET:
            found.append((start, place + 1))
            start, rows = place + 1, 0.0
    if rows:
        found = [*found[:-1], (found[-1][0] if found else 0, len(counts))]
    return found
