"""The slot plan: how a vector of fixed-point integers lies in as few plaintexts as possible, and why it fits.

An update is u_i = b_i 2^weight_frac - sum_j A_ij w_j, an integer at scale 2^(weight_frac + data_frac). The
declared bounds on w, on the rows of A and on b bound every u_i by `update_max`; a cohort's aggregate
sum_k rows_k u_i^k by `total_max` = mines_max weight_rows update_max. A slot has room for `total_max` and a
sign, so no slot runs into the next whatever mines within the bounds send, and the signed values
add up to an integer inside (-n/2, n/2), where the plaintext's sign is still known:

    plaintext = sum_i v_i 2^(slot_bits i),  |v_i| < 2^(slot_bits - 1),  |plaintext| < 2^(key_bits - 2) < n/2

A vector has one shared scale. An exponent per number, as in general encoders, would tell everybody the
magnitude of every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sonar.errors import PlanError, UpdateOutOfRange

MAX_VALUES = 4096
MAX_MINES = 255
MAX_FRAC = 48
VEIL_FREE_BITS = 41
"""Under masks that are uniform modulo n, a plaintext below n / 2^41 wraps around with a chance of 2^-41."""
_MAX_INT = 2**63 - 1  # what every language's DAG-CBOR integer holds


@dataclass(frozen=True)
class Bounds:
    """What the bounty declares, as fixed-point integers: |w_j|, the L1 norm of a row of A, |b_i|."""

    weight_max: int
    a_row_l1_max: int
    b_max: int


@dataclass(frozen=True)
class SlotPlan:
    """How `weights` integers are packed for a key of `key_bits`. Making one proves it, or raises PlanError.

    `weights` counts them over all `outputs`; `weight_rows` is the most that one mine's rows weigh.
    `free_bits` stay free at the top of a plaintext, besides its sign: a veil needs `VEIL_FREE_BITS`. They
    follow from the bounty's cover, so a manifest's plan does not say them.
    """

    key_bits: int
    weights: int
    weight_frac: int
    data_frac: int
    bounds: Bounds
    mines_max: int
    weight_rows: int
    outputs: int = 1
    free_bits: int = 0

    def __post_init__(self) -> None:
        _check_range("key_bits", self.key_bits, 64, 8192)
        _check_range("weights", self.weights, 1, MAX_VALUES)
        _check_range("outputs", self.outputs, 1, MAX_VALUES)
        if self.weights % self.outputs:
            raise PlanError(
                f"slot plan: weights is {self.weights}, not a multiple of outputs, {self.outputs}",
                hint="every output has one weight per feature: weights = features x outputs",
            )
        _check_range("weight_frac", self.weight_frac, 0, MAX_FRAC)
        _check_range("data_frac", self.data_frac, 0, MAX_FRAC)
        _check_range("weight_max", self.bounds.weight_max, 1, _MAX_INT)
        _check_range("a_row_l1_max", self.bounds.a_row_l1_max, 1, _MAX_INT)
        _check_range("b_max", self.bounds.b_max, 1, _MAX_INT)
        _check_range("mines_max", self.mines_max, 1, MAX_MINES)
        _check_range("weight_rows", self.weight_rows, 1, 2**32 - 1)
        _check_range("free_bits", self.free_bits, 0, 64)
        if self.slots_per_ciphertext < 1:
            raise PlanError(
                f"one slot needs {self.slot_bits} bits, and a key of {self.key_bits} bits has "
                f"{self.key_bits - 1 - self.free_bits} to give ({self._parts()})",
                hint=f"take a key of more than {self.slot_bits} bits, or lower {self._largest_part()}",
            )

    @classmethod
    def make(
        cls,
        *,
        key_bits: int,
        weights: int,
        bounds: Bounds,
        mines_max: int,
        weight_rows: int,
        weight_frac: int = 16,
        data_frac: int = 20,
        outputs: int = 1,
        free_bits: int = 0,
    ) -> SlotPlan:
        """Plan for `weights` integers under a key of `key_bits`. Raises PlanError: what to change."""
        return cls(
            key_bits, weights, weight_frac, data_frac, bounds, mines_max, weight_rows, outputs, free_bits
        )

    def to_dict(self) -> dict[str, int]:
        """Every field that a manifest says, as a flat map of integers."""
        fields = asdict(self)
        del fields["free_bits"]
        return {**fields.pop("bounds"), **fields}

    @classmethod
    def from_dict(cls, fields: Mapping[str, object], *, free_bits: int = 0) -> SlotPlan:
        """Read what `to_dict` wrote, from anyone. Raises PlanError naming the field."""
        names = {"weight_max", "a_row_l1_max", "b_max"}
        expected = names | set(cls.__dataclass_fields__) - {"bounds", "free_bits"}
        if set(fields) != expected:
            raise PlanError(f"slot plan: missing or unknown fields {sorted(set(fields) ^ expected)}")
        ints: dict[str, int] = {}
        for name, value in fields.items():
            if type(value) is not int:
                raise PlanError(f"slot plan: {name} is not an integer")
            ints[name] = value
        bounds = Bounds(**{name: ints.pop(name) for name in names})
        return cls(bounds=bounds, free_bits=free_bits, **ints)

    @cached_property
    def features(self) -> int:
        """Weights per output: A is [features, features], and value o features + i belongs to output o."""
        return self.weights // self.outputs

    @cached_property
    def update_max(self) -> int:
        """The largest magnitude of one mine's value, proved from the bounds."""
        return (self.bounds.b_max << self.weight_frac) + self.bounds.a_row_l1_max * self.bounds.weight_max

    @cached_property
    def update_bits(self) -> int:
        """Bits of `update_max`, without a sign."""
        return self.update_max.bit_length()

    @property
    def weight_total_max(self) -> int:
        """The most that the row weights of a cohort may sum to."""
        return self.mines_max * self.weight_rows

    @cached_property
    def total_max(self) -> int:
        """The largest magnitude of a value summed over the fullest cohort, weighted by rows."""
        return self.weight_total_max * self.update_max

    @cached_property
    def guard_bits(self) -> int:
        """Bits that a slot holds above one update, for the number of mines and their row weights."""
        return self.total_max.bit_length() - self.update_bits

    @cached_property
    def slot_bits(self) -> int:
        """Width of a slot: the update, its guard, and a sign."""
        return self.total_max.bit_length() + 1

    @cached_property
    def slots_per_ciphertext(self) -> int:
        """How many slots fit; one bit of the key is left for the sign of the whole."""
        return (self.key_bits - 1 - self.free_bits) // self.slot_bits

    @cached_property
    def ciphertexts(self) -> int:
        """How many ciphertexts carry the vector."""
        return -(-self.weights // self.slots_per_ciphertext)

    @property
    def scale_bits(self) -> int:
        """An update's integer is its real value times 2^scale_bits."""
        return self.weight_frac + self.data_frac

    def shift(self, i: int) -> tuple[int, int]:
        """Where value `i` lies: (ciphertext, bit offset)."""
        ciphertext, slot = divmod(i, self.slots_per_ciphertext)
        return ciphertext, slot * self.slot_bits

    def rows_of(self, ciphertext: int) -> range:
        """The weights that lie in one ciphertext."""
        first = ciphertext * self.slots_per_ciphertext
        return range(first, min(first + self.slots_per_ciphertext, self.weights))

    def pack(self, values: Sequence[int]) -> list[int]:
        """The signed plaintexts, one per ciphertext, that carry `values`. Raises UpdateOutOfRange."""
        if len(values) != self.weights:
            raise PlanError(f"the plan is for {self.weights} values, got {len(values)}")
        if any(abs(value) > self.total_max for value in values):
            raise UpdateOutOfRange("a value to pack is outside the slot plan's range")
        return [
            sum(int(values[i]) << self.shift(i)[1] for i in self.rows_of(c)) for c in range(self.ciphertexts)
        ]

    def unpack(self, plain: Sequence[int], *, weight: int, above: int = 0) -> list[int]:
        """The values in signed plaintexts, each checked to be at most `weight` times `update_max`.

        `weight` is the total of the row weights that were summed: 1 for a single update. Where no value is,
        in slots that are not used and above all slots, each digit may be `above` in magnitude. Raises
        UpdateOutOfRange, which never shows a value.
        """
        if len(plain) != self.ciphertexts:
            raise PlanError(f"the plan has {self.ciphertexts} ciphertexts, got {len(plain)}")
        if not 1 <= weight <= self.weight_total_max:
            raise PlanError(f"rows sum to {weight}; the plan has room for 1 to {self.weight_total_max}")
        limit = weight * self.update_max
        values: list[int] = []
        for c, number in enumerate(plain):
            digits, used = self._digits(int(number)), len(self.rows_of(c))
            if any(abs(digit) > above for digit in digits[used:]):
                raise UpdateOutOfRange(f"ciphertext {c} holds more than its slots")
            values += digits[:used]
        for i, value in enumerate(values):
            if abs(value) > limit:
                raise UpdateOutOfRange(f"value {i} is outside the range that the bounds allow")
        return values

    def _digits(self, number: int) -> list[int]:
        """The balanced digits of a plaintext, slot by slot, and what is above them."""
        half, mask = 1 << (self.slot_bits - 1), (1 << self.slot_bits) - 1
        digits = []
        for _ in range(self.slots_per_ciphertext):
            digit = ((number + half) & mask) - half  # a negative one borrowed from above
            number = (number - digit) >> self.slot_bits
            digits.append(digit)
        return [*digits, number]

    def explain(self) -> str:
        """Lines for people: slots, guard bits, the bound on the cohort, and what would overflow first."""
        used = self.slots_per_ciphertext * self.slot_bits
        return "\n".join(
            [
                *([f"{self.outputs} outputs of {self.features} weights"] if self.outputs > 1 else []),
                f"{self.weights} values in {self.ciphertexts} ciphertext(s) of a {self.key_bits}-bit key: "
                f"{self.slots_per_ciphertext} slots of {self.slot_bits} bits each, "
                f"{self.key_bits - used} bits unused",
                f"a slot: {self._parts()}",
                f"precision: weights 2^-{self.weight_frac}, data 2^-{self.data_frac}, "
                f"updates 2^-{self.scale_bits}",
                f"one update: |u| <= b_max 2^weight_frac + a_row_l1_max weight_max = {self.update_max}",
                f"cohort: any rows that sum to at most {self.weight_total_max} "
                f"({self.mines_max} mines of {self.weight_rows} rows) cannot overflow a slot; "
                f"the slots would hold {self._rows_room()} rows",
                f"what would overflow first: {self._largest_part()}",
            ]
        )

    def _rows_room(self) -> int:
        return ((1 << (self.slot_bits - 1)) - 1) // self.update_max

    def _parts(self) -> str:
        return (
            f"{self.update_bits} bits of update + {self.guard_bits} guard bits "
            f"for {self.mines_max} mines x {self.weight_rows} rows + 1 sign bit = {self.slot_bits} bits"
        )

    def _largest_part(self) -> str:
        b_part = self.bounds.b_max << self.weight_frac
        weights = self.bounds.a_row_l1_max * self.bounds.weight_max
        if self.guard_bits > self.update_bits:
            return "the sum over the cohort (mines_max, weight_rows)"
        if b_part > weights:
            return "the targets (b_max) and weight_frac"
        return "the weights times the features (weight_max, a_row_l1_max) and their fractional bits"


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int:
        raise PlanError(f"slot plan: {name} is not an integer")
    if not least <= value <= most:
        raise PlanError(
            f"slot plan: {name} must be an integer from {least} to {most}",
            hint=f"{'raise' if value < least else 'lower'} {name}"
            + (", or give the model fewer features" if name == "weights" and value > most else "")
            + (" and the number of fractional bits" if value > most and name in _FIXED_POINT else ""),
        )


_FIXED_POINT = ("weight_max", "a_row_l1_max", "b_max")


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
