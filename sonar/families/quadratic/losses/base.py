"""What a loss is, and what a metric is. Each loss has a file of its own, and a line in the registry.

Every loss of this family has the same sums: the answer is b - A w with

    A = a_factor phi^T phi / n        b = b_factor phi^T z / n        z = clip((y - centre) / scale, ±clip)

so what weights w minimise is |z - h phi w|^2 with h = a_factor / b_factor, whatever the loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sonar.errors import BoundsError
from sonar.families.quadratic.target import Target

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

CLIPPED_MOST = 0.1
"""The part of a mine's targets that may lie beyond the clip; more are in another unit than the bounty's."""


class Metric(ABC):
    """A number by which people judge a model, and the loss that falls as the model improves.

    `y` float64[n] is in the target's own unit; `s` float64[n] is phi w, zero for the null model.
    """

    name: ClassVar[str]
    pools: ClassVar[bool] = True
    """Whether its mean over several targets means something."""
    exact: ClassVar[bool] = False
    """Whether its loss is the quadratic that is trained and shared by; else that is only close to it."""
    best: ClassVar[float]
    """The value that nothing can reach."""

    @abstractmethod
    def loss(self, target: Target, y: Vector, s: Vector) -> float:
        """Return the loss, 0 for a perfect model."""

    @abstractmethod
    def floor(self, target: Target, y: Vector, phi: Matrix) -> float:
        """Return about the least loss of any weights with these rows phi float64[n, width]."""

    @abstractmethod
    def value(self, ratio: float, null: float) -> float:
        """Return the metric where the loss is `ratio` times `null`, the null model's."""

    @abstractmethod
    def ratio(self, value: float, null: float) -> float:
        """Return the loss as a part of the null model's where the metric is `value`."""


@dataclass(frozen=True)
class Loss(ABC):
    """A loss: what mines make of a target, and how a prediction follows from phi w."""

    name: str
    a_factor: float
    b_factor: float
    metrics: tuple[Metric, ...]
    """The metrics in which people may give a bounty's target; the first is the default."""

    labels: tuple[float, ...] = ()
    """For classes: the labels that a target may have; the log odds are of the last."""

    @property
    def half(self) -> float:
        """h of this module's text."""
        return self.a_factor / self.b_factor

    @abstractmethod
    def target(self, name: str, y: Vector, clip: float) -> Target:
        """Return the published constants of held-out targets float64[n]. Raises DataError."""

    def accept(self, target: Target) -> None:  # noqa: B027 - most losses take every target
        """Check a target that somebody published. Raises ValueError."""

    @abstractmethod
    def takes(self, y: Vector) -> NDArray[np.bool_]:
        """Tell which values float64[n] can be targets of this loss."""

    @abstractmethod
    def check(self, name: str, y: Vector) -> None:
        """Check that all values can. Raises DataError."""

    @abstractmethod
    def predict(self, target: Target, s: Vector) -> Vector:
        """Return the prediction for phi w = s: in the target's unit, or the log odds of label 1."""

    def decide(self, said: Vector) -> Vector:
        """Return predictions from the model's output `said`: as it is, or the likelier label."""
        return np.where(said > 0, self.labels[-1], self.labels[0]) if self.labels else said

    def told(self, target: Target, y: Vector, s: Vector) -> dict[str, float]:
        """Return how good the model is, in people's units, by name."""
        told = {}
        for metric in self.metrics:
            null, loss = (metric.loss(target, y, each) for each in (np.zeros_like(s), s))
            told[metric.name] = metric.value(loss / null, null)
        return told


def mapped(target: Target, y: Vector) -> Vector:
    """Return z for targets y float64[n]: how far they lie from the centre, in published units, clipped."""
    with np.errstate(over="ignore"):  # what is infinite is clipped
        return np.clip((y - target.centre) / target.scale, -target.clip, target.clip)


def check_clipped(target: Target, clipped: int, rows: int) -> None:
    """Check that few of a mine's targets lie beyond the clip. Raises BoundsError."""
    if clipped > CLIPPED_MOST * rows:
        raise BoundsError(
            f"column {target.name!r}: more than {CLIPPED_MOST:.0%} of the values lie more than "
            f"{target.clip:g} deviations ({target.scale:.4g}) from the bounty's mean, {target.centre:.4g}",
            hint="is it in the units that the bounty asks for? If so, do not join it",
        )
