"""Products of powers of ciphertexts, all at once, on pairs: the arithmetic behind `affine`.

**Pairs.** A number modulo n^2 is kept as x = a + b n with a, b < n. A squaring is then one square and one
product modulo n, in place of a square of twice the width and a reduction by n^2.

**Halves.** Every unit modulo n^2 is c = h (1 + t n) with h = c mod n and t = (c div n) / h mod n. The second
parts multiply by adding their exponents t, which are plain integers:

    prod_k c_k^(e_k) = prod_k h_k^(e_k) * (1 + n sum_k e_k t_k)

so a factor is only the half h, two products modulo n instead of three, and its t is added to a sum. An
inverse needs to be known modulo n alone: if h g = 1 + q n, then 1 / c = g (1 - (t + q) n).

**Methods.** Straus: digits of a sliding window with signs (Moeller, Improved techniques for fast
exponentiation, 2002), tables of odd powers shared over all output ciphertexts, squarings over all bases.
Buckets: Pippenger's (as in Bernstein et al., Faster batch forgery identification, 2012, section 4), for bases
so many that their tables would not fit. `affine` counts what each takes.

Side channel: the time depends on the digits of the exponents. See `affine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import CiphertextError
from sonar.paillier.public import PublicKey

Ints = NDArray[np.int64]
Half = tuple[mpz, mpz]
"""(h, t) for h (1 + t n)."""
Pair = tuple[mpz, mpz]
"""(a, b) for a + b n; b may be as large as 2 n, since a carry is added after it was reduced."""
KEPT_NUMBERS = 4096


@dataclass(frozen=True)
class Method:
    """A way to compute the product, with digits of `window` bits: `straus` has tables of powers."""

    name: Literal["straus", "buckets"]
    window: int


class Bases:
    """Ciphertexts c_j, checked and halved, with one inversion for all; their tables are kept for more.

    A table takes 2^(window - 1) halves per base, 1 kB each at 2048 bits (`affine.table_bytes`).
    Raises CiphertextError for anything that is not a ciphertext of `key`.
    """

    def __init__(self, key: PublicKey, ciphertexts: Sequence[int]) -> None:
        self.key = key
        self._halves = _halved(key, ciphertexts)
        self._table: tuple[int, list[Half]] = (0, [])

    def __len__(self) -> int:
        return len(self._halves)

    def product(
        self, numbers: Ints, shifts: Sequence[int], firsts: Sequence[int], method: Method, constant: int = 0
    ) -> mpz:
        """(1 + constant n) prod_ij c_(firsts_i + j)^(numbers_ij 2^(shifts_i)) mod n^2, numbers int64[r, d].

        `shifts` ascend, by more than the numbers are long.
        """
        if method.name == "straus":
            pair, t = self._straus(numbers, shifts, firsts, method.window)
        else:
            pair, t = self._buckets(numbers, shifts, firsts, method.window)
        n, (a, b) = self.key.n, pair
        return a + (b + a * (t + constant)) % n * n

    def table(self, window: int) -> list[Half]:
        """For each base its powers to the odd digits of `window` bits, ascending from 1 - 2^(window - 1)."""
        if self._table[0] != window:
            n, most = self.key.n, 1 << (window - 1)
            self._table = window, [power for one in self._halves for power in _odd_powers(n, *one, most)]
        return self._table[1]

    def _straus(
        self, numbers: Ints, shifts: Sequence[int], firsts: Sequence[int], window: int
    ) -> tuple[Pair, mpz]:
        schedule = _schedule(numbers, tuple(shifts), tuple(firsts), window)
        n, table = self.key.n, self.table(window)
        halves = [h for h, _ in table]
        a, b = mpz(1), mpz(0)
        # `_squared` and `_times_half` written out: thousands of calls would be a fortieth of the time.
        for squarings, pairs, single in schedule.steps:
            for _ in squarings:
                b *= a + a
                carry, a = divmod(a * a, n)
                b = b % n + carry
            # Multiplying two halves by each other first saves one of four reductions.
            for one, other in pairs:
                high, low = divmod(halves[one] * halves[other], n)
                b = a * high + b * low
                carry, a = divmod(a * low, n)
                b = b % n + carry
            for alone in single:
                b *= halves[alone]
                carry, a = divmod(a * halves[alone], n)
                b = b % n + carry
        t = sum((table[entry][1] * times for entry, times in schedule.uses), mpz(0))
        return _squared(n, a, b, schedule.rest), t

    def _buckets(
        self, numbers: Ints, shifts: Sequence[int], firsts: Sequence[int], window: int
    ) -> tuple[Pair, mpz]:
        n, acc, t, last = self.key.n, (mpz(1), mpz(0)), mpz(0), 0
        digits = even_digits(numbers, window)
        table = self.table(2)  # inverse, itself
        for row in range(len(numbers) - 1, -1, -1):
            for chunk in range(digits.shape[1] - 1, -1, -1):
                column = np.flatnonzero(digits[row, chunk])
                if not len(column):
                    continue
                place = shifts[row] + chunk * window
                acc = _squared(n, *acc, max(last - place, 0))
                t <<= max(last - place, 0)
                last = place
                buckets: dict[int, Pair] = {}
                values = digits[row, chunk, column].tolist()
                for j, digit in zip((column + firsts[row]).tolist(), values, strict=True):
                    h, u = table[2 * j + (digit > 0)]
                    size = abs(digit)
                    t += size * u
                    held = buckets.get(size)
                    buckets[size] = _times_half(n, *held, h) if held else (h, mpz(0))
                acc = _times(n, acc, _weighed(n, buckets))
        return _squared(n, *acc, last), t << last


class Schedule(NamedTuple):
    """What Straus' method does, in order; it depends on the numbers alone.

    `steps`: squarings, then products with pairs of table entries and with the one that was left, if any.
    `rest`: the squarings after the last step. `uses`: what power of each entry is in the product, for its t.
    """

    steps: list[tuple[range, list[tuple[int, int]], list[int]]]
    rest: int
    uses: list[tuple[int, mpz]]


def _schedule(numbers: Ints, shifts: tuple[int, ...], firsts: tuple[int, ...], window: int) -> Schedule:
    """The schedule for these numbers; small ones are kept: a mine's A is the same in every round."""
    if numbers.size <= KEPT_NUMBERS:
        return _kept_schedule(numbers.tobytes(), numbers.shape, shifts, firsts, window)
    return _new_schedule(numbers, shifts, firsts, window)


