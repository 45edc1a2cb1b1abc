"""What a feature map is made of: stages, as a manifest has them, and the scientist's choice of a map.

A map is a list of stages, applied in order; a column of ones (the bias) is appended last. Each stage has a
file of its own, and a line in `sonar.families.quadratic.maps.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sonar.protocol.record import MAX_WEIGHTS, Record

Matrix = NDArray[np.float64]
Names = tuple[str, ...]


class Draw(Protocol):
    """A seeded source of random constants, as `numpy.random.RandomState` is."""

    def normal(self, *, size: tuple[int, ...]) -> Any:
        """Return standard normal numbers float64[size]."""
        ...

    def uniform(self, low: float, high: float, size: int) -> Any:
        """Return uniform numbers float64[size]."""
        ...


Seeded = Callable[[int], Draw]
"""Makes the source for a seed. The caller passes it in: nothing here draws by itself."""


@dataclass(frozen=True)
class Line:
    """A stage that is a line in each column, slope x + offset, between `low` and `high` and flat beyond."""

    slope: Matrix
    offset: Matrix
    low: Matrix
    high: Matrix

    @classmethod
    def unbounded(cls, width: int) -> Line:
        """Return the line x itself, for `width` columns."""
        return cls(np.ones(width), np.zeros(width), np.full(width, -np.inf), np.full(width, np.inf))

    def through(self, place: int, first: float, second: float) -> Line:
        """Return it with the column at `place` led through what it is at `first` and at `second`."""
        ends = np.clip([first, second], self.low[place], self.high[place])
        ends = self.slope[place] * ends + self.offset[place]
        slope = (ends[1] - ends[0]) / (second - first)
        parts = (slope, ends[0] - slope * first, first, second)
        changed = [each.copy() for each in (self.slope, self.offset, self.low, self.high)]
        for array, value in zip(changed, parts, strict=True):
            array[place] = value
        return Line(*changed)


class BaseStage(Record, ABC):
    """One stage as it stands in a manifest; constants are fixed-point integers, round(x * 2^32)."""

    mixes: ClassVar[bool] = False
    """Whether each column that it makes depends on all its inputs, instead of being a product of a few."""
    sums: ClassVar[str] = ""
    """Of a stage that mixes: what A and b are sums of, to people who decide whether to train on it."""
    leads: ClassVar[bool] = False
    """Whether it must be the first stage, and only lines may follow it."""
    keeps: ClassVar[bool] = False
    """Whether its first columns are those that it takes, as they are."""

    @property
    def factors(self) -> int:
        """Of how many of the columns that it takes it makes products."""
        return 1

    def width_after(self, width: int, where: str) -> int:
        """Return how many columns it makes of `width`. Raises ValueError, naming `where`, if it cannot."""
        return width

    @abstractmethod
    def apply(self, x: Matrix) -> Matrix:
        """Return what it makes of float64[n, width]; nothing is checked."""

    def names(self, names: Names) -> Names:
        """Return a name for each column that it makes, as scikit-learn has them."""
        return names

    def line(self) -> Line | None:
        """Return it as a line in each column, where it is one."""
        return None

    @abstractmethod
    def words(self) -> str:
        """Say what it does, to people who decide whether to train on it."""


class BaseWish(BaseModel, ABC):
    """A map that a scientist names, with the parameters that `bounty.toml` has for it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    tells: ClassVar[str] = ""
    """What everybody learns besides the means and deviations of the columns, as the end of that sentence."""
    plain: ClassVar[bool] = True
    """Whether it makes few columns that are hardly collinear and have light tails, so that fewer bits
    suffice.
    """

    @abstractmethod
    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return the map's stages, with constants from held-out columns x float64[n, len(names)].

        Raises ConfigError naming the parameter, or DataError naming the column.
        """


def check_width(width: int, where: str) -> int:
    """Return `width`. Raises ValueError: no stage may make more columns than a model may have."""
    if width >= MAX_WEIGHTS:
        raise ValueError(f"{where}: {width} outputs and a bias; at most {MAX_WEIGHTS} in all")
    return width
