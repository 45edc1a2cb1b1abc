"""Sums with more digits than a word has: two or more words for each, of 20 bits and a remainder.

A column may lie far from the middle of its bounds and vary little: within 0 and 1,000,000, by 1 around
900,000, say. The sum of its squares over n rows is then n up to the twelfth digit, and the variance is what
stands below. So a mine adds up deviations from a mean of its own, in which nothing cancels, and puts the
mean's share back in exact arithmetic. A sum is the sum of its words: word j is a whole number of
2^-20(j + 1), below 2^-20j from the second word on, and the last word is all that remains.

Source of the splitting: T. J. Dekker, "A floating-point technique for extending the available precision",
Numerische Mathematik 18 (1971).
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
WORD_BITS = 20
"""No more than the least `data_frac` of a plan, 22: first words come through a sum unrounded."""
_CHUNK = 1 << 18
_MASK = (1 << WORD_BITS) - 1
_ONE = 1 << WORD_BITS


def word_bounds(words: int) -> Vector:
    """Return the most that a row within ±1 adds to each word of a sum, float64[words]."""
    return np.ldexp(1.0, -WORD_BITS * np.arange(words))


def split(value: Fraction, words: int) -> list[float]:
    """Return a sum's words."""
    found = []
    for place in range(1, words):
        unit = 1 << (WORD_BITS * place)
        word = Fraction(floor(value * unit), unit)
        found.append(float(word))
        value -= word
    return [*found, float(value)]


def joined(words: Vector) -> Fraction:
    """Return the sum that words, float64[words], make."""
    return sum((Fraction(float(word)) for word in words), Fraction(0))


def product_sums(v: Matrix, weight: Vector | None = None, words: Literal[2, 3] = 2) -> Matrix:
    """Return the words of sum w v v^T, float64[words, d (d + 1) / 2]: the upper triangle row by row.

    v float64[n, d] within ±1; `weight` float64[n] within 0 and 1, or all 1.
    """
    found = np.zeros((2, v.shape[1] * (v.shape[1] + 1) // 2))
    for start in range(0, len(v), _CHUNK):
        part = slice(start, start + _CHUNK)
        found += _products(v[part], None if weight is None else weight[part])
    if words == 2:
        return found
    middle = np.ldexp(np.floor(np.ldexp(found[1], 2 * WORD_BITS)), -2 * WORD_BITS)
    return np.stack([found[0], middle, found[1] - middle])


def _products(v: Matrix, weight: Vector | None) -> Matrix:
    """Return the words of one chunk: of sum w (v - m)(v - m)^T, m a rounded mean, and of what m adds."""
    upper = np.triu_indices(v.shape[1])
    total = float(len(v)) if weight is None else float(weight.sum())
    if total == 0:
        return np.zeros((2, len(upper[0])))
    mean = (v.sum(axis=0) if weight is None else weight @ v) / total
    steps = np.rint(np.ldexp(mean, WORD_BITS)).astype(np.int64)
    m = np.ldexp(steps.astype(np.float64), -WORD_BITS)
    c = v - m
    weighted = c if weight is None else c * weight[:, None]
    left = weighted.sum(axis=0)
    small = (weighted.T @ c)[upper] + m[upper[0]] * left[upper[1]] + left[upper[0]] * m[upper[1]]
    return _added(total, steps[upper[0]] * steps[upper[1]], small)


def _added(total: float, pairs: NDArray[np.int64], small: Vector) -> Matrix:
    """Return the words of total * pairs / 2^40 + small: whole numbers below 2^63 where digits matter."""
    whole = np.int64(floor(total * _ONE))
    high, low = whole * (pairs >> WORD_BITS), whole * (pairs & _MASK)
    rest = (total - float(whole) / _ONE) * np.ldexp(pairs.astype(np.float64), -2 * WORD_BITS)
    fine = np.ldexp((high & _MASK).astype(np.float64), -2 * WORD_BITS)
    fine = fine + np.ldexp(low.astype(np.float64), -3 * WORD_BITS) + rest + small
    carry = np.floor(np.ldexp(fine, WORD_BITS))
    coarse = np.ldexp((high >> WORD_BITS).astype(np.float64) + carry, -WORD_BITS)
    return np.stack([coarse, fine - np.ldexp(carry, -WORD_BITS)])


def power_sums(v: Vector, order: int) -> list[float]:
    """Return `order` words of sum v^k for each k = 1 to `order`. v float64[n] within ±1.

    The last moment is below the mean by its power of the deviation, and every sum has a part in it.
    """
    if not len(v):
        return [0.0] * order**2
    step = round(float(v.mean()) * _ONE)
    m, c = Fraction(step, _ONE), v - step / _ONE
    central = [Fraction(float(np.sum(c**j))) for j in range(order + 1)]
    found = []
    for k in range(1, order + 1):
        value = sum((comb(k, j) * m ** (k - j) * central[j] for j in range(k + 1)), Fraction(0))
        found += split(value, order)
    return found
