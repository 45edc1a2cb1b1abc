"""The leaves of a map as sums of comparisons, for programs that have no such thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import floats
from sonar.families.quadratic.maps.leaves import Leaves

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marks:
    """A row is in leaf l if above @ signs[:, l] > least[l], where above[e] is x[columns[e]] > thresholds[e].

    `columns` int64[edges], `thresholds` float64[edges], `signs` float64[edges, leaves]: 1 where x must be
    above, -1 where it must not. `least` float64[leaves].
    """

    columns: NDArray[np.int64]
    thresholds: Matrix
    signs: Matrix
    least: Matrix

    @classmethod
    def of(cls, stage: Leaves) -> Marks:
        """Return those of a map's leaves. Each edge stands once."""
        found = (edge for leaf in stage.leaves for one in leaf for edge in one.edges)
        edges = sorted({edge for edge in found if edge is not None})
        places = {edge: place for place, edge in enumerate(edges)}
        signs = np.zeros((len(edges), len(stage.leaves)))
        for number, leaf in enumerate(stage.leaves):
            for one in leaf:
                for edge, sign in zip(one.edges, (1.0, -1.0), strict=True):
                    if edge is not None:
                        signs[places[edge], number] += sign
        columns = np.array([column for column, _ in edges], dtype=np.int64)
        return cls(columns, floats(tuple(q32 for _, q32 in edges)), signs, (signs > 0).sum(axis=0) - 0.5)
