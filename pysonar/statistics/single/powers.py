"""Means, deviations, skewness and kurtosis out of opened sums of powers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb, isqrt, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from sonar.data.schema import NumberColumn
from sonar.families.sums.terms.precise import WORD_BITS, joined

Vector = NDArray[np.float64]
_ROOM = Fraction(1, 10**6)


@dataclass(frozen=True)
class Shape:
    """Of a column's values: how many, their mean, and the sums of powers 2 to 4 of the deviations from it."""

    count: int
    mean: float
    squares: float
    cubes: float = nan
    fourths: float = nan

    @property
    def variance(self) -> float:
        """The mean square of the deviations, of n."""
        return self.squares / self.count if self.count else nan

    @property
    def std(self) -> float:
        """The deviation, of n - 1, as pandas has it."""
        return sqrt(max(self.squares, 0.0) / (self.count - 1)) if self.count > 1 else nan

    @property
    def skewness(self) -> float:
        """The skewness without bias (G1), as pandas' `skew` has it."""
        n = self.count
        if n < 3 or self.squares <= 0:
            return nan
        biased = self.cubes / n / self.variance**1.5
        return float(biased * sqrt(n * (n - 1)) / (n - 2))

    @property
    def kurtosis(self) -> float:
        """The excess kurtosis without bias (G2), as pandas' `kurt` has it."""
        n = self.count
        if n < 4 or self.squares <= 0:
            return nan
        biased = self.fourths / n / self.variance**2
        return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * biased - 3 * (n - 1))


def noise_of(seen: Seen) -> float:
    """Return the most that rounding adds to a fourth central moment, in half ranges to the fourth."""
    return 16 * seen.mines * 2.0 ** -(seen.totals.frac + 1 + 3 * WORD_BITS)


def shape_of(column: NumberColumn, sums: Vector, noise: float = 0.0) -> Shape:
    """Return what the sums of one column and group, float64[1 + order^2] of a `Powers` term, say.

    Sums of cubes and fourth powers of which `noise` (`noise_of`) may be a thousandth, or that no values have,
    are NaN.
    """
    count = round(float(sums[0]))
    if count <= 0:
        return Shape(0, nan, nan)
    order = isqrt(len(sums) - 1)
    powers = [Fraction(count), *(joined(words) for words in sums[1:].reshape(order, order))]
    mean = powers[1] / count
    central = [_central(powers, mean, k) * Fraction(column.scale) ** k for k in range(2, order + 1)]
    squares, *rest = map(float, central)
    own = float(Fraction(column.centre) + Fraction(column.scale) * mean)
    if rest and not _told(count, central, noise, column.scale):
        rest = [nan] * len(rest)
    return Shape(count, own, max(squares, 0.0), *rest)


def _told(count: int, central: list[Fraction], noise: float, scale: float) -> bool:
    """Return whether the third and fourth moments are more than rounding, and ones that values can have."""
    squares, cubes, fourths = central
    if squares <= 0:
        return False
    usual = squares**2 / count
    if Fraction(noise) * Fraction(scale) ** 4 > usual / 1000:
        return False
    third = float(squares / count / Fraction(scale) ** 2) ** 1.5 * count
    if noise > third / 1000:
        return False
    return fourths >= usual * (1 - _ROOM) and cubes**2 <= squares * fourths * (1 + _ROOM)


def _central(powers: list[Fraction], mean: Fraction, order: int) -> Fraction:
    """Return sum (v - mean)^order, exactly."""
    terms = (comb(order, j) * powers[j] * (-mean) ** (order - j) for j in range(order + 1))
    return sum(terms, Fraction(0))
