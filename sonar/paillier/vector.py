"""Fixed-point vectors: one shared scale for a whole vector, never an exponent per number.

An exponent per number, as general encoders have it, tells the magnitude of every value to whoever sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.errors import PlanError
from sonar.paillier.slots import SlotPlan


def encode_weights(w: NDArray[np.float64], plan: SlotPlan) -> list[int]:
    """The weights float64[d] (several outputs: [d, k]) as integers at scale 2^weight_frac, output by output.

    Rounded half to even. Raises PlanError if the shape is another, a weight is not finite, or exceeds the
    plan's `weight_max`.
    """
    w = np.asarray(w, dtype=np.float64)
    if w.shape != _shape(plan):
        raise PlanError(f"the plan is for {plan.weights} weights of shape {_shape(plan)}, got {w.shape}")
    w = w.ravel(order="F")
    if not np.isfinite(w).all():
        raise PlanError(f"weight {int(np.argmin(np.isfinite(w)))} is not a finite number")
    scaled = np.rint(np.ldexp(w, plan.weight_frac))
    if np.abs(scaled).max() > plan.bounds.weight_max:
        worst = int(np.argmax(np.abs(scaled)))
        limit = plan.bounds.weight_max / 2**plan.weight_frac
        raise PlanError(
            f"weight {worst} is {w[worst]:.6g}; the plan allows {limit:.6g}",
            hint="declare a larger weight_max when posting the bounty, or rescale the features",
        )
    return [int(x) for x in scaled]


def decode_weights(values: Sequence[int], plan: SlotPlan) -> NDArray[np.float64]:
    """The weights float64[d] (several outputs: [d, k]) of integers at scale 2^weight_frac."""
    scale = 1 << plan.weight_frac
    return np.array([value / scale for value in values], dtype=np.float64).reshape(_shape(plan), order="F")


def decode_update(values: Sequence[int], plan: SlotPlan, *, weight: int = 1) -> NDArray[np.float64]:
    """Unpacked updates as float64[d] (or [d, k]), divided by `weight`: the total of rows makes sums means."""
    scale = weight << plan.scale_bits
    return np.array([value / scale for value in values], dtype=np.float64).reshape(_shape(plan), order="F")


def _shape(plan: SlotPlan) -> tuple[int, ...]:
    return (plan.weights,) if plan.outputs == 1 else (plan.features, plan.outputs)
