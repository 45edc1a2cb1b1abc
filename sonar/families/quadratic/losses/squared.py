"""Squared error: b - A w is the negative gradient of |z - phi w|^2 / (2 n)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import deviation_q32, to_q32
from sonar.errors import DataError
from sonar.families.quadratic.losses.base import Loss, Matrix, Metric, Vector
from sonar.families.quadratic.target import Target


class _SquaredError(Metric):
    exact: ClassVar[bool] = True

    def loss(self, target: Target, y: Vector, s: Vector) -> float:
        """Return the mean squared error, in the square of the target's unit."""
        return float(np.mean((y - target.centre - target.scale * s) ** 2))

    def floor(self, target: Target, y: Vector, phi: Matrix) -> float:
        """Return what least squares leave."""
        wanted = (y - target.centre) / target.scale
        return self.loss(target, y, phi @ np.linalg.lstsq(phi, wanted, rcond=None)[0])


class RSquared(_SquaredError):
    """The part of the target's variance on the holdout that is explained."""

    name: ClassVar[str] = "r2"
    best: ClassVar[float] = 1.0

    def value(self, ratio: float, null: float) -> float:
        """Return 1 - ratio."""
        return 1.0 - ratio

    def ratio(self, value: float, null: float) -> float:
        """Return 1 - value."""
        return 1.0 - value


class MeanSquaredError(_SquaredError):
    """In the square of the target's unit."""

    name: ClassVar[str] = "mse"
    pools: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    def value(self, ratio: float, null: float) -> float:
        """Return ratio times the null model's."""
        return ratio * null

    def ratio(self, value: float, null: float) -> float:
        """Return value over the null model's."""
        return value / null


class Squared(Loss):
    """For targets that are amounts."""

    def target(self, name: str, y: Vector, clip: float) -> Target:
        """Return mean and deviation, and a clip that no held-out target meets."""
        field = f"column {name!r}"
        if np.ptp(y) == 0:
            problem = f"is {y[0]:g} in every held-out row, so the holdout cannot tell models apart"
            raise DataError(field, problem, hint="shuffle the data before you hold rows out")
        centre, scale = to_q32(float(y.mean()), field), deviation_q32(y, field)
        largest = float(np.abs(y - y.mean()).max() / y.std())
        return Target(
            name=name, centre_q32=centre, scale_q32=scale, clip_q32=to_q32(max(clip, np.ceil(largest)))
        )

    def takes(self, y: Vector) -> NDArray[np.bool_]:
        """Take all that is finite."""
        return np.isfinite(y)

    def check(self, name: str, y: Vector) -> None:
        """Take all that is finite."""
        if not self.takes(y).all():
            raise DataError(f"column {name!r}", "has a value that is infinite or not a number")

    def predict(self, target: Target, s: Vector) -> Vector:
        """Return centre + scale s, in the target's unit."""
        return target.centre + target.scale * s


SQUARED = Squared("squared", 1.0, 1.0, (RSquared(), MeanSquaredError()))
