"""Plain gradient descent: the yardstick for other optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.families.quadratic.optimisers.base import (
    Coefficients,
    Ground,
    Matrix,
    OptimiserWish,
    Step,
    Vector,
    Visited,
    bounded,
)


@dataclass(frozen=True)
class GradientDescent:
    """One step of `rate` along the newest gradient."""

    rate: float
    weight_max: float

    def precondition(self, vector: Vector) -> Vector:
        """Return the vector."""
        return vector

    def step(self, visited: Sequence[Visited]) -> Step:
        """Return the newest point plus `rate` times its gradient."""
        last = visited[-1]
        change = Coefficients({(last.number, False): (self.rate, {})})
        return bounded(last, self.rate * last.gradient, change, self.weight_max)


class GradientDescentWish(OptimiserWish):
    """`rate` is the largest that is stable on the holdout if it is not given."""

    kind: Literal["gradient-descent"] = "gradient-descent"
    rate: Annotated[float, Field(gt=0, lt=1e15, allow_inf_nan=False)] | None = None

    def optimiser(self, ground: Ground) -> GradientDescent:
        """Return it for a job."""
        return GradientDescent(self.rate or default_rate(ground.curvature), ground.weight_max)


def default_rate(curvature: Matrix) -> float:
    """Return a rate at which gradient descent is stable on the holdout: 1 / its largest curvature."""
    return 1.0 / float(np.linalg.eigvalsh(curvature)[-1])
