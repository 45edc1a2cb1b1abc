"""Laws of streams, masks and sums: no two places share a stream, and masks come off sums exactly."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import assume, given
from hypothesis import strategies as st

from sonar.errors import ManifestError, PlanError, SonarError, UsageError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.masks import (
    CHUNK_WORDS,
    class_masks,
    class_words,
    class_wraps,
    read_wraps,
    veiled,
    veiled_words,
    write_wraps,
)
from sonar.veil.streams import DOMAIN, Place, Purpose, seed_hash, stream, stream_from, stream_key
from sonar.veil.sums import class_sums, class_word_sums, unveiled, unveiled_words, word_sum
from tests.unit.veil_kit import clear, keys_and_plans, place, read, seeds_of, shapes, updates

bytes32 = st.binary(min_size=32, max_size=32)
places = st.builds(Place, bytes32.map(Digest), bytes32, st.integers(1, 255))
purposes: st.SearchStrategy[Purpose] = st.sampled_from(("mask", "wrap", "word"))
streams = st.tuples(bytes32, purposes, places)
SEED = bytes(range(32))


@given(streams, streams)
def test_no_two_places_share_a_stream(
    one: tuple[bytes, Purpose, Place], other: tuple[bytes, Purpose, Place]
) -> None:
    assume(one != other)
    assert stream_key(*one) != stream_key(*other)
    assert stream(*one, 64) != stream(*other, 64)


@given(bytes32, purposes, places, st.data())
def test_each_part_of_a_place_counts(
    seed: bytes, purpose: Purpose, where: Place, data: st.DataObject
) -> None:
    """One bit, anywhere, makes another stream; and no part can run into the next."""
    text = where.to_bytes()
    assert len(DOMAIN + purpose.encode() + text) == 12 + 4 + 32 + 32 + 4
    bit = data.draw(st.integers(0, 64 * 8 - 1))
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    other = Place(Digest(bytes(changed[:32])), bytes(changed[32:64]), where.round)
    later = replace(where, round=where.round % 255 + 1)
    assert len({stream_key(seed, purpose, each) for each in (where, other, later)}) == 3


@given(bytes32, places, st.integers(0, 1000), st.integers(0, 100))
def test_a_stream_can_be_entered_anywhere(seed: bytes, where: Place, start: int, count: int) -> None:
    whole = stream(seed, "word", where, 8 * (start + count))
    words = class_words(seed, where, start, count)
    assert words.tolist() == [
        int.from_bytes(whole[8 * i : 8 * i + 8], "little") for i in range(start, start + count)
    ]
    block = start // 2
    assert (
        stream_from(seed, "word", where, block).update(bytes(16))
        == stream(seed, "word", where, 16 * block + 16)[-16:]
    )


@given(keys_and_plans(), shapes, st.data())
def test_the_masks_of_a_sum_come_off(
    key_and_plan: tuple[PublicKey, SlotPlan], shape: Classes, data: st.DataObject
) -> None:
    """Exactly, whatever the plan, the weights, and the values within their bounds."""
    key, plan = key_and_plan
    n, count = key.n, plan.ciphertexts
    answers = data.draw(st.lists(updates(plan), min_size=1, max_size=min(3, plan.mines_max)))
    weights = [data.draw(st.integers(1, plan.weight_rows)) for _ in answers]
    weights[0] = plan.weight_rows * (plan.mines_max - len(answers) + 1)  # stands for all that are not drawn
    seeds = [seeds_of(f"mine {i}", shape.count) for i in range(len(answers))]
    masked = [
        veiled(key, plan, clear(key, plan.pack(values)), seeds[i], place(f"mine {i}"))[0]
        for i, values in enumerate(answers)
    ]
    total = [key.weighted_sum(column, weights) for column in zip(*masked, strict=True)]
    told = [
        class_sums(
            n,
            count,
            ((w, class_masks(seeds[i][c], place(f"mine {i}"), n, count)) for i, w in enumerate(weights)),
        )
        for c in range(shape.count)
    ]
    plain = [int(x) for x in unveiled(n, read(key, total), told)]
    expected = [sum(w * u[i] for w, u in zip(weights, answers, strict=True)) for i in range(plan.weights)]
    assert plan.unpack(plain, weight=sum(weights)) == expected


@given(keys_and_plans(), shapes, st.data())
def test_wraps_count_how_often_the_masks_wrap(
    key_and_plan: tuple[PublicKey, SlotPlan], shape: Classes, data: st.DataObject
) -> None:
    key, plan = key_and_plan
    where, seeds = place("mine"), seeds_of(str(data.draw(st.integers())), shape.count)
    plain = plan.pack(data.draw(updates(plan)))
    masked, text = veiled(key, plan, clear(key, plain), seeds, where)
    masks = [class_masks(seed, where, key.n, plan.ciphertexts) for seed in seeds]
    hidden = [class_wraps(seed, where, plan.slot_bits, plan.ciphertexts) for seed in seeds]
    for j, (x, wrap) in enumerate(zip(read(key, masked), read_wraps(plan, text), strict=True)):
        kappa = (wrap - sum(each[j] for each in hidden)) % (1 << plan.slot_bits)
        assert 0 <= kappa < shape.count
        assert plain[j] + sum(each[j] for each in masks) == x + kappa * key.n
        assert all(0 <= each[j] < key.n for each in masks)
        assert all(0 <= each[j] < 1 << plan.slot_bits for each in hidden)


def test_masking_and_blinding_may_come_in_any_order() -> None:
    plan = SlotPlan.make(
        key_bits=512, weights=3, bounds=Bounds(9, 9, 9), mines_max=3, weight_rows=9, free_bits=VEIL_FREE_BITS
    )
    key, seeds = PublicKey(mpz(1 << 511) + 1), seeds_of("mine", 3)
    ciphertexts, blinding = clear(key, plan.pack([1, -2, 3])), mpz(3) ** 500
    before, _ = veiled(key, plan, [key.rerandomise(c, blinding) for c in ciphertexts], seeds, place("mine"))
    after, _ = veiled(key, plan, ciphertexts, seeds, place("mine"))
    assert before == [key.rerandomise(c, blinding) for c in after]


@given(
    shapes,
    st.integers(1, 3 * CHUNK_WORDS),
    st.lists(st.integers(0, 2**64), min_size=1, max_size=3),
    st.data(),
)
def test_the_masks_of_words_come_off(
    shape: Classes, count: int, weights: list[int], data: st.DataObject
) -> None:
    """Modulo 2^64, so any words and weights."""
    ends = np.array([0, 1, -1, 2**63 - 1, -(2**63)], dtype=np.int64)
    answers = [np.resize(np.roll(ends, data.draw(st.integers(0, 4))), count) for _ in weights]
    seeds = [seeds_of(f"mine {i}", shape.count) for i in range(len(weights))]
    masked = []
    expected = np.zeros(count, np.uint64)
    for i, (weight, words) in enumerate(zip(weights, answers, strict=True)):
        kept = words.copy()
        masked.append((weight, veiled_words(words, seeds[i], place(f"mine {i}"))))
        expected += words.astype(np.uint64) * np.uint64(weight % 2**64)
        assert (words == kept).all()
    told = []
    for c in range(shape.count):
        holds = [(weight, seeds[i][c], place(f"mine {i}")) for i, weight in enumerate(weights)]
        start = 0
        for chunk in class_word_sums(count, holds):
            told.append((start, chunk.copy()))
            start += len(chunk)
        assert start == count
    assert (unveiled_words(word_sum(masked), told).view(np.uint64) == expected).all()


def test_chunks_are_the_stream() -> None:
    count = 2 * CHUNK_WORDS + 5
    masked = veiled_words(np.zeros(count, np.int64), [SEED], place("mine"))
    assert (masked == class_words(SEED, place("mine"), 0, count)).all()


def test_masks_look_uniform() -> None:
    """Modulo three quarters of a power of two: of numbers as long as n, half would be in the lowest third."""
    n = mpz(3) << 510 | 1
    masks = class_masks(SEED, place("mine"), n, 4000)
    assert abs(sum(3 * mask < n for mask in masks) - 4000 / 3) < 6 * (4000 * 2 / 9) ** 0.5
    wraps = class_wraps(SEED, place("mine"), 53, 4000)
    assert abs(sum(wrap >> 52 for wrap in wraps) - 2000) < 6 * 4000**0.5 / 2
    assert len(set(masks)) == len(set(wraps)) == 4000


PLAN = SlotPlan.make(
    key_bits=512, weights=20, bounds=Bounds(9, 9, 9), mines_max=3, weight_rows=9, free_bits=VEIL_FREE_BITS
)
KEY = PublicKey(mpz(1 << 511) + 1)


def test_wraps_of_another_length_or_size_are_refused() -> None:
    wraps = list(range(PLAN.ciphertexts))
    text = write_wraps(PLAN, wraps)
    assert read_wraps(PLAN, text) == wraps
    for junk in (b"", text[:-1], text + b"\0"):
        with pytest.raises(ManifestError, match=rf"veil.wraps: has {len(junk)} bytes"):
            read_wraps(PLAN, junk)
    assert PLAN.slot_bits % 8
    with pytest.raises(ManifestError, match="number 0 has more than"):
        read_wraps(PLAN, b"\xff" + text[1:])


@given(st.binary(max_size=80))
def test_wraps_from_anyone_are_read_or_refused(data: bytes) -> None:
    with suppress(ManifestError):
        assert write_wraps(PLAN, read_wraps(PLAN, data)) == data


JUNK: list[tuple[Any, str]] = [
    (lambda: Place(Digest(b"x"), bytes(32), 1), "a question's digest has 32 bytes, not 1"),
    (lambda: Place(Digest(bytes(32)), bytes(31), 1), "an update's nonce has 32 bytes, not 31"),
    (lambda: place("mine", 0), "round 0; a bounty has rounds 1 to 255"),
    (lambda: place("mine", 256), "round 256"),
    (lambda: seed_hash(bytes(33)), "a seed has 32 bytes, not 33"),
    (lambda: class_masks(b"", place("mine"), KEY.n, 1), "a seed has 32 bytes, not 0"),
    (lambda: class_words(b"", place("mine"), 0, 1), "a seed has 32 bytes, not 0"),
    (lambda: veiled(KEY, PLAN, [], [SEED], place("mine")), "got 0 of 512 bits"),
    (
        lambda: veiled(PublicKey(KEY.n * 3), PLAN, [mpz(1)] * PLAN.ciphertexts, [SEED], place("mine")),
        f"got {PLAN.ciphertexts} of 513 bits",
    ),
    (lambda: veiled(KEY, PLAN, [mpz(1)] * PLAN.ciphertexts, [], place("mine")), "at least one class"),
    (lambda: veiled_words(cast(Any, np.zeros(3, np.int32)), [SEED], place("mine")), "got int32(3,)"),
    (lambda: veiled_words(np.zeros((3, 1), np.int64), [SEED], place("mine")), "got int64(3, 1)"),
    (lambda: class_sums(KEY.n, 2, [(1, [mpz(1)])]), "1 masks, and there are 2 ciphertexts"),
    (lambda: unveiled(KEY.n, [mpz(1)], [[]]), "0 class sums, and there are 1 ciphertexts"),
    (
        lambda: unveiled_words(np.zeros(3, np.uint64), [(1, np.zeros(3, np.uint64))]),
        "words 1 to 4 of a sum of 3 words",
    ),
    (lambda: word_sum([]), "at least one answer"),
    (
        lambda: word_sum([(1, np.zeros(2, np.uint64)), (1, np.zeros(1, np.uint64))]),
        "the same number of words",
    ),
    (lambda: unveiled_words(np.zeros(3, np.uint64), [(-1, np.zeros(1, np.uint64))]), "words -1 to 0"),
]


@pytest.mark.parametrize("number", range(len(JUNK)))
def test_junk_is_refused(number: int) -> None:
    make, problem = JUNK[number]
    with pytest.raises(SonarError, match=re.escape(problem)) as caught:
        make()
    assert isinstance(caught.value, UsageError | PlanError)


def test_a_veiled_update_takes_hardly_more_ciphertexts() -> None:
    """4,096 weights: at most 1.1 times as many, for 41 bits less in each."""
    limits = Bounds(weight_max=1000 << 16, a_row_l1_max=3 << 20, b_max=1500 << 20)
    plain, masked = (
        SlotPlan.make(
            key_bits=2048, weights=4096, bounds=limits, mines_max=64, weight_rows=40, free_bits=free_bits
        )
        for free_bits in (0, VEIL_FREE_BITS)
    )
    assert plain.ciphertexts < masked.ciphertexts <= 1.1 * plain.ciphertexts
