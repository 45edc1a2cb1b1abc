"""Where answers lie beside the cohort's and the holdout's (`comparison`), from projections of each.

Space is made comparable by the holdout's curvature (a Cholesky factor of its inverse, which is unique, in
place of eigenvectors, which are not). In it directions are drawn, at right angles to each other. Lengths in
them are about in the same proportions as whole lengths (Johnson and Lindenstrauss), and of so few weights as
there are directions they are exact.

A functional's value is taken relative to the holdout's, modulo its range. An answer that lies beyond the
range lands anywhere in it: in several directions together hardly ever where honest ones do.

What follows from the holdout is computed in floats and rounded to integers before anything depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.comparison import (
    AGAINST,
    CALM,
    CALM_ALONG,
    MODEL,
    SIZE,
    TWIN_CHANCE,
    UNLIKE,
    Reference,
    far_of,
    noise_length,
    spread_of,
)
from sonar.families.quadratic.veiled.base import balanced
from sonar.families.veiled import Asked
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured, spread

Matrix = NDArray[np.float64]

FEW, FEW_BITS = 3, 8
"""Directions of each round, and the bits of each."""
MANY, MANY_BITS = 8, 14
"""The same in rounds in which a mine may enter its first sum: these tell twins as well."""
ALONG_BITS = 12
RANGE, RANGE_ALONG = 64, 256
"""All 2^slot_bits stand for at least so many yardsticks."""
FRACTION = 4
"""Bits of a level, the last bit that is told, in which distances are counted."""
COARSE = 20
"""Bits of a direction's coefficients."""
SLACK = 1.25
"""By how much projections widen `UNLIKE`: an honest answer may lie further off in few directions."""


@dataclass(frozen=True)
class Yardsticks:
    """What distances are held against, in real units: see `Block`."""

    tails: float
    rows: float
    size: float
    least: float
    factor: float


@dataclass(frozen=True)
class Scale:
    """All 2^slot_bits stand for 2^`exponent`, in real units; `middle`: the holdout's values in them."""

    bits: int
    exponent: int
    yardsticks: Yardsticks
    middle: Sequence[float]

    @classmethod
    def of(cls, bits: int, most: int, yardsticks: Yardsticks, middle: Sequence[float]) -> Scale:
        """Return the scale on which there is room for `most` times the largest yardstick."""
        length = math.sqrt(math.fsum(m * m for m in middle))
        largest = max(yardsticks.rows, yardsticks.size * length, yardsticks.least)
        return cls(bits, exponent_of(most * largest), yardsticks, middle)

    @property
    def level(self) -> int:
        """A real number times 2^level is in distances."""
        return self.bits + FRACTION - self.exponent


@dataclass(frozen=True)
class Block:
    """Some directions, asked about with one scale. Distances are in parts of 2^-FRACTION of a level.

    `asked`: one for each direction. `held`: the holdout's values, modulo 2^slot_bits. `middle`: the same in
    distances, not wrapped. `rows`: how far a mean of rows lies off; `tails`: how much heavy tails widen it,
    in 1/256. `size`: how much of the middle's own length counts, or `least`, which stands for it.
    """

    asked: tuple[Asked, ...]
    slot_bits: int
    held: tuple[int, ...]
    middle: tuple[int, ...]
    rows: int
    tails: int
    size: float
    least: int
    factor: float

    def points(self, heard: Mapping[str, Sequence[Measured]]) -> dict[str, tuple[int, ...]]:
        """Return where the mines' answers lie relative to the holdout's."""
        shift = self.slot_bits - self.asked[0].bits - FRACTION
        return {
            mine: tuple(
                balanced(one.value - held, self.slot_bits) >> shift
                for one, held in zip(each, self.held, strict=True)
            )
            for mine, each in heard.items()
        }

    def far(self, heard: Mapping[str, Sequence[Measured]]) -> set[str]:
        """Return the mines whose answers lie far from the middle of all, the holdout's among them.

        None of fewer than two.
        """
        if len(heard) < 2:
            return set()
        points = self.points(heard)
        middle = [median(column) for column in zip((0,) * len(self.held), *points.values(), strict=True)]
        off = {
            mine: _length(x - m for x, m in zip(point, middle, strict=True)) for mine, point in points.items()
        }
        size = self.size * _length(m + own for m, own in zip(middle, self.middle, strict=True))
        return far_of(off, [self.tails / 256, float(self.rows), max(size, float(self.least))], self.factor)


@dataclass(frozen=True)
class Twinned:
    """Who is of the same data: two of n rows each, if n times their squared distance is below `least`."""

    block: Block
    least: int

    def pairs(
        self, heard: Mapping[str, Sequence[Measured]], rows: Mapping[str, int]
    ) -> list[tuple[str, str]]:
        """Return the pairs that differ by less than different rows let them; of two counts the larger is
        taken for n.
        """
        points, size = self.block.points(heard), self.block.asked[0].bits + FRACTION
        found = []
        for (a, one), (b, other) in combinations(points.items(), 2):
            squares = sum(balanced(x - y, size) ** 2 for x, y in zip(one, other, strict=True))
            if squares * max(rows[a], rows[b]) < self.least:
                found.append((a, b))
        return found


def against_block(plan: SlotPlan, round: int, reference: Reference) -> Block:
    """Return the direction of the model."""
    direction = reference.along.ravel()
    rows = reference.answers.reshape(len(reference.answers), -1) @ direction
    squares = (rows - rows.mean()) ** 2
    noise = noise_length(reference.noise.along(direction), 1.0, AGAINST) if reference.noise else 0.0
    tails, off = spread_of(squares, reference.rows, CALM_ALONG, noise)
    yardsticks = Yardsticks(tails, off, 0.0, MODEL * reference.curvature, AGAINST)
    return _block(
        plan, round, [direction], Scale.of(ALONG_BITS, RANGE_ALONG, yardsticks, [float(rows.mean())])
    )


