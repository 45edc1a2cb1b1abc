"""Packed vectors: laws of the plan, sums under encryption, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.key import Key
from sonar.errors import CiphertextError, LedgerConflict, PlanError, UpdateOutOfRange, UsageError
from sonar.paillier.packed import PackedPlan
from tests.unit.paillier_keys import real_key, small_key, textbook_decrypt


def fresh_key() -> Key:
    return Key(*small_key().unsafe_primes())


def by_definition(plan: PackedPlan, values: list[int]) -> list[int]:
    """The plaintexts, slot by slot."""
    half, plain = 2 ** (plan.value_bits - 1), []
    for first in range(0, plan.values, plan.slots):
        part = values[first : first + plan.slots]
        plain.append(sum((v + half) * 2 ** (plan.slot_bits * i) for i, v in enumerate(part)))
    return plain


@st.composite
def plans(draw: st.DrawFn, key_bits: int = 512) -> PackedPlan:
    values, bits = draw(st.integers(1, 60)), draw(st.integers(1, 32))
    return PackedPlan(key_bits, values, bits, draw(st.integers(1, 20) | st.integers(1, 1 << 24)))


def vectors(plan: PackedPlan) -> st.SearchStrategy[list[int]]:
    half = 1 << (plan.value_bits - 1)
    value = st.sampled_from([-half, half - 1, 0]) if half > 1 else st.just(0)
    return st.lists(value | st.integers(-half, half - 1), min_size=plan.values, max_size=plan.values)


@given(st.data())
def test_packing_is_as_defined_and_sums_of_extremes_come_back(data: st.DataObject) -> None:
    plan = data.draw(plans())
    some = [data.draw(vectors(plan)) for _ in range(data.draw(st.integers(1, min(plan.addends, 4))))]
    plain = [plan.pack(v) for v in some]
    assert plain == [by_definition(plan, v) for v in some]
    assert all(0 <= x < 1 << (plan.key_bits - 2) for x in plain[0])
    total = [sum(parts) for parts in zip(*plain, strict=True)]
    assert plan.unpack(total, addends=len(some)).tolist() == [sum(v) for v in zip(*some, strict=True)]


@given(plans())
def test_no_slot_can_overflow(plan: PackedPlan) -> None:
    """All addends at the upper end: the slots are full, the plaintext is below half of any such modulus."""
    half = 1 << (plan.value_bits - 1)
    top = [plan.addends * x for x in plan.pack([half - 1] * plan.values)]
    assert max(top) < 1 << (plan.key_bits - 2)
    assert plan.unpack(top, addends=plan.addends).tolist() == [plan.addends * (half - 1)] * plan.values
    bottom = [plan.addends * x for x in plan.pack([-half] * plan.values)]
    assert plan.unpack(bottom, addends=plan.addends).tolist() == [-plan.addends * half] * plan.values


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_encrypted_sums_are_sums(data: st.DataObject) -> None:
    key = fresh_key()
    plan = PackedPlan(512, data.draw(st.integers(1, 70)), data.draw(st.integers(1, 32)), 5)
    some = [data.draw(vectors(plan)) for _ in range(data.draw(st.integers(2, 5)))]
    encrypted = [key.encrypt_packed(plan, np.array(v)) for v in some]
    expected = np.sum(some, axis=0).tolist()
    assert key.decrypt_packed_sum(plan, encrypted).tolist() == expected
    added = plan.add(key.public, encrypted)
    assert plan.unpack([textbook_decrypt(key, c) for c in added], addends=len(some)).tolist() == expected


def test_ten_parties_and_16_bits_take_5_bytes_a_value() -> None:
    plan = PackedPlan(2048, 10_000, 16, 10)
    assert (plan.slot_bits, plan.slots, plan.ciphertexts) == (20, 102, 99)
    assert plan.bytes_per_value < 5.1
    assert PackedPlan(3072, 10_000, 16, 10).bytes_per_value < 5.1
    key = real_key()
    rng = np.random.default_rng(7)
    some = rng.integers(-(1 << 15), 1 << 15, size=(3, 10_000))
    encrypted = [key.encrypt_packed(plan, v) for v in some]
    assert sum(len(key.public.encode_blob(v)) for v in encrypted) == 3 * 99 * 512
    assert (key.decrypt_packed_sum(plan, encrypted) == some.sum(axis=0)).all()


def test_a_vector_is_part_of_one_sum_only() -> None:
    key, plan = fresh_key(), PackedPlan(512, 3, 8, 4)
    a, b, c = (key.encrypt_packed(plan, [i, -i, 7]) for i in (1, 2, 3))
    first = key.decrypt_packed_sum(plan, [a, b])
    assert (key.decrypt_packed_sum(plan, [b, a]) == first).all()
    for others in ([a, b, c], [a, c]):
        with pytest.raises(LedgerConflict, match="part of another sum"):
            key.decrypt_packed_sum(plan, others)
    d = key.encrypt_packed(plan, [0, 0, 0])
    assert key.decrypt_packed_sum(plan, [c, d]).tolist() == [3, -3, 7]  # a refused sum uses nothing up


def test_what_is_no_sum_is_refused() -> None:
    key, plan = fresh_key(), PackedPlan(512, 3, 8, 4)
    vector = key.encrypt_packed(plan, [1, 2, 3])
    refused: list[tuple[list[Any], type[Exception], str]] = [
        ([], UsageError, "at least 2"),
        ([vector], UsageError, "at least 2"),
        ([vector] * 5, PlanError, "room for 1 to 4"),
        ([vector, vector * 2], CiphertextError, "vector 1 has 2 ciphertexts"),
        ([vector, [key.public.n]], CiphertextError, "shares a factor"),
        ([vector, [0]], CiphertextError, "not between"),
        ([vector, vector], UsageError, "twice"),
    ]
    for some, error, problem in refused:
        with pytest.raises(error, match=problem):
            key.decrypt_packed_sum(plan, some)
    with pytest.raises(UsageError, match="key of 1024 bits"):
        key.encrypt_packed(PackedPlan(1024, 3, 8, 4), [1, 2, 3])


@pytest.mark.parametrize("plain", [1 << 40, -1, (1 << 505) + 3, 11 * 255 << 24, 1 << 36])
def test_a_sum_out_of_range_shows_nothing(plain: int) -> None:
    key, plan = fresh_key(), PackedPlan(512, 3, 8, 11)  # three slots of 12 bits; 2 addends reach 510
    with pytest.raises(UpdateOutOfRange) as caught:
        key.decrypt_packed_sum(plan, [key.encrypt_weights([plain]), key.encrypt_weights([0])])
    assert not any(character.isdigit() for character in str(caught.value).replace("ciphertext 0", ""))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([1, 2], "for 3 integers"),
        ([[1, 2, 3]], "for 3 integers"),
        ([1.0, 2.0, 3.0], "got float64"),
        ([True, False, True], "got bool"),
        ([2**70, 0, 0], "got object"),
        (["1", "2", "3"], "for 3 integers"),
        ([128, 0, 0], "8 bits with its sign"),
        ([0, 0, -129], "8 bits with its sign"),
        (np.array([2**64 - 1, 0, 0], dtype=np.uint64), "8 bits with its sign"),
    ],
)
def test_what_does_not_fit_is_refused(values: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        PackedPlan(512, 3, 8, 4).pack(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_bits", 63),
        ("key_bits", 8193),
        ("values", 0),
        ("values", 3.0),
        ("value_bits", 0),
        ("value_bits", 33),
        ("addends", 0),
        ("addends", (1 << 24) + 1),
        ("addends", True),
        ("values", 1 << 25),
    ],
)
def test_plans_name_what_is_wrong(name: str, value: Any) -> None:
    fields = {"key_bits": 512, "values": 3, "value_bits": 8, "addends": 4} | {name: value}
    with pytest.raises(PlanError, match=f"packed plan: {name} must be"):
        PackedPlan(**fields)


@given(st.lists(st.integers(-(1 << 600), 1 << 600), max_size=3), st.integers(-3, 30))
def test_whatever_is_unpacked_is_in_range_or_refused(plain: list[int], addends: int) -> None:
    plan = PackedPlan(512, 50, 16, 20)
    try:
        values = plan.unpack(plain, addends=addends)
    except (UpdateOutOfRange, PlanError):
        return
    assert abs(values).max() <= addends << 15
