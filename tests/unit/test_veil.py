"""The veil from end to end: masks come off a sum, and bits of one answer are told right."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import numpy as np
import pytest
from gmpy2 import mpz

from sonar.errors import ManifestError
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol.ids import Digest
from sonar.veil.atoms import Atoms, choose
from sonar.veil.classes import Classes
from sonar.veil.envelopes import PUBLIC_BYTES, EnvelopeKey, context, seal
from sonar.veil.functionals import class_value, measured, places, read_vector, spread, told, write_vector
from sonar.veil.masks import class_masks, class_words, class_wraps, read_wraps, veiled, veiled_words
from sonar.veil.streams import Place, seed_hash
from sonar.veil.sums import class_sums, class_word_sums, unveiled, unveiled_words
from tests.unit.paillier_keys import decrypted, small_key

PLAN = SlotPlan.make(
    key_bits=512,
    weights=11,
    bounds=Bounds(weight_max=4 << 16, a_row_l1_max=6 << 20, b_max=4 << 20),
    mines_max=8,
    weight_rows=255,
    free_bits=VEIL_FREE_BITS,
)
KEY = small_key(512)
COUNTS = [Classes(1, 1), Classes(2, 2), Classes(3, 2), Classes(5, 3)]


def place(label: str, round_number: int = 1) -> Place:
    return Place(
        Digest(hashlib.sha256(b"question").digest()), hashlib.sha256(label.encode()).digest(), round_number
    )


def seeds_of(count: int) -> list[bytes]:
    return [secrets.token_bytes(32) for _ in range(count)]


def encrypted(values: Sequence[int]) -> list[mpz]:
    n = KEY.public.n
    return [KEY.public.encrypt(plain % n, secrets.randbelow(2**200) + 2) for plain in PLAN.pack(values)]


def values_of(mine: int) -> list[int]:
    ends = [0, 1, -1, PLAN.update_max, -PLAN.update_max]
    return [ends[(i + mine) % 5] if i % 2 else (i + 1) * 977 * (-1) ** mine for i in range(PLAN.weights)]


@pytest.mark.parametrize("classes", COUNTS)
def test_the_masks_of_a_sum_come_off(classes: Classes) -> None:
    weights, answers = [1, 255, 17], [values_of(mine) for mine in range(3)]
    seeds = [seeds_of(classes.count) for _ in answers]
    updates = [
        veiled(KEY.public, PLAN, encrypted(values), each, place(f"mine {i}"))[0]
        for i, (values, each) in enumerate(zip(answers, seeds, strict=True))
    ]
    total = [KEY.public.weighted_sum(column, weights) for column in zip(*updates, strict=True)]
    opened = [mpz(decrypted(KEY, c)) for c in total]
    n = KEY.public.n
    sums = [
        class_sums(
            n,
            PLAN.ciphertexts,
            (
                (weight, class_masks(each[c], place(f"mine {i}"), n, PLAN.ciphertexts))
                for i, (weight, each) in enumerate(zip(weights, seeds, strict=True))
            ),
        )
        for c in range(classes.count)
    ]
    plain = [int(x) for x in unveiled(n, opened, sums)]
    expected = [
        sum(w * values[i] for w, values in zip(weights, answers, strict=True)) for i in range(PLAN.weights)
    ]
    assert PLAN.unpack(plain, weight=sum(weights)) == expected


@pytest.mark.parametrize("classes", COUNTS)
@pytest.mark.parametrize("bits", [12, 28, PLAN.slot_bits])
def test_bits_of_one_answer_are_told_right(classes: Classes, bits: int) -> None:
    n, size = KEY.public.n, PLAN.slot_bits
    vector = [3, -1, 0, 7, 1, 1, -5, 2, 0, 0, 1]
    vectors, opened, wraps, f = [spread(PLAN, vector)] * 2, [], [], 0
    seeds = seeds_of(classes.count)
    for part in range(2):
        values, where = values_of(part), place("mine", part + 1)
        update, text = veiled(KEY.public, PLAN, encrypted(values), seeds, where)
        opened.append([mpz(decrypted(KEY, c)) for c in update])
        wraps.append(read_wraps(PLAN, text))
        f += sum(v * u for v, u in zip(vector, values, strict=True))
    heard = [
        told(
            class_value(
                PLAN,
                [n] * 2,
                vectors,
                [class_masks(seed, place("mine", r), n, PLAN.ciphertexts) for r in (1, 2)],
                [class_wraps(seed, place("mine", r), size, PLAN.ciphertexts) for r in (1, 2)],
            ),
            size,
            bits,
        )
        for seed in seeds
    ]
    found = measured(PLAN, [n] * 2, vectors, opened, wraps, heard, bits)
    off = (f - found.value + (1 << (size - 1))) % (1 << size) - (1 << (size - 1))
    assert abs(off) <= found.error
    assert found.error <= classes.count * ((1 << (size - bits - 1) if bits < size else 0) + 2 * 21)


def test_vectors_travel() -> None:
    vector = spread(PLAN, range(-5, 6))
    read = read_vector(PLAN, write_vector(PLAN, vector))
    assert [value % (1 << PLAN.slot_bits) for value in vector] == read
    assert len(vector) == places(PLAN) == PLAN.ciphertexts * (PLAN.slots_per_ciphertext + 1)


def test_the_masks_of_words_come_off() -> None:
    count, weights = 40_001, [1, 3]
    seeds = [seeds_of(3) for _ in weights]
    answers = [np.arange(-5, count - 5) * (i + 1) for i in range(2)]
    total = np.zeros(count, np.uint64)
    for i, (weight, words) in enumerate(zip(weights, answers, strict=True)):
        total += veiled_words(words, seeds[i], place(f"mine {i}")) * np.uint64(weight)
    told_sums = []
    for c in range(3):
        start = 0
        for chunk in class_word_sums(
            count, [(w, seeds[i][c], place(f"mine {i}")) for i, w in enumerate(weights)]
        ):
            told_sums.append((start, chunk.copy()))
            start += len(chunk)
    assert (unveiled_words(total, told_sums) == answers[0] + 3 * answers[1]).all()
    whole = class_words(seeds[0][0], place("mine 0"), 0, count)
    assert (class_words(seeds[0][0], place("mine 0"), 16_385, 7) == whole[16_385:16_392]).all()


def test_an_envelope_opens_for_its_member_only() -> None:
    key, other, seeds = EnvelopeKey.new(), EnvelopeKey.new(), seeds_of(2)
    hashes = [seed_hash(seed) for seed in seeds]
    contract, mine = f"0x{1:040x}", f"0x{2:040x}"
    info = context(31337, contract, bytes(32), mine, 1, hashes)  # type: ignore[arg-type]
    envelope = seal(key.public, seeds, info)
    assert len(key.public) == PUBLIC_BYTES
    assert EnvelopeKey.from_bytes(key.to_bytes()).open(envelope, info, hashes) == seeds
    for reader, where in ((other, info), (key, info + b"x")):
        with pytest.raises(ManifestError, match="does not open"):
            reader.open(envelope, where, hashes)
    with pytest.raises(ManifestError, match="another hash"):
        key.open(envelope, info, hashes[::-1])


def test_no_small_atom() -> None:
    mines = [f"m{i}" for i in range(10)]
    atoms = Atoms([frozenset(mines)])
    assert "m9" in atoms.fault(frozenset(mines[:9]), 3)
    assert atoms.fault(frozenset(mines[:7]), 3) == ""
    chosen = choose([frozenset(mines)], frozenset(mines[:9]), 3, lambda bound: bound - 1)
    assert chosen == frozenset(mines[:7])
