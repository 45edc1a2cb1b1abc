"""From held-out data and wishes to a model: its feature map, the bounds that mines keep, the slot plan.

Bounds hold for whoever takes part, so they are derived from the holdout with a wide margin: sums `MARGIN`
times the holdout's still fit. Room costs bits in a slot, and so time at the mines; hence not more than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pysonar.bounty.featuremap import MapWish, stages_of
from pysonar.bounty.holdout import Array, Holdout
from sonar.data.table import Table
from sonar.errors import DataError, PlanError
from sonar.families.quadratic.answer import Loss
from sonar.families.quadratic.columns import to_q32
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.stages import least_rows
from sonar.manifests.model import PlanSpec
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.protocol.record import MAX_NAME

MARGIN = 8.0
"""How far beyond the holdout's own values the bounds reach."""
WEIGHT_BITS = 27
"""Bits of a weight from its bound to its last digit: losses then equal the clear run's to a few 1e-7."""
DATA_FRAC = 20
MAPPED_WEIGHT_BITS, MAPPED_DATA_FRAC = 34, 28
"""The same for polynomial and Fourier features, which are many and close to collinear: with 70 of them, the
losses of 7 rounds were off by up to 2e-7; with 27 and 20 bits by up to 1e-5, with 30 and 24 by 2e-6."""
MAPPED_MARGIN = 32.0
"""How far A's rows then reach beyond the holdout's: all of a mine's rows may lie where products are large."""
LEAST_SPREAD = 1e-6
"""A column that varies less on the holdout does not say how large a weight may get."""
MAX_FAR_BITS = 20


@dataclass(frozen=True)
class Wish(MapWish):
    """What the scientist may decide about the model; None lets the holdout decide."""

    loss: Loss
    local_steps: int
    local_rate: float | None
    cohort: int
    rows_min: int | None
    weight_rows: int | None
    key_bits: int
    weight_max: float | None
    a_row_l1_max: float | None
    b_max: float | None
    target_max: float | None
    weight_frac: int | None
    data_frac: int | None


@dataclass(frozen=True)
class Design:
    """The model, how its updates are packed, and the holdout that judges it."""

    spec: QuadraticSpec
    plan: SlotPlan
    holdout: Holdout

    @property
    def weight_max(self) -> float:
        """The largest weight, as a number."""
        return self.plan.bounds.weight_max / (1 << self.plan.weight_frac)

    @property
    def bias(self) -> int:
        """The bias's place among the weights: the last."""
        return self.plan.weights - 1

    @property
    def plan_spec(self) -> PlanSpec:
        """The slot plan as it stands in the model's manifest."""
        return PlanSpec.parse(self.plan.to_dict())


def design_of(wish: Wish, table: Table, features: tuple[str, ...], target: str) -> Design:
    """Return the design for held-out data. Raises DataError, BoundsError, PlanError, ManifestError."""
    x, y = table.matrix(features), table.column(target)
    if wish.loss == "logistic-taylor" and not np.isin(y, (-1.0, 1.0)).all():
        raise DataError(f"column {target}", "has a label other than -1 and 1", hint="recode the labels")
    for name in (*features, target):
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            hint = f"rename it: 1 to {MAX_NAME} printable characters"
            raise DataError(f"column {name[:MAX_NAME]!r}", "cannot be published", hint=hint)
    stages = stages_of(wish, features, x)
    rows_min = wish.rows_min or least_rows(stages, len(features))
    fields = {
        "features": features,
        "target": target,
        "stages": stages,
        "loss": wish.loss,
        "rows_min": rows_min,
        "target_max_q32": to_q32(wish.target_max or _target_max(y), f"column {target}"),
    }
    one_step = Holdout(QuadraticSpec.parse(fields), x, y)
    holdout = one_step
    if wish.local_steps > 1:
        rate = wish.local_rate or _local_rate(wish, one_step.curvature)
        fields |= {"local_steps": wish.local_steps, "local_rate_q32": to_q32(rate, "local_rate")}
        holdout = Holdout(QuadraticSpec.parse(fields), x, y)
    return Design(holdout.spec, _plan(wish, holdout, one_step.curvature), holdout)


def _local_rate(wish: Wish, curvature: Array) -> float:
    """Return a rate at which a mine's steps do not diverge, though its curvature is twice the holdout's; or
    eight times, with products, whose tails are heavy.
    """
    room = 1.0 if wish.feature_map == "standard" else MAPPED_MARGIN / MARGIN
    return 1.0 / (room * float(np.linalg.eigvalsh(curvature)[-1]))


def _target_max(y: Array) -> float:
    largest = float(np.max(np.abs(y)))
    return max(largest, min(_power_of_two(MARGIN * largest), float(2**31 - 1)))


def _plan(wish: Wish, holdout: Holdout, curvature: Array) -> SlotPlan:
    size = math.sqrt(float(np.mean(holdout.y**2))) or 1.0
    spread = np.sqrt(np.diag(curvature))
    least = float(np.min(spread[spread > LEAST_SPREAD]))
    weight_max = wish.weight_max or _power_of_two(MARGIN * size / least)
    mapped = wish.feature_map != "standard"
    margin = MAPPED_MARGIN if mapped else MARGIN
    a_row_l1_max = wish.a_row_l1_max or _power_of_two(margin * float(np.abs(curvature).sum(axis=1).max()))
    b_max = wish.b_max or _power_of_two(MARGIN * size * float(np.max(spread)))
    far = _far_bits(size, float(np.std(holdout.y)))
    bits, wanted = (MAPPED_WEIGHT_BITS, MAPPED_DATA_FRAC) if mapped else (WEIGHT_BITS, DATA_FRAC)
    weight_frac = wish.weight_frac
    if weight_frac is None:
        weight_frac = min(max(bits + far - math.ceil(math.log2(weight_max)), 0), 32)
    data_frac = wish.data_frac
    if data_frac is None:
        room = 62 - math.ceil(math.log2(max(b_max, a_row_l1_max)))
        data_frac = max(DATA_FRAC, weight_frac, min(wanted + far, room))
    return SlotPlan.make(
        key_bits=wish.key_bits,
        weights=len(curvature),
        bounds=Bounds(
            weight_max=_fixed("weight_max", weight_max, weight_frac),
            a_row_l1_max=_fixed("a_row_l1_max", a_row_l1_max, data_frac),
            b_max=_fixed("b_max", b_max, data_frac),
        ),
        mines_max=wish.cohort,
        weight_rows=wish.weight_rows or holdout.spec.rows_min,
        weight_frac=weight_frac,
        data_frac=data_frac,
    )


def _far_bits(size: float, spread: float) -> int:
    """Return how many more bits targets take that lie far from zero: one each time that their `size` over
    their `spread` doubles beyond 4. Else most digits would say where they lie, and few how they differ.
    """
    if not spread:
        return 0
    return min(max(math.ceil(math.log2(size / spread)) - 2, 0), MAX_FAR_BITS)


def _fixed(name: str, value: float, fraction_bits: int) -> int:
    number = math.ceil(math.ldexp(value, fraction_bits))
    if number >= 1 << 63:
        hint = f"rescale the columns, or give a smaller {name} or fewer fractional bits"
        raise PlanError(f"{name} = {value:g} with {fraction_bits} fractional bits exceeds 63 bits", hint=hint)
    return number


def _power_of_two(value: float) -> float:
    return 2.0 ** math.ceil(math.log2(value)) if value > 0 else 1.0
