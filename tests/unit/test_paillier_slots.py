"""Laws of the slot plan: what it packs comes back, sums included; what could overflow is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sonar.errors import PlanError, SonarError, UpdateOutOfRange
from sonar.paillier.slots import Bounds, SlotPlan, decode_update, decode_weights, encode_weights

DIABETES = SlotPlan.make(
    key_bits=2048,
    weights=11,
    bounds=Bounds(weight_max=1000 << 16, a_row_l1_max=3 << 20, b_max=1500 << 20),
    mines_max=64,
    weight_rows=65_535,
)
bounds = st.builds(Bounds, st.integers(1, 2**40), st.integers(1, 2**40), st.integers(1, 2**40))
plans = st.builds(
    SlotPlan,
    key_bits=st.sampled_from([1024, 2048, 3072]),
    weights=st.integers(1, 1000),
    weight_frac=st.integers(0, 24),
    data_frac=st.integers(0, 24),
    bounds=bounds,
    mines_max=st.integers(1, 255),
    weight_rows=st.integers(1, 2**20),
) | st.builds(
    lambda plan, outputs: replace(plan, weights=max(1, plan.weights // outputs) * outputs, outputs=outputs),
    st.builds(
        SlotPlan,
        key_bits=st.just(2048),
        weights=st.integers(1, 400),
        weight_frac=st.integers(0, 48),
        data_frac=st.integers(0, 48),
        bounds=bounds,
        mines_max=st.integers(1, 255),
        weight_rows=st.integers(1, 2**32 - 1),
    ),
    st.integers(1, 10),
)


def values_of(plan: SlotPlan, draw: st.DataObject, limit: int) -> list[int]:
    """Extremes and zeros as well as anything between: where borrows go wrong."""
    some = st.sampled_from([0, 1, -1, limit, -limit, limit - 1, 1 - limit]) | st.integers(-limit, limit)
    few = draw.draw(st.lists(some, min_size=1, max_size=20))
    return [few[i % len(few)] for i in range(plan.weights)]


@given(plans, st.data())
def test_packed_values_come_back(plan: SlotPlan, data: st.DataObject) -> None:
    values = values_of(plan, data, plan.update_max)
    assert plan.unpack(plan.pack(values), weight=1) == values


@given(plans, st.data())
def test_weighted_sums_of_the_fullest_cohort_come_back(plan: SlotPlan, data: st.DataObject) -> None:
    """The sum of packed values is the packed sum, up to the extremes of mines_max and weight_rows."""
    mines = [values_of(plan, data, plan.update_max) for _ in range(min(plan.mines_max, 3))]
    rows = [data.draw(st.integers(1, plan.weight_rows)) for _ in mines]
    rows[0] = plan.weight_rows * (plan.mines_max - len(mines) + 1)  # stands for all mines that are not drawn
    packed = [plan.pack([r * v for v in values]) for r, values in zip(rows, mines, strict=True)]
    total = [sum(column) for column in zip(*packed, strict=True)]
    expected = [
        sum(r * values[i] for r, values in zip(rows, mines, strict=True)) for i in range(plan.weights)
    ]
    assert plan.unpack(total, weight=sum(rows)) == expected


@given(plans)
def test_the_fullest_plaintext_keeps_its_sign(plan: SlotPlan) -> None:
    least_n = 1 << (plan.key_bits - 1)
    for sign in (1, -1):
        packed = plan.pack([sign * plan.total_max] * plan.weights)
        assert all(2 * abs(number) < least_n for number in packed)
        assert plan.unpack(packed, weight=plan.weight_total_max) == [sign * plan.total_max] * plan.weights


@given(plans)
def test_every_value_has_a_place_of_its_own(plan: SlotPlan) -> None:
    places = [plan.shift(i) for i in range(plan.weights)]
    assert len(set(places)) == plan.weights
    assert [i for c in range(plan.ciphertexts) for i in plan.rows_of(c)] == list(range(plan.weights))
    assert max(c for c, _ in places) == plan.ciphertexts - 1
    assert all(shift + plan.slot_bits <= plan.key_bits - 1 for _, shift in places)


@given(plans, st.data())
def test_overflow_is_refused_and_never_shown(plan: SlotPlan, data: st.DataObject) -> None:
    half = 1 << (plan.slot_bits - 1)  # a value beyond it is, in the plaintext, a value of the next slot too
    weight = data.draw(st.integers(1, plan.weight_total_max))
    limit = plan.update_max * weight
    assume(limit < half - 1)
    over = data.draw(st.integers(limit + 1, half - 1)) * data.draw(st.sampled_from([1, -1]))
    place = data.draw(st.integers(0, plan.weights - 1))
    c, shift = plan.shift(place)
    plain = [0] * plan.ciphertexts
    plain[c] = over << shift
    with pytest.raises(UpdateOutOfRange, match=f"value {place} is outside the range"):
        plan.unpack(plain, weight=weight)


def test_more_than_the_slots_hold_is_refused() -> None:
    for number in (1 << 28 * 72, -(1 << 28 * 72), 1 << 11 * 72):
        with pytest.raises(UpdateOutOfRange, match=r"ciphertext 0 holds more than its slots$"):
            DIABETES.unpack([number], weight=1)


@given(plans, st.data())
def test_whatever_a_plaintext_holds_it_unpacks_within_range_or_is_refused(
    plan: SlotPlan, data: st.DataObject
) -> None:
    half = 1 << (plan.key_bits - 1)
    plain = [data.draw(st.integers(-half, half)) for _ in range(min(plan.ciphertexts, 4))]
    plain += [0] * (plan.ciphertexts - len(plain))
    try:
        values = plan.unpack(plain, weight=1)
    except UpdateOutOfRange:
        return
    assert max(abs(v) for v in values) <= plan.update_max
    assert plan.pack(values) == plain


def test_a_value_too_large_to_pack_is_refused() -> None:
    with pytest.raises(UpdateOutOfRange):
        DIABETES.pack([DIABETES.total_max + 1] + [0] * 10)
    with pytest.raises(PlanError, match="11 values, got 10"):
        DIABETES.pack([0] * 10)
    with pytest.raises(PlanError, match="1 ciphertexts, got 2"):
        DIABETES.unpack([0, 0], weight=1)
    for weight in (0, DIABETES.weight_total_max + 1):
        with pytest.raises(PlanError, match="room for 1 to 4194240"):
            DIABETES.unpack([0], weight=weight)


def test_the_diabetes_plan_takes_one_ciphertext() -> None:
    assert (DIABETES.update_bits, DIABETES.guard_bits, DIABETES.slot_bits) == (49, 22, 72)
    assert (DIABETES.slots_per_ciphertext, DIABETES.ciphertexts) == (28, 1)
    assert replace(DIABETES, weights=29).ciphertexts == 2


def test_a_plan_explains_itself() -> None:
    text = DIABETES.explain()
    for part in (
        "28 slots of 72 bits",
        "22 guard bits for 64 mines x 65535 rows",
        "overflow first",
        "1 sign bit",
    ):
        assert part in text
    assert str(DIABETES.update_max) in text
    room = int(re.search(r"would hold (\d+) rows", text)[1])  # type: ignore[index]
    half = 1 << (DIABETES.slot_bits - 1)
    assert room * DIABETES.update_max < half <= (room + 1) * DIABETES.update_max


def test_what_does_not_fit_says_what_to_change() -> None:
    with pytest.raises(PlanError, match="one slot needs 80 bits, and a key of 64 bits") as caught:
        replace(DIABETES, key_bits=64, weight_rows=2**24 - 1)
    assert "key of more than 80 bits" in caught.value.hint
    assert "weight_max" in caught.value.hint


@given(
    st.integers(1, 1000),
    st.integers(1, 4),
    st.integers(1, 255),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from([1024, 2048, 3072]),
)
def test_every_size_has_a_plan_or_a_refusal_that_says_what_to_change(
    d: int, outputs: int, mines: int, weight_frac: int, data_frac: int, key_bits: int
) -> None:
    """d from 1 to 1000, several outputs, 1 to 255 mines, any precision: extremes fit, or a hint is there."""
    fields: dict[str, Any] = {
        "key_bits": key_bits,
        "weights": d * outputs,
        "outputs": outputs,
        "bounds": Bounds(8 << weight_frac, 64 << data_frac, 64 << data_frac),
        "mines_max": mines,
        "weight_rows": 65_535,
        "weight_frac": weight_frac,
        "data_frac": data_frac,
    }
    if max(weight_frac, data_frac) > 48:
        with pytest.raises(PlanError, match="_frac must be an integer from 0 to 48") as caught:
            SlotPlan.make(**fields)
        assert re.fullmatch("lower (weight|data)_frac", caught.value.hint)
        return
    plan = SlotPlan.make(**fields)
    fullest = plan.pack([(-1) ** i * plan.total_max for i in range(plan.weights)])
    assert all(2 * abs(number) < 1 << (key_bits - 1) for number in fullest)
    assert (
        plan.unpack(fullest, weight=plan.weight_total_max)[:2]
        == [plan.total_max, -plan.total_max][: d * outputs]
    )
    assert f"{plan.slots_per_ciphertext} slots of {plan.slot_bits} bits" in plan.explain()


def test_several_outputs_are_explained_and_must_divide_the_values() -> None:
    plan = replace(DIABETES, weights=33, outputs=3)
    assert (plan.features, plan.ciphertexts) == (11, 2)
    assert plan.explain().startswith("3 outputs of 11 weights\n33 values in 2 ciphertext(s)")
    assert (plan.to_dict()["outputs"], DIABETES.to_dict()["outputs"]) == (3, 1)
    with pytest.raises(PlanError, match="weights is 33, not a multiple of outputs, 2") as caught:
        replace(plan, outputs=2)
    assert "features x outputs" in caught.value.hint


def test_weights_of_several_outputs_go_output_by_output() -> None:
    plan = replace(DIABETES, weights=6, outputs=2)
    w = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    encoded = encode_weights(w, plan)
    assert [x >> 16 for x in encoded] == [1, 2, 3, 10, 20, 30]
    assert (decode_weights(encoded, plan) == w).all()
    assert (decode_update([x << 20 for x in encoded], plan) == w).all()
    with pytest.raises(PlanError, match="shape"):
        encode_weights(w.T, plan)


@given(plans)
def test_plans_survive_a_manifest(plan: SlotPlan) -> None:
    fields = plan.to_dict()
    assert all(type(value) is int and value < 2**63 for value in fields.values())
    assert SlotPlan.from_dict(fields) == plan


@pytest.mark.parametrize("name", list(DIABETES.to_dict()))
@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1", None])
def test_hostile_plans_are_refused_by_field(name: str, value: object) -> None:
    with pytest.raises(PlanError, match=name):
        SlotPlan.from_dict(DIABETES.to_dict() | {name: value})


def test_plans_have_exactly_their_fields() -> None:
    fields = DIABETES.to_dict()
    with pytest.raises(PlanError, match="surprise"):
        SlotPlan.from_dict(fields | {"surprise": 1})
    del fields["b_max"]
    with pytest.raises(PlanError, match="b_max"):
        SlotPlan.from_dict(fields)


@given(st.dictionaries(st.sampled_from(list(DIABETES.to_dict())), st.integers(-5, 2**64)))
def test_any_integers_make_a_sound_plan_or_are_refused(changes: dict[str, int]) -> None:
    try:
        plan = SlotPlan.from_dict(DIABETES.to_dict() | changes)
    except SonarError:
        return
    assert plan.total_max < 1 << (plan.slot_bits - 1)
    assert plan.slots_per_ciphertext * plan.slot_bits < plan.key_bits


@given(st.lists(st.floats(-1000, 1000), min_size=11, max_size=11))
def test_weights_are_rounded_once(weights: list[float]) -> None:
    encoded = encode_weights(np.array(weights), DIABETES)
    decoded = decode_weights(encoded, DIABETES)
    assert np.abs(decoded - np.array(weights)).max() <= 2**-17
    assert encode_weights(decoded, DIABETES) == encoded


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (np.zeros(10), "shape"),
        (np.zeros((11, 1)), "shape"),
        (np.array([0.0] * 10 + [np.nan]), "weight 10 is not a finite"),
        (np.array([np.inf] + [0.0] * 10), "weight 0 is not a finite"),
        (np.array([0.0, -1000.1] + [0.0] * 9), "weight 1 is -1000.1; the plan allows 1000"),
    ],
)
def test_weights_outside_the_plan_are_refused(weights: np.ndarray, problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        encode_weights(weights, DIABETES)


def test_an_update_is_decoded_as_the_mean() -> None:
    values = [3 * 40 << 36, -(40 << 35)] + [0] * 9
    assert decode_update(values, DIABETES, weight=40).tolist() == [3.0, -0.5] + [0.0] * 9


def test_a_little_where_no_value_is_may_be_let_be() -> None:
    """In the slots that are not used, and above all: each on its own, and no more than is allowed."""
    plan = replace(DIABETES, weights=3)
    values, bits = [5, -7, 1 << 20], plan.slot_bits
    (number,) = plan.pack(values)
    assert plan.slots_per_ciphertext > 4
    for slot in (3, 4, plan.slots_per_ciphertext):
        for junk in (1, -1, 9, -9):
            odd = [number + (junk << (slot * bits))]
            assert plan.unpack(odd, weight=1, above=9) == values
            with pytest.raises(UpdateOutOfRange, match="ciphertext 0 holds more than its slots"):
                plan.unpack(odd, weight=1, above=abs(junk) - 1)
    everywhere = number + sum(2 << (slot * bits) for slot in range(3, plan.slots_per_ciphertext + 1))
    assert plan.unpack([everywhere], weight=1, above=2) == values
