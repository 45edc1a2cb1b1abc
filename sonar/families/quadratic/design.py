"""From held-out data and settings to a model: its feature map, the bounds for mines, the slot plan.

Bounds hold for whoever takes part, so they are derived from the holdout with a wide margin: sums `MARGIN`
times the holdout's still fit. More room would cost bits in a slot, and so time at the mines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn
from sonar.errors import ConfigError, DataError, PlanError
from sonar.families.quadratic.answer import bias_unit
from sonar.families.quadratic.holdout import LOSS_MAX, Holdout
from sonar.families.quadratic.losses.classes import codes_of, targets_of
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.base import BaseWish, Seeded
from sonar.families.quadratic.maps.standard import StandardWish
from sonar.families.quadratic.noisy.choosing import NoiseWish, has_room, noise_of, ridge_of, room
from sonar.families.quadratic.noisy.releasing import fine_enough
from sonar.families.quadratic.optimisers.base import Ground
from sonar.families.quadratic.spec import QuadraticSpec, by_output, least_rows, widths
from sonar.families.quadratic.target import Target
from sonar.paillier.slots import Bounds, SlotPlan, decode_weights, encode_weights
from sonar.protocol.record import MAX_NAME, MAX_WEIGHTS

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MARGIN = 8.0
"""How far beyond the holdout's own values the bounds reach."""
STRIDE = 127
"""All weights but the biases are multiples of this, in fixed point. So the bias's part of an answer is known
modulo it, whatever a mine's data are, which is a test (`bias-unit` in `inspection`)."""
MARK = 8
"""The null model's biases are not quite zero, but so small that A[bias, bias] times one is this part of b's
last digit: no loss shows it. So the bias's part of a first answer is known modulo that digit. Of the
multiples of an honest answer, nine times and minus seven times are the smallest that pass."""
WEIGHT_BITS = 27 + STRIDE.bit_length()
"""Bits of a weight from its bound to its last digit: losses then equal the clear run's to a few 1e-7."""
DATA_FRAC = 24
MAPPED_WEIGHT_BITS, MAPPED_DATA_FRAC = 34 + STRIDE.bit_length(), 28
"""The same for maps that make many columns, close to collinear: with 70 products, the losses of 7 rounds were
off by up to 2e-7; with 7 or 8 bits less by up to 1e-5, with 4 less by 2e-6."""
MAX_WEIGHT_FRAC = 40
MAPPED_MARGIN = 32.0
"""How far A's rows then reach beyond the holdout's: all of a mine's rows may lie where products are large."""
DEFAULT_TARGET_CLIP = 8.0
"""A target is learned up to this many deviations from the mean, or further if the holdout has one further
off.
"""
LEAST_SPREAD = 1e-6
"""A column that varies less on the holdout does not say how large a weight may get."""


@dataclass(frozen=True)
class Wish:
    """The scientist's settings for the model; None lets the holdout decide.

    `free_bits` stay free at the top of a plaintext (`SlotPlan`). `metric` is what the loss is measured by:
    see `Holdout.metrics`. `noise`: None for sums without. `labels`: the vocabulary of a column of classes,
    None for targets that are columns of their own.
    """

    feature_map: BaseWish = field(default_factory=StandardWish)
    loss: str = "squared"
    local_steps: int = 1
    local_rate: float | None = None
    cohort: int = 10
    rows_min: int | None = None
    weight_rows: int | None = None
    key_bits: int = 3072
    weight_max: float | None = None
    a_row_l1_max: float | None = None
    b_max: float | None = None
    target_clip: float | None = None
    weight_frac: int | None = None
    data_frac: int | None = None
    free_bits: int = 0
    metric: str | None = None
    noise: NoiseWish | None = None
    labels: CategoryColumn | None = None


