"""Answers in words: on the wire, in a sum, and as bits of one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ManifestError, PlanError, UsageError
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.functionals import Measured, told
from sonar.veil.masks import CHUNK_WORDS, class_words, veiled_words
from sonar.veil.streams import Place
from sonar.veil.words import (
    WORD_BITS,
    OutOfRange,
    check_plan,
    class_word_value,
    is_out_of_range,
    measured_words,
    read_words,
    slack,
    spoiler_bits,
    sum_of,
    to_words,
    write_words,
)

PLAN = SlotPlan.make(
    key_bits=2048,
    weights=5,
    bounds=Bounds(weight_max=1, a_row_l1_max=1, b_max=1000 << 40),
    mines_max=10,
    weight_rows=1,
    weight_frac=0,
    data_frac=40,
)
SHAPES = [Classes(1, 1), Classes(2, 2), Classes(3, 2), Classes(5, 3)]
MOST = PLAN.update_max
shapes = st.sampled_from(SHAPES)
signed = st.integers(-(2**63), 2**63 - 1)


def place(label: str) -> Place:
    return Place(Digest(b"q" * 32), label.encode().ljust(32, b"."), 1)


def seeds_of(label: str, count: int) -> list[bytes]:
    return [f"{label} {c}".encode().ljust(32, b".") for c in range(count)]


@given(st.lists(signed, min_size=1, max_size=9))
def test_signed_integers_become_words_and_bytes_and_words_again(values: list[int]) -> None:
    words = to_words(values)
    data = write_words(words)
    assert data == b"".join(value.to_bytes(8, "little", signed=True) for value in values)
    assert read_words(data, len(values)).view(np.int64).tolist() == values


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64])
def test_what_takes_more_than_a_word_is_refused(value: int) -> None:
    with pytest.raises(UsageError, match="signed integer of 64 bits"):
        to_words([0, value])


@given(st.binary(max_size=80), st.integers(1, 9))
def test_words_from_anyone_are_read_or_refused(data: bytes, count: int) -> None:
    if len(data) == 8 * count:
        assert write_words(read_words(data, count, "blobs")) == data
        return
    with pytest.raises(ManifestError, match=f"^blobs: has {len(data)} bytes; {count} words"):
        read_words(data, count, "blobs")


@given(shapes, st.integers(1, WORD_BITS), st.integers(1, 3), st.data())
def test_what_classes_tell_of_answers_is_as_near_as_it_says(
    shape: Classes, bits: int, parts: int, data: st.DataObject
) -> None:
    """Any vectors and answers, also of several rounds; with 64 bits exactly."""
    count = data.draw(st.integers(1, 20))
    draw = st.lists(signed, min_size=count, max_size=count)
    answers = [to_words(data.draw(draw)) for _ in range(parts)]
    vectors = [to_words(data.draw(draw)) for _ in range(parts)]
    seeds = [seeds_of(f"part {i}", shape.count) for i in range(parts)]
    masked = [veiled_words(a, s, place(f"{i}")) for i, (a, s) in enumerate(zip(answers, seeds, strict=True))]
    values = [
        class_word_value([(v, seeds[i][c], place(f"{i}")) for i, v in enumerate(vectors)])
        for c in range(shape.count)
    ]
    heard = [told(value, WORD_BITS, bits) for value in values]
    found = measured_words(list(zip(vectors, masked, strict=True)), heard, bits)
    true = sum(
        int(x) * int(y) for v, a in zip(vectors, answers, strict=True) for x, y in zip(v, a, strict=True)
    )
    off = (true - found.value + 2**63) % 2**64 - 2**63
    assert abs(off) <= found.error
    assert found.error == (shape.count << WORD_BITS - bits) // 2


def test_a_functional_goes_over_chunks_as_over_one() -> None:
    count = 2 * CHUNK_WORDS + 3
    [seed] = seeds_of("long", 1)
    vector = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    whole = int((vector * class_words(seed, place("x"), 0, count)).sum(dtype=np.uint64))
    assert class_word_value([(vector, seed, place("x"))]) == whole


def test_what_does_not_fit_together_is_refused() -> None:
    one = to_words([1, 2])
    for parts, heard, bits in (
        ([(one, to_words([1]))], [0], 8),
        ([(one, one)], [256], 8),
        ([(one, one)], [0], 0),
        ([(one, one)], [0], 65),
    ):
        with pytest.raises(UsageError):
            measured_words(parts, heard, bits)


# ---- what a sum may be


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sum_of_answers_within_the_bounds_is_a_sum(shape: Classes) -> None:
    mines = PLAN.mines_max
    sums = [MOST * mines, -MOST * mines, 0, 1, -1]
    assert sum_of(PLAN, to_words(sums).view(np.int64), mines, shape.count) == sums


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mines", [2, 10])
def test_whoever_makes_a_sum_none_is_told_by_a_few_bits_and_nobody_else(shape: Classes, mines: int) -> None:
    """The smallest junk that makes the sum none, spread as evenly as it goes over ever more of the mines; the
    others send the most that is honest.
    """
    limit = mines * (MOST + slack(PLAN, shape.count))
    bits = spoiler_bits(PLAN, shape.count)
    assert slack(PLAN, shape.count) <= MOST / 16
    for cheats in range(1, mines + 1):
        for sign in (1, -1):
            honest = [sign * MOST] * (mines - cheats)
            rest = limit + 1 - MOST * (mines - cheats)
            junk = [sign * (rest // cheats + (i < rest % cheats)) for i in range(cheats)]
            sent = junk + honest
            total = to_words([sum(sent)]).view(np.int64)
            with pytest.raises(OutOfRange, match="word 0 ") as caught:
                sum_of(PLAN, total, mines, shape.count)
            assert caught.value.word == 0
            assert str(sum(sent)) not in str(caught.value)
            out = [is_out_of_range(PLAN, known(value, shape, bits, i)) for i, value in enumerate(sent)]
            assert any(out[:cheats])
            assert not any(out[cheats:])


@given(shapes, st.integers(-MOST, MOST), st.integers(0, 2**30))
def test_an_honest_word_is_never_out_of_range(shape: Classes, value: int, seed: int) -> None:
    assert not is_out_of_range(PLAN, known(value, shape, spoiler_bits(PLAN, shape.count), seed))


def known(value: int, shape: Classes, bits: int, seed: int) -> Measured:
    seeds, one = seeds_of(f"mine {seed}", shape.count), to_words([1])
    [masked] = veiled_words(to_words([value]), seeds, place("x"))
    heard = [told(class_word_value([(one, each, place("x"))]), WORD_BITS, bits) for each in seeds]
    return measured_words([(one, np.array([masked]))], heard, bits)


def test_plans_that_no_words_hold_are_refused() -> None:
    check_plan(PLAN, 3)
    with pytest.raises(PlanError, match="weight_rows is 2; answers in words all weigh 1"):
        check_plan(replace(PLAN, weight_rows=2), 3)
    wide = replace(PLAN, bounds=replace(PLAN.bounds, b_max=1 << 60))
    with pytest.raises(PlanError, match="a sum takes 64 bits and a sign; under masks of words at most 62"):
        check_plan(wide, 3)
    small = replace(PLAN, bounds=replace(PLAN.bounds, b_max=1))
    with pytest.raises(PlanError, match="too small to tell who is out of range"):
        check_plan(small, 3)
