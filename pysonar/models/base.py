"""What other formats need to know of a linear model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.slopes import Slope
from sonar.families.quadratic.spec import QuadraticSpec


class Portable(ABC):
    """A linear model, as far as its formats go."""

    spec: QuadraticSpec
    weights: NDArray[np.float64]
    figures: Mapping[str, float]

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...]:
        """The columns that it reads, in order."""

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The columns that it predicts, in order."""

    @property
    @abstractmethod
    def classes(self) -> NDArray[Any]:
        """The classes that it tells apart, [classes]. Raises ConfigError for a model without."""

    @property
    @abstractmethod
    def slopes(self) -> dict[str, Slope]:
        """By how much it moves per unit of a column, and the range in which that holds."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the model as JSON."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Return the model that `to_bytes` wrote; errors call it `name`. Raises ConfigError."""

    @property
    def predicts_classes(self) -> bool:
        """Whether it predicts classes, and not amounts."""
        return bool(LOSSES[self.spec.loss].labels)
