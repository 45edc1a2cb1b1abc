"""The curvature that a mine's change shows, D A D for the weights' step D, from one functional of two rounds.

Each mine's is taken in parts of what the holdout's curvature would give for the same step, so that mines that
came in different rounds can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from sonar.families.quadratic.comparison import CURVED, Reference
from sonar.families.quadratic.veiled.base import minus
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured, spread

CURVATURE_BITS = 12
ROOM = 64
"""All 2^slot_bits stand for so many times the holdout's curvature, an eighth of them for negative ones."""
FINE = 20
"""Bits to which numbers that come from the holdout's floats are rounded, before anything depends on them."""


@dataclass(frozen=True)
class Curved:
    """One mine's curvature: `asked`, and in the same unit what the holdout's would be (`one`).

    `positive`: no honest value is so large that it would look negative. `slack`: how negative rounding the
    step to the functional's coefficients can make one.
    """

    asked: Asked
    slot_bits: int
    one: int
    positive: bool
    slack: int

    def value(self, heard: Measured) -> int:
        """Return the curvature that was heard, in the functional's unit."""
        size = 1 << self.slot_bits
        low = -(size >> 3)
        return (heard.value - low) % size + low

    def negative(self, heard: Measured) -> bool:
        """Tell whether no data can have this curvature."""
        return self.positive and self.value(heard) < -(heard.error + self.slack)


def curved(plan: SlotPlan, reference: Reference | None, then: Sent, now: Sent) -> Curved | None:
    """Return what to ask of a mine that answered in both rounds; None if the weights have not moved."""
    step = minus(now.weights, then.weights)
    squared = sum(x * x for x in step)
    if not squared:
        return None
    most = plan.bounds.a_row_l1_max * squared  # no eigenvalue exceeds a row's L1 norm
    held = held_curvature(plan, reference, step) if reference is not None else 0.0
    held = held or most / ROOM
    shift = plan.slot_bits - math.frexp(ROOM * held)[1]  # values are multiplied by 2^shift
    vector = [_shifted(x, shift) for x in step]
    signed = {then.round: vector, now.round: [-x for x in vector]}
    asked = Asked(tuple((n, tuple(spread(plan, v))) for n, v in signed.items()), CURVATURE_BITS)
    one = round(math.ldexp(held, shift - plan.slot_bits + FINE)) << (plan.slot_bits - FINE)
    lost = len(step) * plan.bounds.a_row_l1_max // 16 + 1
    slack = _shifted(lost, -shift) + 1
    return Curved(asked, plan.slot_bits, one, most < math.ldexp(0.75, plan.slot_bits - shift), slack)


def held_curvature(plan: SlotPlan, reference: Reference, step: Sequence[int]) -> float:
    """Return the holdout's D A D for a step D int[d k], in the integers' unit."""
    moved = np.array(step, dtype=np.float64).reshape(plan.outputs, -1)
    w = reference.whiten  # its columns are at right angles, and W W^T is the curvature's inverse
    return float(np.sum((moved @ w / np.sum(w * w, axis=0)) ** 2)) * 2.0**plan.data_frac


def _shifted(value: int, shift: int) -> int:
    """value 2^shift, to the nearest."""
    return value << shift if shift >= 0 else (value + (1 << (-shift - 1))) >> -shift


def odd_ones(asked: Mapping[str, Curved], heard: Mapping[str, Measured]) -> dict[str, str]:
    """Return who is not within [1/10, 10] of the median, by `curvature`, or `stale` if nothing has changed.

    None if fewer than three are compared, or if they were no minority. Whoever has so little that the error
    hides it is not one of them.
    """
    if len(asked) < 3:
        return {}
    parts = {m: (one.value(heard[m]), heard[m].error + one.slack, one.one) for m, one in asked.items()}
    ratios = {m: ((v << FINE) // one, (e << FINE) // one + 1) for m, (v, e, one) in parts.items()}
    middle = int(median(v for v, _ in ratios.values()))
    far = {
        m: "stale" if abs(v) <= e else "curvature"
        for m, (v, e) in ratios.items()
        if CURVED * (v + e) < middle - e or v > CURVED * middle
    }
    return far if 2 * len(far) < len(ratios) else {}
