"""Answers in words: how they lie in blobs, and what is told of a single one.

Where everybody sees the question, nothing is encrypted, and an answer is signed integers modulo 2^64 under
masks modulo 2^64 (`sonar.veil.masks`). On the wire each is 8 bytes, little-endian: an answer's, a sum's, and
a functional's vector.

A functional is f = <v, u> modulo 2^64. A holder of class c tells the top h bits y_c of <v, m_c>, and

    F = <v, x> - sum_c (y_c 2^(64-h) + 2^(63-h)),    |f - F| <= C 2^(63-h)  modulo 2^64

since each class leaves out less than 2^(64-h), and the middle of that is taken off. There are no carries as
there are between the slots of a plaintext (`sonar.veil.functionals`), and for h = 64 F is f.

A sum that no answers within the bounds can have (`sum_of`) is a mine's or a capsule's doing. Of the first
word that is out of range, all who are in the sum are asked the top `spoiler_bits`. If |sum| > m (B + 2 e), B
what a single answer may have and e the error, somebody has |u| > B + 2 e, so that |F| > B + e, which no
honest answer reaches. So the check leaves `slack` = 2 e, at most B / 16, for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ManifestError, PlanError, UpdateOutOfRange, UsageError
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured
from sonar.veil.masks import CHUNK_WORDS, WORD_BYTES, ZEROS, Words, chunk_buffer
from sonar.veil.streams import Place, stream_from

WORD_BITS = 64
SUM_BITS = 62
"""The most bits of a sum without its sign: what is out of range is then seen, and does not wrap around."""
_SLACK_BITS = 4
_ALL = (1 << WORD_BITS) - 1
_HALF = 1 << (WORD_BITS - 1)


def to_words(values: Sequence[int]) -> Words:
    """Return signed integers as words uint64[values], in two's complement. Raises UsageError."""
    try:
        return np.array(values, dtype=np.int64).view(np.uint64)
    except OverflowError:
        problem = f"a word holds a signed integer of {WORD_BITS} bits; one of the values has more"
        raise UsageError(problem) from None


def write_words(words: Words) -> bytes:
    """Return words uint64[...] as they lie in a blob: 8 bytes each, little-endian."""
    return words.astype("<u8", copy=False).tobytes()


def read_words(data: bytes, count: int, field: str = "blobs") -> Words:
    """Return the words uint64[count] that `write_words` wrote, read-only. Raises ManifestError."""
    if len(data) != count * WORD_BYTES:
        raise ManifestError(
            field, f"has {len(data)} bytes; {count} words of {WORD_BYTES} bytes take {count * WORD_BYTES}"
        )
    return np.frombuffer(data, dtype="<u8").astype(np.uint64, copy=False)


def check_plan(plan: SlotPlan, classes: int) -> None:
    """Check that answers of a plan, and their sum, fit words. Raises PlanError."""
    if plan.weight_rows != 1:
        raise PlanError(
            f"slot plan: weight_rows is {plan.weight_rows}; answers in words all weigh 1",
            hint="set weight_rows to 1",
        )
    if (bits := plan.total_max.bit_length()) > SUM_BITS:
        raise PlanError(
            f"slot plan: a sum takes {bits} bits and a sign; under masks of words at most {SUM_BITS} do",
            hint="lower data_frac, or mines_max",
        )
    spoiler_bits(plan, classes)


def spoiler_bits(plan: SlotPlan, classes: int) -> int:
    """Return how many bits of one word tell whether it is in range: e is then at most update_max / 32.

    Raises PlanError if a word has fewer.
    """
    bits = WORD_BITS + _SLACK_BITS + (classes - 1).bit_length() - (plan.update_max.bit_length() - 1)
    if bits > WORD_BITS:
        raise PlanError(
            f"slot plan: answers up to {plan.update_max} are too small to tell who is out of range",
            hint="raise data_frac",
        )
    return bits


def bits_asked(plan: SlotPlan, classes: int) -> int:
    """Return how many bits of an answer are asked in a round at most, where nobody is scored: one by which
    nothing is told but that it can be opened, and those of one word. Raises PlanError.
    """
    return 1 + spoiler_bits(plan, classes)


def slack(plan: SlotPlan, classes: int) -> int:
    """Return by how much each answer of a sum may be out of range: twice the error of `spoiler_bits`."""
    return classes << (WORD_BITS - spoiler_bits(plan, classes))


def sum_of(plan: SlotPlan, words: NDArray[np.int64], answers: int, classes: int) -> list[int]:
    """Return the sum int[plan.weights] of so many answers, from its words without masks.

    Raises OutOfRange, which never shows a value.
    """
    limit = answers * (plan.update_max + slack(plan, classes))
    values = [int(word) for word in words]
    for index, value in enumerate(values):
        if abs(value) > limit:
            raise OutOfRange(index)
    return values


def is_out_of_range(plan: SlotPlan, found: Measured) -> bool:
    """Tell whether no answer within the bounds has a word of which this much is known."""
    return abs(found.value) > plan.update_max + found.error


class OutOfRange(UpdateOutOfRange):
    """A sum that no answers within the bounds can have: `word` is the first of its words that shows it."""

    def __init__(self, word: int) -> None:
        super().__init__(f"word {word} of the sum is outside the range that the bounds allow")
        self.word = word


def class_word_value(parts: Sequence[tuple[Words, bytes, Place]]) -> int:
    """Return <v, m_c> modulo 2^64 of one class. Nobody but a holder may see it: see `functionals.told`.

    For each part a vector uint64[words], and the seed and place of its masks. Memory: a chunk of words.
    Raises UsageError.
    """
    buffer, mask = chunk_buffer()
    total = 0
    for vector, seed, place in parts:
        cipher = stream_from(seed, "word", place)
        for start in range(0, len(vector), CHUNK_WORDS):
            part = vector[start : start + CHUNK_WORDS]
            cipher.update_into(ZEROS, buffer)
            total += _product(part, mask[: len(part)])
    return total & _ALL


def measured_words(parts: Sequence[tuple[Words, Words]], told: Sequence[int], bits: int) -> Measured:
    """Return what is known of a functional, and how well: in [-2^63, 2^63).

    For each part a vector and a masked answer, uint64[words] both. `told`: one number of `bits` bits of each
    class. Raises UsageError for other lengths or too many bits.
    """
    if not 1 <= bits <= WORD_BITS:
        raise UsageError(f"{bits} bits of a word", hint=f"ask for 1 to {WORD_BITS} bits")
    if any(not 0 <= each < 1 << bits for each in told):
        raise UsageError(f"a class told a number of more than {bits} bits")
    if any(len(vector) != len(answer) for vector, answer in parts):
        raise UsageError("a vector has as many numbers as the answer that it is asked of has words")
    shift = WORD_BITS - bits
    middle = (1 << shift) >> 1
    total = sum(_product(vector, answer) for vector, answer in parts)
    total -= sum((each << shift) + middle for each in told)
    return Measured(((total + _HALF) & _ALL) - _HALF, len(told) * middle)


def _product(vector: NDArray[np.uint64], words: NDArray[np.uint64]) -> int:
    return int((vector * words).sum(dtype=np.uint64))
