"""The definition of the sampler, with nothing of ours: Python's integers, fractions and decimals."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from random import Random

Source = Callable[[int], bytes]


class Recorded:
    """A seeded source, or given bytes and seeded ones after them, that counts what was drawn."""

    def __init__(self, seed: int, first: bytes = b"") -> None:
        self._random, self._first, self.drawn = Random(seed), first, 0

    def __call__(self, count: int) -> bytes:
        given, self._first = self._first[:count], self._first[count:]
        self.drawn += count
        return given + self._random.randbytes(count - len(given))


def digits(x: Fraction, bits: int) -> int:
    """floor(2^bits e^-x): with 60 decimal digits more than there are, which is enough for these tests."""
    context = Context(prec=bits + 60)
    power = context.exp(context.divide(Decimal(-x.numerator), Decimal(x.denominator)))
    return int(context.multiply(power, Decimal(1 << bits)))


class Number:
    """A uniform number, whose further digits are drawn when they are needed."""

    def __init__(self, first: int, source: Source) -> None:
        self.value, self.bits, self.source = first, 64, source

    def below(self, x: Fraction) -> bool:
        while (other := digits(x, self.bits)) == self.value:
            self.value = self.value << 64 | int.from_bytes(self.source(8), "little")
            self.bits += 64
        return self.value < other


def draws_by_definition(variance: Fraction, count: int, source: Source) -> list[int]:
    """What privacy.md says, word for word."""
    shift = math.floor(variance).bit_length() // 2
    width = shift // 64 + 1
    t, result = 1 << shift, list[int]()
    while len(result) < count:
        candidates = min(3 * (count - len(result)) + 16, 1 << 15)
        data = source(8 * (width + 3) * candidates)
        numbers = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
        rows = [numbers[i : i + width + 3] for i in range(0, len(numbers), width + 3)]
        first = [sum(word << 64 * i for i, word in enumerate(row[:width])) for row in rows]
        left = [(one % t, one // t % 2, *row[width:]) for one, row in zip(first, rows, strict=True)]
        left = [each for each in left if Number(each[2], source).below(Fraction(each[0], t))]
        sizes = [each[0] + t * whole_part(Number(each[3], source)) for each in left]
        pairs = [
            (size, each[1], each[4]) for size, each in zip(sizes, left, strict=True) if size or not each[1]
        ]
        for size, negative, word in pairs:
            if Number(word, source).below((size - variance / t) ** 2 / (2 * variance)):
                result.append(-size if negative else size)
    return result[:count]


def whole_part(number: Number) -> int:
    """The largest k with the number below e^-k."""
    k = 0
    while number.below(Fraction(k + 1)):
        k += 1
    return k
