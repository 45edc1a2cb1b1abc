"""The scientist's held-out rows: the loss, its gradient, and what they tell about the mines' curvature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError
from sonar.families.quadratic.answer import curvature, loss_gradient, loss_units, mean_loss
from sonar.families.quadratic.maps import transform
from sonar.families.quadratic.spec import QuadraticSpec

Array = NDArray[np.float64]

_ONE_SIDED = 0.9
LEAST_ROWS = 10
"""Fewer say too little: mines would find their data outside the bounds that are derived from them."""


@dataclass(frozen=True)
class Holdout:
    """Held-out rows, judged by `spec`: x float64[n, f] raw columns, y float64[n]."""

    spec: QuadraticSpec
    x: Array
    y: Array

    @cached_property
    def phi(self) -> Array:
        """The rows after the feature map, float64[n, d], the bias last."""
        return transform(self.spec, self.x)

    def loss_milli(self, w: Array) -> int:
        """Return the loss of weights float64[d] in thousandths, as the contract takes it."""
        return max(loss_units(self.spec.loss, self.phi, self.y, w), 0)

    def gradient(self, w: Array) -> Array:
        """Return the gradient of the loss at w, float64[d]."""
        return loss_gradient(self.spec.loss, self.phi, self.y, w)

    @cached_property
    def curvature(self) -> Array:
        """The matrix A of the map u(w) = b - A w that a mine with these rows would have, float64[d, d].

        Raises BoundsError when local steps diverge on these rows.
        """
        return curvature(self.spec, self.phi)

    @cached_property
    def floor_milli(self) -> int:
        """The least loss of any weights on these rows, in thousandths, rounded down."""
        wanted = self.y if self.spec.loss == "squared" else 2.0 * self.y
        best = np.asarray(np.linalg.lstsq(self.phi, wanted, rcond=None)[0], dtype=np.float64)
        return max(math.floor(1000 * mean_loss(self.spec.loss, self.phi, self.y, best)), 0)

    @property
    def one_sided(self) -> bool:
        """Whether the targets lie mostly on one side of zero, so that their means can be compared."""
        positive = float(np.mean(self.y > 0))
        return max(positive, 1 - positive) >= _ONE_SIDED


def require_rows(x: Array, y: Array, features: Sequence[str], target: str) -> None:
    """Check held-out data x [n, f] and y [n]: `LEAST_ROWS` rows, all finite, of more than one target.

    Raises DataError.
    """
    if len(y) < LEAST_ROWS:
        problem = f"has {len(y)} rows; at least {LEAST_ROWS} are needed to derive the model's bounds from"
        raise DataError("holdout", problem, hint="hold out more rows")
    for name, values in zip((*features, target), (*x.T, y), strict=True):
        if count := np.count_nonzero(~np.isfinite(values)):
            problem = f"{count} of {len(y)} rows are missing or infinite, row {_first_bad(values)} first"
            raise DataError(f"column {name}", problem, hint="drop such rows, or fill in their values")
    if (y == y[0]).all():
        problem = f"is {y[0]:g} in every held-out row, so that the holdout cannot tell models apart"
        raise DataError(f"column {target}", problem, hint="shuffle the data before you hold rows out")


def _first_bad(values: Array) -> int:
    return int(np.argmin(np.isfinite(values))) + 1