@lru_cache(maxsize=16)
def _kept_schedule(
    numbers: bytes, shape: tuple[int, ...], shifts: tuple[int, ...], firsts: tuple[int, ...], window: int
) -> Schedule:
    values = np.frombuffer(numbers, dtype=np.int64).reshape(shape)
    return _new_schedule(values, shifts, firsts, window)


def _new_schedule(numbers: Ints, shifts: tuple[int, ...], firsts: tuple[int, ...], window: int) -> Schedule:
    number, position, digit = sliding_digits(numbers.ravel(), window)
    row, column = np.divmod(number, numbers.shape[1])
    most = 1 << (window - 1)
    places = np.take(shifts, row) + position
    entries = (np.take(firsts, row) + column) * most + ((digit + most - 1) >> 1)
    down = np.argsort(-places)
    groups: dict[int, list[int]] = {}
    uses: dict[int, mpz] = {}
    for place, entry in zip(places[down].tolist(), entries[down].tolist(), strict=True):
        groups.setdefault(place, []).append(entry)
        uses[entry] = uses.get(entry, mpz(0)).bit_set(place)  # an entry has a place once
    steps, last = [], max(groups, default=0)
    for place, group in groups.items():
        single = [group.pop()] if len(group) % 2 else []
        steps.append((range(last - place), list(zip(group[::2], group[1::2], strict=True)), single))
        last = place
    return Schedule(steps, last, list(uses.items()))


def sliding_digits(numbers: Ints, window: int) -> tuple[Ints, Ints, Ints]:
    """Signed digits of numbers int64[m]: for each, which number it is of, its position, and the digit.

    number = sum digit 2^position; digits are odd, |digit| < 2^(window - 1), and of any `window` successive
    positions of a number at most one holds a digit.
    """
    mask, digit_of = (1 << window) - 1, _signed(window)
    rest, number, position = numbers, np.arange(len(numbers)), np.zeros_like(numbers)
    found = [(number[:0], position[:0], position[:0])]
    while len(alive := np.flatnonzero(rest)):
        rest, number, position = rest[alive], number[alive], position[alive]
        zeros = np.frexp(rest & -rest)[1] - 1
        rest, position = rest >> zeros, position + zeros
        digit = digit_of[rest & mask]
        found.append((number, position, digit))
        # (rest - digit) / 2 without overflow: both are odd.
        rest, position = (rest >> 1) - (digit >> 1), position + 1
    number, position, digit = (np.concatenate(part) for part in zip(*found, strict=True))
    return number, position, digit


