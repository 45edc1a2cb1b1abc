"""From held-out rows and a price to the numbers of a bounty's noise, and the room that it takes.

Everything follows from the width of the noise beside the rows' own sums. A shorter `row_max` makes the noise
smaller and bends more rows; a larger `target_unit` or `constant` makes the noise of the targets' or the
bias's sums smaller, and that of all wider. The ridge keeps the pooled curvature positive: a symmetric matrix
of width d whose entries have variance s^2 / 2 (s^2 on the diagonal) has eigenvalues up to about s sqrt(2 d)
(Wigner). How much of each is best was measured: `benchmarks/privacy.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import Q32_ONE
from sonar.errors import ConfigError
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.noise import LONGEST, QuadraticNoise
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.slots import SlotPlan

Matrix = NDArray[np.float64]

QUANTILE = 0.3
CONSTANT = 1.0
TARGET_UNIT = 1.375
"""Eleven eighths: few odd factors, so that rounding repeats itself often (`fine_enough`)."""
RIDGE = 0.8
FRAC = 14
ROUNDED = 1.0 + 1e-5
"""Bounds are powers of two, which floats may miss by their last digits."""
FAR = 7.5
"""How many deviations a mine's noise may lie off: 1,000 numbers do so less than once in 10^10 mines."""


@dataclass(frozen=True)
class NoiseWish:
    """What a release may cost, in zCDP, and how many mines' noise makes one."""

    rho: Fraction
    parts: int = 1


@dataclass(frozen=True)
class Width:
    """The deviations of a mine's own noise, in the units of phi and z, on the scale of sums.

    `plain`: of a column's product with itself; with another column it is sqrt(1/2) of that, as all others
    are: `bias`: with the bias, `target`: with a target, `both`: of the bias with a target. `ridge`: what is
    added to a column's product with itself.
    """

    plain: float
    bias: float
    target: float
    both: float
    ridge: float

    @classmethod
    def of(cls, noise: QuadraticNoise) -> Width:
        """Return the widths of a mine's part of declared noise, of a mine with the fewest rows."""
        unit, half = 2.0**noise.frac, math.sqrt(0.5)
        own = noise.deviation / math.sqrt(noise.parts)
        return cls(
            own / unit**2,
            half * own / unit / noise.constant,
            half * own / unit / noise.target_unit,
            half * own / noise.constant / noise.target_unit,
            noise.ridge_q32 / Q32_ONE,
        )


def noise_of(wish: NoiseWish, phi: Matrix, z: Matrix, cohort: int) -> QuadraticNoise:
    """Return the noise for held-out rows phi float64[n, d], the bias last, and z float64[n, k].

    Raises ConfigError for a price that is too small or too large for any noise.
    """
    rows = np.column_stack([phi[:, :-1], TARGET_UNIT * z])
    length = max(float(np.quantile(np.linalg.norm(rows, axis=1), QUANTILE)), 1.0)
    frac = min(FRAC, int(math.log2(LONGEST)) - math.ceil(math.log2(max(length, CONSTANT, TARGET_UNIT))))
    row_max, constant, unit = (round(one * 2**frac) for one in (length, CONSTANT, TARGET_UNIT))
    deviation = _deviation(row_max**2 + constant**2, wish.rho)
    pooled = deviation / 4.0**frac * math.sqrt(cohort / wish.parts)
    ridge = RIDGE * pooled * math.sqrt(2.0 * phi.shape[1]) / cohort
    if not (deviation < 1 << 63 and ridge * Q32_ONE < 1 << 63 and frac >= 8):
        problem = "is so small that no noise would be enough"
        raise ConfigError("privacy.epsilon", problem, hint="give a larger epsilon, or fewer columns")
    return QuadraticNoise(
        frac=frac,
        row_max=row_max,
        constant=constant,
        target_unit=unit,
        deviation=deviation,
        parts=wish.parts,
        ridge_q32=round(ridge * Q32_ONE),
    )


def _deviation(squares: int, rho: Fraction) -> int:
    """Return the least deviation with (squares / deviation)^2 <= rho."""
    least = Fraction(squares**2) / rho
    return math.isqrt(-(-least.numerator // least.denominator) - 1) + 1


def room(noise: QuadraticNoise, width: int) -> tuple[float, float]:
    """Return how much noise and ridge add to the L1 norm of a row of A, and to an entry of b, times the rows.

    A norm of d Gaussians exceeds sqrt(d) + t deviations with a chance of less than exp(-t^2 / 2).
    """
    of = Width.of(noise)
    entry = max(of.plain, of.bias)
    return (
        entry * math.sqrt(width) * (math.sqrt(width) + FAR) + of.ridge,
        FAR * max(of.target, of.both),
    )


def has_room(spec: QuadraticSpec, plan: SlotPlan) -> bool:
    """Tell whether the plan's bounds leave room for what is declared to be added to (A, b), of few rows.

    Else a mine would pay for a release that it cannot answer by.
    """
    if spec.noise is None:
        return True
    loss, (a, b) = LOSSES[spec.loss], room(spec.noise, spec.width)
    unit = spec.rows_min * ROUNDED / (1 << plan.data_frac)
    enough = plan.bounds.a_row_l1_max * unit >= loss.a_factor * a
    return enough and plan.bounds.b_max * unit >= loss.b_factor * b


def counted_rows(spec: QuadraticSpec, weight_rows: int) -> int:
    """Return of how many rows an answer's noise and ridge are taken to be a mean: of those that count.

    Shared noise is that of the fewest rows, whoever adds it.
    """
    return spec.rows_min if spec.noise is not None and spec.noise.parts > 1 else weight_rows


def ridge_of(spec: QuadraticSpec, weight_rows: int) -> Matrix:
    """Return what the ridge adds to the diagonal of a mine's A, float64[d], in the mean."""
    added = np.zeros(spec.width)
    if spec.noise is not None:
        rows = counted_rows(spec, weight_rows)
        added[:-1] = LOSSES[spec.loss].a_factor * spec.noise.ridge_q32 / Q32_ONE / rows
    return added


def ridge_answer(spec: QuadraticSpec, w: Matrix, weight_rows: int) -> Matrix:
    """Return what the ridge takes from an answer to weights float64[k d], as float64[k, d]."""
    return w.reshape(spec.outputs, -1) * ridge_of(spec, weight_rows)
