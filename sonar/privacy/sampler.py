"""Discrete Gaussian noise, exact: P(y) is proportional to exp(-y^2 / (2 variance)) for all integers y.

Algorithms 1 to 3 of Canonne, Kamath and Steinke 2020, many draws at once. A discrete Laplace variable of
scale t = 2^j is drawn, P(y) proportional to exp(-|y| / t), and kept with chance
exp(-(|y| - variance / t)^2 / (2 variance)). Any t is right; theirs is next to the deviation, and so is the
power of two nearest to it, for which the lower part of |y| is j bits. `sonar.privacy.chance` decides each
event exactly. How bytes become draws is fixed (privacy.md), on every platform.

Not hidden: how long it takes, and how much memory. Both depend on the bytes drawn alone, and never on data,
which don't come here: mostly on candidates that were thrown away, a little on how large the noise is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sonar.errors import UsageError
from sonar.privacy.chance import (
    WORD_BITS,
    WORD_BYTES,
    Bools,
    Source,
    Whole,
    Words,
    geometric,
    happens,
    take,
)

LEAST_VARIANCE = Fraction(1, 1 << 20)
MOST_VARIANCE = Fraction(1 << 192)
BATCH_MOST = 1 << 15
"""Candidates at once: their words, a megabyte, stay in the cache."""

_INT64_SHIFT = 50
"""Up to this j, |y| < 2^j 2^12 fits (a geometric part has at most 64 words, so it is below 2^12)."""


def discrete_gaussian(variance: Fraction, count: int, source: Source) -> list[int]:
    """Return `count` independent draws of N_Z(0, variance), exactly distributed if the bits are fair.

    `variance` is the parameter sigma^2: the variance of the draws is a little smaller where it is below 1.
    `source` gives random bytes, such as `secrets.token_bytes`. Raises UsageError for a variance outside of
    2^-20 to 2^192 or a negative count, EnvironmentFault for a source that is none.
    """
    if not LEAST_VARIANCE <= variance <= MOST_VARIANCE:
        raise UsageError(f"a variance {_shown(variance)}; noise has 2^-20 to 2^192")
    if count < 0:
        raise UsageError(f"{count} draws; at least 0 can be made")
    scale, draws = Scale.of(variance), list[int]()
    while len(draws) < count:
        candidates = min(3 * (count - len(draws)) + 16, BATCH_MOST)
        draws += scale.batch(candidates, source)
    return draws[:count]


@dataclass(frozen=True)
class Scale:
    """What is computed once for a variance: it itself, and j, where 2^j is the scale of the Laplace draws."""

    variance: Fraction
    shift: int

    @classmethod
    def of(cls, variance: Fraction) -> Scale:
        """The scale that is nearest to the deviation: not further from it than a factor of sqrt(2)."""
        return cls(variance, int(variance).bit_length() // 2)

    @property
    def words(self) -> int:
        """How many words hold a sign and j bits."""
        return self.shift // WORD_BITS + 1

    def batch(self, candidates: int, source: Source) -> list[int]:
        """Return the draws among so many candidates: about two in five."""
        width = self.words + 3
        drawn = np.frombuffer(take(source, WORD_BYTES * width * candidates), "<u8").reshape(-1, width)
        low, negative = self._split(drawn)
        drawn, low, negative = _only(self._fits(low, drawn[:, -3], source), drawn, low, negative)
        size = low + (geometric(drawn[:, -2], source).astype(low.dtype) << self.shift)
        drawn, size, negative = _only(~(negative & (size == 0)), drawn, size, negative)
        kept = self._kept(size, drawn[:, -1], source)
        return list(np.where(negative, -size, size)[kept].tolist())

    def _split(self, drawn: Words) -> tuple[Whole, Bools]:
        """The lower j bits of |y|, and the sign, which is the bit above them."""
        if self.shift <= _INT64_SHIFT:
            first = drawn[:, 0]
            low = first & np.uint64((1 << self.shift) - 1)
            return low.astype(np.int64), (first >> np.uint64(self.shift)) & np.uint64(1) == 1
        number: Whole = np.zeros(len(drawn), object)
        for i in range(self.words):
            number |= drawn[:, i].astype(object) << WORD_BITS * i
        return number & ((1 << self.shift) - 1), ((number >> self.shift) & 1).astype(np.bool_)

    def _fits(self, low: Whole, words: Words, source: Source) -> Bools:
        """Chance exp(-low / 2^j), so that together with a geometric part it makes |y|."""
        x = low.astype(np.float64) * 2.0**-self.shift
        return happens(words, x, 1.0, lambda i: (int(low[i]), 1 << self.shift), source)

    def _kept(self, size: Whole, words: Words, source: Source) -> Bools:
        """Chance exp(-(|y| - variance / t)^2 / (2 variance)).

        With c = variance / t, floats are off by less than 8 units of 2^-53 (|y| + c)^2 / (2 variance). Since
        |y| < 2^12 t, that size is below 2^44 for the least variance, for which t = 1; else it is smaller.
        """
        centre, factor = self.variance / (1 << self.shift), 1 / (2 * self.variance)
        y, c, f = size.astype(np.float64), float(centre), float(factor)

        def exact(i: int) -> tuple[int, int]:
            x = (int(size[i]) - centre) ** 2 * factor
            return x.numerator, x.denominator

        return happens(words, (y - c) ** 2 * f, (y + c) ** 2 * f, exact, source)


def _only(which: Bools, drawn: Words, numbers: Whole, negative: Bools) -> tuple[Words, Whole, Bools]:
    """The candidates that are left."""
    return drawn[which], numbers[which], negative[which]


def _shown(variance: Fraction) -> str:
    """How large it is, in few characters."""
    if variance <= 0:
        return "that is not positive"
    return f"of about 2^{variance.numerator.bit_length() - variance.denominator.bit_length()}"
