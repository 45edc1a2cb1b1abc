"""Laws of functionals: the proved error is never exceeded, and what is told has no more bits than it says."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ManifestError, UsageError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.veil.classes import Classes
from sonar.veil.functionals import (
    FINE_BITS,
    Measured,
    class_value,
    finely,
    measured,
    places,
    read_vector,
    spread,
    told,
    write_vector,
)
from sonar.veil.masks import class_masks, class_wraps, read_wraps, veiled
from tests.unit.veil_kit import clear, keys_and_plans, off_by, place, read, seeds_of, shapes, updates


def digits(plan: SlotPlan, plain: int) -> list[int]:
    """The balanced digits of a signed plaintext, and what is above them: by the definition."""
    found, size = [], plan.slot_bits
    for _ in range(plan.slots_per_ciphertext):
        digit = (plain + (1 << (size - 1))) % (1 << size) - (1 << (size - 1))
        plain = (plain - digit) >> size
        found.append(digit)
    return [*found, plain]


def exact(plan: SlotPlan, vectors: list[list[int]], answers: list[list[int]]) -> int:
    """The functional itself."""
    total = 0
    for vector, plain in zip(vectors, answers, strict=True):
        found = [d for each in plain for d in digits(plan, each)]
        found += [d << FINE_BITS for d in found]
        total += sum(v * digit for v, digit in zip(vector, found, strict=False))
    return total


def vectors_of(plan: SlotPlan) -> st.SearchStrategy[list[int]]:
    """Small numbers, for which the bound says something, and any modulo 2^slot_bits; fine places or none."""
    top = (1 << plan.slot_bits) - 1
    numbers = st.integers(-9, 9) | st.sampled_from([0, 1, top, 1 << (plan.slot_bits - 1)])
    return st.one_of(
        [
            st.lists(each, min_size=size, max_size=size)
            for size in (places(plan), 2 * places(plan))
            for each in (numbers, numbers | st.integers(0, top))
        ]
    )


def numbers_below(n: int, count: int) -> st.SearchStrategy[list[mpz]]:
    number = st.sampled_from([0, 1, n - 1, n // 2]) | st.integers(0, n - 1)
    return st.lists(number.map(mpz), min_size=count, max_size=count)


@given(keys_and_plans(), st.integers(1, 10), st.data())
def test_the_error_is_never_exceeded(
    key_and_plan: tuple[PublicKey, SlotPlan], classes: int, data: st.DataObject
) -> None:
    """For any masks at all, not only those that a seed makes: and so for their extremes."""
    key, plan = key_and_plan
    n, count, size = int(key.n), plan.ciphertexts, plan.slot_bits
    parts, bits = data.draw(st.integers(1, 3)), data.draw(st.integers(1, size))
    vectors = [data.draw(vectors_of(plan)) for _ in range(parts)]
    plain = [plan.pack(data.draw(updates(plan))) for _ in range(parts)]
    masks = [[data.draw(numbers_below(n, count)) for _ in range(parts)] for _ in range(classes)]
    wraps = [
        [
            data.draw(st.lists(st.integers(0, (1 << size) - 1), min_size=count, max_size=count))
            for _ in range(parts)
        ]
        for _ in range(classes)
    ]
    opened, hidden = [], []
    for part, each in enumerate(plain):
        sums = [p + sum(masks[c][part][j] for c in range(classes)) for j, p in enumerate(each)]
        opened.append([mpz(x % n) for x in sums])
        hidden.append(
            [x // n + sum(wraps[c][part][j] for c in range(classes)) for j, x in enumerate(map(int, sums))]
        )
    moduli = [key.n] * parts
    heard = [told(class_value(plan, moduli, vectors, masks[c], wraps[c]), size, bits) for c in range(classes)]
    found = measured(plan, moduli, vectors, opened, hidden, heard, bits)
    assert off_by(exact(plan, vectors, plain), found.value, size) <= found.error
    assert -(1 << (size - 1)) <= found.value < 1 << (size - 1)


@given(keys_and_plans(), shapes, st.data())
def test_the_error_holds_for_real_masks(
    key_and_plan: tuple[PublicKey, SlotPlan], shape: Classes, data: st.DataObject
) -> None:
    """All of it: what a mine publishes, what holders tell, over answers of several rounds."""
    key, plan = key_and_plan
    size, count = plan.slot_bits, plan.ciphertexts
    rounds = range(1, data.draw(st.integers(1, 3)) + 1)
    seeds = seeds_of(str(data.draw(st.integers())), shape.count)
    vectors = [data.draw(vectors_of(plan)) for _ in rounds]
    plain = [plan.pack(data.draw(updates(plan))) for _ in rounds]
    sent = [
        veiled(key, plan, clear(key, p), seeds, place("mine", r)) for r, p in zip(rounds, plain, strict=True)
    ]
    bits = data.draw(st.integers(1, size))
    heard = [
        told(
            class_value(
                plan,
                [key.n] * len(rounds),
                vectors,
                [class_masks(seed, place("mine", r), key.n, count) for r in rounds],
                [class_wraps(seed, place("mine", r), size, count) for r in rounds],
            ),
            size,
            bits,
        )
        for seed in seeds
    ]
    assert all(0 <= y < 1 << bits for y in heard)
    opened = [read(key, masked) for masked, _ in sent]
    moduli = [key.n] * len(rounds)
    found = measured(plan, moduli, vectors, opened, [read_wraps(plan, w) for _, w in sent], heard, bits)
    assert off_by(exact(plan, vectors, plain), found.value, size) <= found.error
    signed = [[key.signed(int(x)) for x in each] for each in opened]  # as a key holder may give them
    wraps = [read_wraps(plan, w) for _, w in sent]
    assert measured(plan, moduli, vectors, [[mpz(x) for x in s] for s in signed], wraps, heard, bits) == found


PLAN = SlotPlan.make(
    key_bits=512,
    weights=11,
    bounds=Bounds(weight_max=4 << 16, a_row_l1_max=6 << 20, b_max=4 << 20),
    mines_max=8,
    weight_rows=255,
    free_bits=VEIL_FREE_BITS,
)
KEY = PublicKey((mpz(1) << 512) - 569)
SIZE = PLAN.slot_bits


def one(vector: list[int], bits: int, classes: int, label: str) -> tuple[int, Measured]:
    """A functional of one answer of zeros, and what was measured of it."""
    seeds, where = seeds_of(label, classes), place(label)
    masked, text = veiled(KEY, PLAN, clear(KEY, [0] * PLAN.ciphertexts), seeds, where)
    heard = [
        told(
            class_value(
                PLAN,
                [KEY.n],
                [vector],
                [class_masks(seed, where, KEY.n, PLAN.ciphertexts)],
                [class_wraps(seed, where, SIZE, PLAN.ciphertexts)],
            ),
            SIZE,
            bits,
        )
        for seed in seeds
    ]
    found = measured(PLAN, [KEY.n], [vector], [read(KEY, masked)], [read_wraps(PLAN, text)], heard, bits)
    return off_by(0, found.value, SIZE), found


@pytest.mark.parametrize("bits", [12, 28, SIZE])
def test_the_error_is_what_the_docstring_says(bits: int) -> None:
    """C (2^(S-h-1) + |v|_1) without first places; and what occurs is not far below."""
    vector = [0] * places(PLAN)
    vector[0], vector[3], vector[PLAN.slots_per_ciphertext] = 1000, -5, (1 << SIZE) - 2
    half = (1 << (SIZE - bits)) // 2
    errors = [one(vector, bits, 3, f"mine {i}") for i in range(300)]
    assert {found.error for _, found in errors} == {3 * (half + 5 + 2)}
    worst = max(off for off, _ in errors)
    assert worst > (0.7 * 3 * half if half > 7 else 7)


def test_the_first_place_has_no_carry() -> None:
    vector = [0] * places(PLAN)
    vector[0] = vector[PLAN.slots_per_ciphertext + 1] = 12345
    for i in range(20):
        assert one(vector, SIZE, 10, f"mine {i}") == (0, Measured(0, 0))


def test_a_slot_may_have_fewer_bits_than_fine_places_take() -> None:
    plan = SlotPlan.make(
        key_bits=128,
        weights=2,
        weight_frac=0,
        data_frac=0,
        bounds=Bounds(1, 1, 1),
        mines_max=3,
        weight_rows=1,
        free_bits=VEIL_FREE_BITS,
    )
    assert plan.slot_bits < FINE_BITS
    vector, wraps = finely(plan, [0, 1]), [0] * plan.ciphertexts
    opened = [mpz(plain) for plain in plan.pack([1, 1])]
    found = measured(plan, [mpz(1 << 128) - 159], [vector], [opened], [wraps], [0], plan.slot_bits)
    assert off_by(1 << FINE_BITS, found.value, plan.slot_bits) <= found.error


@given(st.integers(), st.integers(1, 80), st.data())
def test_told_are_the_top_bits(value: int, size: int, data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, size))
    y = told(value, size, bits)
    assert 0 <= y < 1 << bits
    assert y << (size - bits) <= value % (1 << size) < (y + 1) << (size - bits)


@given(keys_and_plans(), st.data())
def test_vectors_travel_and_cover_the_answer(
    key_and_plan: tuple[PublicKey, SlotPlan], data: st.DataObject
) -> None:
    plan = key_and_plan[1]
    values, vector = data.draw(updates(plan)), data.draw(vectors_of(plan))
    assert read_vector(plan, write_vector(plan, vector)) == [v % (1 << plan.slot_bits) for v in vector]
    weights = data.draw(st.lists(st.integers(-9, 9), min_size=plan.weights, max_size=plan.weights))
    f = exact(plan, [spread(plan, weights)], [plan.pack(values)])
    assert f == sum(w * v for w, v in zip(weights, values, strict=True))


ZERO = [0] * places(PLAN)
NUMBERS = [mpz(0)] * PLAN.ciphertexts
WRAPS = [0] * PLAN.ciphertexts
JUNK: list[tuple[Any, str]] = [
    (lambda: told(1, 20, 21), "21 bits of a value of 20 bits"),
    (lambda: told(1, 20, 0), "0 bits of a value of 20 bits"),
    (lambda: spread(PLAN, [1]), "1 values for an answer of 11"),
    (lambda: write_vector(PLAN, [1]), f"a vector of 1 numbers; an answer has {places(PLAN)} places"),
    (lambda: class_value(PLAN, [KEY.n], [[1]], [NUMBERS], [WRAPS]), "a vector of 1 numbers"),
    (
        lambda: class_value(PLAN, [KEY.n], [ZERO], [NUMBERS[1:]], [WRAPS]),
        "1 numbers and 2 wraps for a plan of 2",
    ),
    (lambda: class_value(PLAN, [KEY.n], [ZERO], [NUMBERS], [WRAPS[1:]]), "2 numbers and 1 wraps"),
    (
        lambda: class_value(PLAN, [KEY.n], [ZERO], [], [WRAPS]),
        "1 vectors, 1 keys, 0 answers and 1 of their wraps",
    ),
    (
        lambda: measured(PLAN, [KEY.n], [ZERO], [NUMBERS], [WRAPS], [4096], 12),
        "a number of more than 12 bits",
    ),
    (lambda: measured(PLAN, [KEY.n], [ZERO], [NUMBERS], [WRAPS], [-1], 12), "a number of more than 12 bits"),
    (
        lambda: measured(PLAN, [KEY.n], [ZERO], [NUMBERS], [WRAPS], [1], SIZE + 1),
        f"{SIZE + 1} bits of a value",
    ),
]


@pytest.mark.parametrize("number", range(len(JUNK)))
def test_junk_is_refused(number: int) -> None:
    make, problem = JUNK[number]
    with pytest.raises(UsageError, match=re.escape(problem)):
        make()


@given(st.binary(max_size=200))
def test_vectors_from_anyone_are_read_or_refused(data: bytes) -> None:
    with suppress(ManifestError):
        assert write_vector(PLAN, read_vector(PLAN, data)) == data


def test_vectors_of_another_length_or_size_are_refused() -> None:
    text = write_vector(PLAN, ZERO)
    for junk in (b"", text[:-1], text + b"\0"):
        with pytest.raises(ManifestError, match=f"vectors: one has {len(junk)} bytes"):
            read_vector(PLAN, junk)
    with pytest.raises(ManifestError, match=f"more than {SIZE} bits"):
        read_vector(PLAN, b"\xff" + text[1:])
