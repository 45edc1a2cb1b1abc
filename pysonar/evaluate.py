"""The scientist's held-out rows: the loss, its gradient, and what they tell about the mines' curvature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError
from sonar.model.features import transform
from sonar.model.quadratic import curvature, loss_gradient, loss_units, mean_loss
from sonar.protocol.messages import ModelSpec

Array = NDArray[np.float64]

_ONE_SIDED = 0.9
LEAST_ROWS = 10
"""Fewer say too little: mines would find their data outside the bounds that are derived from them."""


@dataclass(frozen=True)
class Holdout:
    """Held-out rows, judged by `spec`: x float64[n, f] raw columns, y float64[n]."""

    spec: ModelSpec
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


def require_rows(x: Array, y: Array, features: int) -> None:
    """Check held-out data: `LEAST_ROWS` rows of finite columns and a finite target. Raises DataError."""
    if x.ndim != 2 or x.shape[1] != features or y.shape != (len(x),) or not len(y):
        expected = f"x of shape [n, {features}] and y of shape [n]"
        raise DataError("holdout", f"{expected} are needed, got {list(x.shape)} and {list(y.shape)}")
    if len(y) < LEAST_ROWS:
        problem = f"has {len(y)} rows; at least {LEAST_ROWS} are needed to derive the model's bounds from"
        raise DataError("holdout", problem, hint="hold out more rows")
    for name, values in (("x", x), ("y", y)):
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(f"holdout {name}", f"row {row + 1} has a value that is not a finite number")