def unlike_block(
    plan: SlotPlan, round: int, reference: Reference, draw: Callable[[int], int], twins: bool
) -> tuple[Block, Twinned | None]:
    """Return drawn directions, and with `twins` what tells twins by them."""
    count, bits = (MANY, MANY_BITS) if twins else (FEW, FEW_BITS)
    directions = directions_of(plan, reference, count, draw)
    flat = reference.answers.reshape(len(reference.answers), -1)
    rows = np.array([flat @ direction for direction in directions]).T
    own = rows - rows.mean(axis=0)
    tails, _ = spread_of(_whole_squares(reference), reference.rows, CALM)
    off = tails * math.sqrt(float(np.sum(own**2)) / len(own) / reference.rows)
    factor = UNLIKE * (SLACK if len(directions) < plan.weights else 1.0)
    if reference.noise is not None:
        each = [reference.noise.along(one) for one in directions]
        freedom = math.fsum(each) ** 2 / math.fsum(x * x for x in each)
        off = math.hypot(off, noise_length(math.fsum(each), freedom, factor))
    scale = Scale.of(bits, RANGE, Yardsticks(tails, off, SIZE, 0.0, factor), rows.mean(axis=0).tolist())
    block = _block(plan, round, directions, scale)
    if not twins:
        return block, None
    return block, Twinned(block, _least(np.ldexp(own, scale.level), reference.rows, bits))


def _whole_squares(reference: Reference) -> NDArray[np.float64]:
    rows = (reference.answers @ reference.whiten).reshape(len(reference.answers), -1)
    return np.asarray(np.sum((rows - rows.mean(axis=0)) ** 2, axis=1))


def directions_of(
    plan: SlotPlan, reference: Reference, count: int, draw: Callable[[int], int]
) -> list[NDArray[np.float64]]:
    """Directions at right angles in comparable space, as float64[d k] to multiply answers with."""
    factor = np.linalg.cholesky(reference.whiten @ reference.whiten.T)
    shape = plan.outputs, plan.features
    if plan.weights <= count:
        drawn = np.eye(plan.weights)
    else:
        numbers = np.array([[draw(16) for _ in range(plan.weights)] for _ in range(count)], dtype=np.float64)
        q, r = np.linalg.qr((numbers - 32767.5).T)
        drawn = (q * np.sign(np.diag(r))).T
    return [(one.reshape(shape) @ factor.T).ravel() for one in drawn]


def exponent_of(value: float) -> int:
    """Return the exponent of the least power of two above a number; of zero, 1."""
    return math.frexp(value or 1.0)[1]


def _block(plan: SlotPlan, round: int, directions: Sequence[NDArray[np.float64]], scale: Scale) -> Block:
    shift, bits, of = plan.slot_bits - plan.scale_bits - scale.exponent, scale.bits, scale.yardsticks
    own = tuple(math.floor(math.ldexp(m, scale.level) + 0.5) for m in scale.middle)
    vectors = [tuple(spread(plan, coarse(one, shift))) for one in directions]
    return Block(
        asked=tuple(Asked(((round, vector),), bits) for vector in vectors),
        slot_bits=plan.slot_bits,
        held=tuple(m << (plan.slot_bits - bits - FRACTION) for m in own),
        middle=own,
        rows=math.ceil(math.ldexp(of.rows, scale.level)),
        tails=math.ceil(256 * of.tails),
        size=of.size,
        least=math.ceil(math.ldexp(of.least, scale.level)),
        factor=of.factor,
    )


def coarse(vector: NDArray[np.float64], scale: int) -> list[int]:
    """Return a vector times 2^scale in integers, of which the last bits of a machine's floats show once in
    2^30: what is beyond the first `COARSE` bits of the largest is zeros.
    """
    first = COARSE - math.frexp(float(np.max(np.abs(vector))))[1]
    near = np.rint(np.ldexp(vector, min(first, scale))).tolist()
    return [int(x) << max(scale - first, 0) for x in near]


def _least(own: Matrix, rows: int, bits: int) -> int:
    """Return n times the squared distance below which two answers of n rows each come once in 1 /
    `TWIN_CHANCE` pairs; 0 if the held-out rows do not say.

    `own` float64[rows, p]: each held-out row's answer from their mean. Where the density of the difference is
    largest it is 1 / sqrt(det(4 pi / n covariance)); what wraps around adds to it.
    """
    count = own.shape[1]
    covariance = own.T @ own / len(own)
    sign, log_det = np.linalg.slogdet(covariance)
    if sign <= 0 or len(own) <= count:
        return 0
    deviations = np.sqrt(np.diag(covariance) * 4.0 * math.pi / rows)
    wraps = float(np.sum(np.log1p(deviations / 2.0 ** (bits + FRACTION))))
    log_ball = count / 2 * math.log(math.pi) - math.lgamma(count / 2 + 1)
    log_radius = (math.log(TWIN_CHANCE) - log_ball - wraps + log_det / 2) / count
    return int(4.0 * math.pi * math.exp(2.0 * log_radius))


def _length(values: Iterable[float]) -> float:
    """The root of the sum of squares, in operations that every platform rounds alike."""
    return math.sqrt(sum(float(value) ** 2 for value in values))