@cache
def _signed(window: int) -> Ints:
    """The residue in [-2^(window - 1), 2^(window - 1)) of each number of `window` bits."""
    half = 1 << (window - 1)
    return (np.arange(1 << window) + half) % (1 << window) - half


def even_digits(numbers: Ints, window: int) -> NDArray[np.int16]:
    """Signed digits int16[r, chunks, d] at every `window` positions, in [-2^(window - 1), 2^(window - 1))."""
    half, mask = 1 << (window - 1), (1 << window) - 1
    rest, chunks = numbers.copy(), -(-(_longest(numbers) + 2) // window)  # room for a carry
    digits = np.empty((numbers.shape[0], chunks, numbers.shape[1]), dtype=np.int16)
    for chunk in range(chunks):
        low = rest & mask
        digits[:, chunk] = low - ((low & half) << 1)
        rest >>= window
        rest += low >= half
    return digits


def _longest(numbers: Ints) -> int:
    return max(int(number).bit_length() for number in (numbers.max(initial=0), numbers.min(initial=0)))


def _squared(n: mpz, a: mpz, b: mpz, times: int) -> Pair:
    """(a + b n)^(2^times)."""
    for _ in range(times):
        b *= a + a
        carry, a = divmod(a * a, n)
        b = b % n + carry
    return a, b


def _times_half(n: mpz, a: mpz, b: mpz, h: mpz) -> Pair:
    """(a + b n) h."""
    b *= h
    carry, a = divmod(a * h, n)
    return a, b % n + carry


def _times(n: mpz, x: Pair, y: Pair) -> Pair:
    carry, a = divmod(x[0] * y[0], n)
    return a, (x[0] * y[1] + x[1] * y[0] + carry) % n


def _weighed(n: mpz, buckets: dict[int, Pair]) -> Pair:
    """The product of each bucket to the power of its size, by running products from the largest down."""
    running, total = (mpz(1), mpz(0)), (mpz(1), mpz(0))
    for size in range(max(buckets), 0, -1):
        if size in buckets:
            running = _times(n, running, buckets[size])
        total = _times(n, total, running)
    return total


def _odd_powers(n: mpz, half: Half, inverse: Half, most: int) -> Iterator[Half]:
    """The odd powers of c = half = 1 / inverse, from c^(1 - most) to c^(most - 1).

    A product h h' = low + high n has the half low, and high / low to be added to its t; 1 / low is known
    modulo n, because the powers of the inverse are computed beside it.
    """
    (h, t), (g, u) = half, inverse
    powers, inverses = [half], [inverse]
    if most > 2:
        (high, hh), (gigh, gg) = divmod(h * h, n), divmod(g * g, n)
        tt, uu = 2 * t + high * gg, 2 * u + gigh * hh
    for _ in range(3, most, 2):
        (high, h), (gigh, g) = divmod(h * hh, n), divmod(g * gg, n)
        t += tt + high * g
        u += uu + gigh * h
        powers.append((h, t))
        inverses.append((g, u))
    yield from reversed(inverses)
    yield from powers


def _halved(key: PublicKey, ciphertexts: Sequence[int]) -> list[tuple[Half, Half]]:
    """The halves of each ciphertext and of its inverse, by one inversion for all (Montgomery's trick).

    The inversion is also the check: it fails if any of them is not a unit.
    """
    n, pairs, prefixes = key.n, [], [mpz(1)]
    for i, c in enumerate(ciphertexts):
        if not 0 < c < key.n2:
            raise CiphertextError(f"ciphertext {i} is not between 0 and n^2")
        high, low = divmod(mpz(c), n)
        pairs.append((low, high))
        prefixes.append(prefixes[-1] * low % n)
    try:
        inverse = gmpy2.invert(prefixes[-1], n)
    except ZeroDivisionError:
        key.check_all(ciphertexts)  # names the bad one
        raise
    halves = []
    for (low, high), prefix in zip(reversed(pairs), reversed(prefixes[:-1]), strict=True):
        g = inverse * prefix % n
        t = high * g
        halves.append(((low, t), (g, -t - gmpy2.divexact(low * g - 1, n))))
        inverse = inverse * low % n
    return halves[::-1]