@dataclass(frozen=True)
class Design:
    """The model, how its updates are packed, and the holdout that judges it.

    `start` int[d k]: the weights of the first round; zeros are the null model.
    """

    spec: QuadraticSpec
    plan: SlotPlan
    holdout: Holdout
    metric: str
    start: tuple[int, ...]

    @cached_property
    def null(self) -> tuple[int, ...]:
        """The null model's weights: zeros, but for the mark in each output's bias."""
        unit = bias_unit(self.spec, self.plan.data_frac)
        mark = max((1 << self.plan.weight_frac) // (MARK * unit), 1) if unit else 0
        return ((0,) * (self.plan.features - 1) + (mark,)) * self.plan.outputs

    @property
    def weight_max(self) -> float:
        """The largest weight, as a number."""
        return self.plan.bounds.weight_max / (1 << self.plan.weight_frac)

    @property
    def zero_start(self) -> bool:
        """Whether the first round's weights are those of the null model."""
        return self.start == self.null

    @cached_property
    def initial_loss(self) -> int:
        """The start's loss, in millionths: a million for the null model."""
        return self.holdout.loss(self.start_weights, self.metric)

    @cached_property
    def start_weights(self) -> Vector:
        """The weights of the first round, float64[d k], output by output."""
        return self.weights(self.start)

    @cached_property
    def ground(self) -> Ground:
        """What an optimiser knows about the job. The curvature is a mine's of `weight_rows` rows."""
        return Ground(
            self.holdout.curvature + np.diag(ridge_of(self.spec, self.plan.weight_rows)),
            len(self.holdout.y),
            self.spec.outputs,
            self.weight_max,
        )

    def loss_at(self, weights_int: Sequence[int]) -> int:
        """Return the loss of weights in fixed point, in millionths."""
        return self.holdout.loss(self.weights(weights_int), self.metric)

    def is_loss(self, weights_int: Sequence[int], told: int) -> bool:
        """Tell whether `told` is the loss of weights in fixed point: the nearest millionth, ties either way.

        Sums of floats differ between machines by their last digits, far less than 2^-30 of their size.
        """
        exact = self.holdout.millionths(self.weights(weights_int), self.metric)
        return abs(exact - told) <= 0.5 + max(exact, 1.0) * 2.0**-30 or min(exact, told) >= LOSS_MAX

    def weights(self, weights_int: Sequence[int]) -> Vector:
        """Return weights in fixed point as numbers, float64[d k], output by output."""
        return decode_weights(weights_int, self.plan).ravel(order="F")

    def rounded(self, w: Vector) -> tuple[int, ...]:
        """Return weights float64[d k] in fixed point. Raises PlanError if one exceeds the plan's bound."""
        strides = np.full((self.spec.outputs, self.spec.width), float(STRIDE))
        strides[:, -1] = 1.0
        unit = 2.0**-self.plan.weight_frac * strides.ravel()
        near = np.rint(np.asarray(w) / unit) * unit
        return tuple(
            encode_weights(near if self.spec.outputs == 1 else by_output(self.spec, near), self.plan)
        )

    def without_noise(self) -> Design:
        """Return the same model without noise; its plan has the noise's room still."""
        spec = self.spec.model_copy(update={"noise": None})
        return replace(self, spec=spec, holdout=replace(self.holdout, spec=spec))

    def starting_at(self, w: Vector) -> Design:
        """Return the design with a start of the scientist's own, float64[d k]. Raises PlanError."""
        return replace(self, start=self.rounded(w))


def design_of(
    wish: Wish,
    x: Matrix,
    y: Matrix,
    features: Sequence[str],
    targets: Sequence[str],
    seeded: Seeded,
) -> Design:
    """Return the design for held-out data x float64[n, f] and y float64[n, k], with `labels` their codes.

    Raises DataError, BoundsError, ConfigError, PlanError, ManifestError.
    """
    for name in (*features, *targets):
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            hint = f"rename it: 1 to {MAX_NAME} printable characters"
            raise DataError(f"column {name[:MAX_NAME]!r}", "cannot be published", hint=hint)
    stages = wish.feature_map.stages(features, x, seeded)
    constants = _targets(wish, y, targets)
    _require_room(wish, widths(stages, len(features))[-1] + 1, len(constants))
    fields: dict[str, Any] = {
        "features": tuple(features),
        "targets": constants,
        "stages": stages,
        "loss": wish.loss,
        "rows_min": wish.rows_min
        or least_rows(stages, len(features), len(constants), len(features) + len(targets)),
        "labels": wish.labels,
    }
    one_step = Holdout.of(QuadraticSpec.parse(fields), x, y)
    if wish.noise is not None:
        one_step = _with_noise(wish.noise, wish.cohort, one_step)
    holdout = one_step
    if wish.local_steps > 1:
        rate = wish.local_rate or _local_rate(wish, one_step.curvature)
        local = {"local_steps": wish.local_steps, "local_rate_q32": to_q32(rate, "local_rate")}
        holdout = Holdout.of(QuadraticSpec.parse(one_step.spec.model_dump() | local), x, y)
    plan = _plan(wish, holdout, one_step.curvature)
    if wish.noise is not None and not fine_enough(holdout.spec, plan):
        problem = (
            f"'shared' noise is too small beside the last places of a mean of {holdout.spec.rows_min:,} rows"
        )
        raise ConfigError("privacy.noise", problem, hint="give noise = 'local', or a smaller rows_min")
    if not has_room(holdout.spec, plan):
        field = "a_row_l1_max" if wish.a_row_l1_max else "b_max"
        hint = "leave a_row_l1_max and b_max out, or give larger ones, or a larger privacy.epsilon"
        raise ConfigError(field, "leaves no room for the mines' noise", hint=hint)
    metric = holdout.metric(wish.metric).name
    design = Design(holdout.spec, plan, holdout, metric, (0,) * plan.weights)
    return replace(design, start=design.null)


def _require_room(wish: Wish, width: int, outputs: int) -> None:
    """Raise ConfigError for a model of too many weights: `width`, the bias among them, for each output."""
    if width * outputs <= MAX_WEIGHTS:
        return
    what, fewer = ("classes", "put rare classes together") if wish.labels else ("targets", "ask for fewer")
    problem = (
        f"{outputs} {what} of {width} weights each (its map's columns and a bias) are {width * outputs:,}"
    )
    hint = f"choose fewer columns, a smaller feature_map, or {fewer}"
    raise ConfigError("features", f"{problem}; a model has at most {MAX_WEIGHTS:,} weights", hint=hint)


def _targets(wish: Wish, y: Matrix, names: Sequence[str]) -> tuple[Target, ...]:
    if wish.labels is not None:
        return targets_of(wish.labels, codes_of(wish.labels, y[:, 0]))
    loss, clip = LOSSES[wish.loss], wish.target_clip or DEFAULT_TARGET_CLIP
    return tuple(loss.target(*pair, clip) for pair in zip(names, y.T, strict=True))


def _with_noise(wish: NoiseWish, cohort: int, plain: Holdout) -> Holdout:
    noise = noise_of(wish, plain.phi, plain.z, cohort)
    spec = QuadraticSpec.parse(plain.spec.model_dump() | {"noise": noise.model_dump()})
    return replace(plain, spec=spec)


def _local_rate(wish: Wish, curvature: Matrix) -> float:
    """Return a rate at which a mine's steps do not diverge, though its curvature is twice the holdout's; or
    eight times, with products, whose tails are heavy.
    """
    room = 1.0 if wish.feature_map.plain else MAPPED_MARGIN / MARGIN
    return 1.0 / (room * float(np.linalg.eigvalsh(curvature)[-1]))


def _plan(wish: Wish, holdout: Holdout, curvature: Matrix) -> SlotPlan:
    """Mapped targets have a deviation of 1 at most, which gives the size of weights and of b."""
    plain = wish.feature_map.plain
    spread = np.sqrt(np.diag(curvature))
    least = float(np.min(spread[spread > LEAST_SPREAD]))
    margin = MARGIN if plain else MAPPED_MARGIN
    weight_max = wish.weight_max or _power_of_two(MARGIN / least)
    noisy_a, noisy_b = _noise_room(holdout.spec)
    a_row_l1_max = wish.a_row_l1_max or _power_of_two(
        margin * float(np.abs(curvature).sum(axis=1).max()) + noisy_a
    )
    b_max = wish.b_max or _power_of_two(MARGIN * float(np.max(spread)) + noisy_b)
    bits, wanted = (WEIGHT_BITS, DATA_FRAC) if plain else (MAPPED_WEIGHT_BITS, MAPPED_DATA_FRAC)
    weight_frac = wish.weight_frac
    if weight_frac is None:
        weight_frac = min(max(bits - math.ceil(math.log2(weight_max)), 0), MAX_WEIGHT_FRAC)
    data_frac = wish.data_frac
    if data_frac is None:
        room = 62 - math.ceil(math.log2(max(b_max, a_row_l1_max)))
        data_frac = max(DATA_FRAC, min(wanted, room))
    return SlotPlan.make(
        key_bits=wish.key_bits,
        weights=holdout.spec.weights,
        outputs=holdout.spec.outputs,
        bounds=Bounds(
            weight_max=-(-_fixed("weight_max", weight_max, weight_frac) // STRIDE) * STRIDE,
            a_row_l1_max=_fixed("a_row_l1_max", a_row_l1_max, data_frac),
            b_max=_fixed("b_max", b_max, data_frac),
        ),
        mines_max=wish.cohort,
        weight_rows=wish.weight_rows or holdout.spec.rows_min,
        weight_frac=weight_frac,
        data_frac=data_frac,
        free_bits=wish.free_bits,
    )


def _noise_room(spec: QuadraticSpec) -> tuple[float, float]:
    """Return what noise adds at most to a row of A and to an entry of b, of the fewest rows."""
    if spec.noise is None:
        return 0.0, 0.0
    loss, (a, b) = LOSSES[spec.loss], room(spec.noise, spec.width)
    return loss.a_factor * a / spec.rows_min, loss.b_factor * b / spec.rows_min


def _fixed(name: str, value: float, fraction_bits: int) -> int:
    number = math.ceil(math.ldexp(value, fraction_bits))
    if number >= 1 << 63:
        hint = f"rescale the columns, or give a smaller {name} or fewer fractional bits"
        raise PlanError(f"{name} = {value:g} with {fraction_bits} fractional bits exceeds 63 bits", hint=hint)
    return number


def _power_of_two(value: float) -> float:
    """Return the next one up; a value that rounding carried past one is that one."""
    return 2.0 ** math.ceil(math.log2(value) - 1e-6) if value > 0 else 1.0
