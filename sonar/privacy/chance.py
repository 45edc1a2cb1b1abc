"""Events of chance e^-x, decided by random bits without any error, whatever the real number e^-x is.

A uniform real number in [0, 1) is drawn digit by digit, in words of 64 bits; the event happens if the number
lies below e^-x. Digits are drawn until the first in which the two differ. Nearly always one is enough, and
floats tell which is larger: a word outside of a margin around `exp_minus` is decided. Inside of it, MPFR
brackets e^-x from below and above, in as much precision as it takes (Ziv 1991). So floats save time, and
change neither what happens nor how many digits are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpfr, mpz
from numpy.typing import NDArray

from sonar.errors import EnvironmentFault

Source = Callable[[int], bytes]
"""Gives as many fair random bytes as it is asked for: `secrets.token_bytes`."""

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]
Whole = NDArray[Any]
"""Integers: int64 where they fit, else Python's own in an array of objects."""

WORD_BITS = 64
WORD_BYTES = 8
MARGIN = 2.0**-40
"""A hundred times what rounding can do to a chance of at most 1."""

_DIGITS_MOST = 64
_TAIL = 63
_INVERSE_FACTORIALS = [1.0 / math.factorial(k) for k in range(15)]


def take(source: Source, count: int) -> bytes:
    """Return `count` bytes of a source. Raises EnvironmentFault if it gives another number of them."""
    data = source(count)
    if len(data) != count:
        raise EnvironmentFault(f"the source of randomness gave {len(data)} bytes instead of {count}")
    return data


def happens(
    words: Words, x: Floats, size: Floats | float, exact: Callable[[int], tuple[int, int]], source: Source
) -> Bools:
    """Return for each first digit in `words` whether its event, of chance e^-x, happens.

    `x` is the exponent as floats have it, at most 2^-48 `size` from the true one; no size is above 2^47.
    `exact(i)` is the true exponent of event i, as a numerator and a denominator: it is asked for where floats
    don't decide. More digits come from `source`, for one event after the other. Raises EnvironmentFault.

    Why the margin holds: the true chance is within 2^-47 size e^-x of e^-x; `exp_minus` is within 2^-48 of
    that; as a float a word is within 2^-54 of what it was.
    """
    chance = exp_minus(x)
    gap = words.astype(np.float64) * 2.0**-WORD_BITS - chance
    result: Bools = gap < 0
    for i in np.flatnonzero(np.abs(gap) <= MARGIN * (1.0 + size * chance)):
        result[i] = Real(int(words[i]), source).below(*exact(int(i)))
    return result


def geometric(words: Words, source: Source) -> Whole:
    """Return for each first digit in `words` the largest k >= 0 with the number below e^-k, int64.

    So k or more has a chance of e^-k. A word decides unless it is a digit of some e^-k itself. Raises
    EnvironmentFault.
    """
    digits = _first_digits()
    result = len(digits) - np.searchsorted(digits, words, side="right")
    for i in np.flatnonzero(digits[np.minimum(np.searchsorted(digits, words), len(digits) - 1)] == words):
        real, k = Real(int(words[i]), source), int(result[i])
        while real.below(k + 1, 1):
            k += 1
        result[i] = k
    return result


class Real:
    """A uniform real number in [0, 1), of which as many digits are drawn as are asked for."""

    def __init__(self, first: int, source: Source) -> None:
        self._number, self._bits, self._source = first, WORD_BITS, source

    def below(self, numerator: int, denominator: int) -> bool:
        """Whether it lies below e^-x, with x = numerator / denominator >= 0. Raises EnvironmentFault.

        Equal digits without end have a chance of zero. After 64 words, 2^-4096, the source is at fault.
        """
        while self._bits <= _DIGITS_MOST * WORD_BITS:
            digits = exp_digits(numerator, denominator, self._bits)
            if digits != self._number:
                return self._number < digits
            more = int.from_bytes(take(self._source, WORD_BYTES), "little")
            self._number, self._bits = (self._number << WORD_BITS) | more, self._bits + WORD_BITS
        raise EnvironmentFault("the source of randomness repeats itself: its bits are not random")


def exp_digits(numerator: int, denominator: int, bits: int) -> int:
    """Return floor(2^bits e^-x) exactly, for x = numerator / denominator >= 0."""
    if numerator == 0:
        return 1 << bits
    precision = bits + WORD_BITS
    while True:
        low, high = _bracket(mpz(numerator), mpz(denominator), bits, precision)
        if low == high:
            return int(low)
        precision *= 2


def _bracket(numerator: mpz, denominator: mpz, bits: int, precision: int) -> tuple[mpz, mpz]:
    """The whole parts of numbers on both sides of 2^bits e^-x, from steps that are rounded away from it."""
    down = gmpy2.context(precision=precision, round=gmpy2.RoundDown)
    up = gmpy2.context(precision=precision, round=gmpy2.RoundUp)
    low = down.exp(down.div(-numerator, denominator))
    high = up.exp(up.div(-numerator, denominator))
    # The contexts' own `floor`: another one would round to the 53 bits of the usual context first.
    return mpz(down.floor(down.mul_2exp(low, bits))), mpz(down.floor(up.mul_2exp(high, bits)))


def exp_minus(x: Floats) -> Floats:
    """Return e^-x for x >= 0, within 2^-48 of its value; for x above 63, e^-63.

    It takes sums, products and a table alone, which IEEE 754 rounds alike everywhere. With k the integer
    nearest to x, r = k - x is exact and |r| <= 1/2. Fifteen terms of e^r leave less than 2^-54 of it;
    Horner's scheme loses less than 12 units of 2^-53, the table and its product 2 more.
    """
    x = np.minimum(x, float(_TAIL))
    whole = np.rint(x)
    rest = whole - x
    value = np.full_like(rest, _INVERSE_FACTORIALS[-1])
    for coefficient in reversed(_INVERSE_FACTORIALS[:-1]):
        value *= rest
        value += coefficient
    value *= _powers()[whole.astype(np.intp)]
    return value


@cache
def _powers() -> Floats:
    """e^-k for k = 0 to 63, each rounded to the nearest float."""
    context = gmpy2.context(precision=200)
    return np.array([float(context.exp(mpfr(-k))) for k in range(_TAIL + 1)])


@cache
def _first_digits() -> Words:
    """The first digits of e^-k for k >= 1, ascending: down to the first that is 0."""
    digits = [exp_digits(k, 1, WORD_BITS) for k in range(1, _TAIL)]
    return np.array(digits[digits.index(0) :: -1], np.uint64)
