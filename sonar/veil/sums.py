"""Opening a sum: what each holder of a class tells of it, and how the masks come off.

With row weights r_i over the set that is fixed on the chain, a holder of class c tells T_c = sum_i r_i M_ci
modulo n for each ciphertext. The scientist opens the weighted sum of the ciphertexts and subtracts:

    sum_i r_i X_i - sum_c T_c = sum_i r_i P_i  modulo n

which is exact, as slots have room for the fullest sum (`sonar.paillier.slots`). For words the same holds
modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import UsageError
from sonar.veil.masks import CHUNK_WORDS, ZEROS, Words, chunk_buffer
from sonar.veil.streams import Place, stream_from


def class_sums(n: mpz, count: int, masks: Iterable[tuple[int, Sequence[mpz]]]) -> list[mpz]:
    """Return sum_i r_i M_i modulo n of one class, for each of `count` ciphertexts.

    `masks`: (r_i, M_i) of each answer, taken one after the other. Raises UsageError for another number of
    masks.
    """
    totals = [mpz(0)] * count
    for weight, each in masks:
        _check_count("masks", each, count)
        totals = [total + weight * mask for total, mask in zip(totals, each, strict=True)]
    return [total % n for total in totals]


def unveiled(n: mpz, opened: Sequence[mpz], classes: Sequence[Sequence[mpz]]) -> list[mpz]:
    """Return the signed plaintexts of a sum, in (-n/2, n/2), one for each ciphertext.

    `opened`: the decrypted weighted sum, modulo n. `classes`: what a holder of each class told.
    Raises UsageError for another number of sums.
    """
    for sums in classes:
        _check_count("class sums", sums, len(opened))
    plain = [(x - sum(masks)) % n for x, *masks in zip(opened, *classes, strict=True)]
    return [x if 2 * x < n else x - n for x in plain]


def word_sum(answers: Sequence[tuple[int, Words]]) -> Words:
    """Return sum_i r_i x_i modulo 2^64, uint64[words]: what the scientist takes the masks off.

    `answers`: (r_i, x_i) of each, all of one length. Raises UsageError.
    """
    if not answers or any(len(words) != len(answers[0][1]) for _, words in answers):
        raise UsageError("a sum takes at least one answer, and all of the same number of words")
    total = np.zeros(len(answers[0][1]), np.uint64)
    for start in range(0, len(total), CHUNK_WORDS):  # a chunk of the total stays in the cache
        part = total[start : start + CHUNK_WORDS]
        for weight, words in answers:
            part += _times(words[start : start + CHUNK_WORDS], weight)
    return total


def class_word_sums(count: int, answers: Sequence[tuple[int, bytes, Place]]) -> Iterator[Words]:
    """Give sum_i r_i m_i modulo 2^64 of one class over `count` words, in chunks of at most 16,384 words.

    `answers`: (r_i, seed, place) of each answer. Memory: a chunk, and a cipher's state for each answer. The
    chunks share one buffer: use each before the next is asked for. Raises UsageError.
    """
    ciphers = [(weight, stream_from(seed, "word", place)) for weight, seed, place in answers]
    buffer, mask = chunk_buffer()
    total = np.empty(CHUNK_WORDS, np.uint64)
    for start in range(0, count, CHUNK_WORDS):
        total.fill(0)
        for weight, cipher in ciphers:
            cipher.update_into(ZEROS, buffer)
            total += _times(mask, weight)
        yield total[: count - start]


def unveiled_words(total: Words, classes: Iterable[tuple[int, Words]]) -> NDArray[np.int64]:
    """Return the signed words int64[len(total)] of a sum of masked words.

    `classes`: what holders told, in any chunks: the number of the first word, and the words; all of every
    class. Raises UsageError for words outside the sum.
    """
    plain = total.copy()
    for start, sums in classes:
        if not 0 <= start <= start + len(sums) <= len(total):
            raise UsageError(f"words {start} to {start + len(sums)} of a sum of {len(total)} words")
        plain[start : start + len(sums)] -= sums
    return plain.view(np.int64)


def _times(words: Words, weight: int) -> Words:
    return words if weight == 1 else words * np.uint64(weight % 2**64)


def _check_count(what: str, values: Sequence[mpz], count: int) -> None:
    if len(values) != count:
        raise UsageError(f"{len(values)} {what}, and there are {count} ciphertexts")
