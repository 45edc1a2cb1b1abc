"""Masks: what a mine adds to its answer, and what a capsule can make again from a seed.

Under Paillier, ciphertext j of an answer P carries

    X_j = P_j + sum_c M_cj  modulo n

where M_cj is uniform in [0, n) but for 2^-128. So X_j is uniform, whatever weights it was computed on. How
often the masks wrap, kappa_j = floor(sum_c M_cj / n), would tell about P where X is known. It travels as

    K_j = kappa_j + sum_c s_cj  modulo 2^slot_bits

with s_cj uniform, one of every class: nobody who misses a class learns anything of it. Nobody ever needs it
in the clear (`sonar.veil.functionals`).

Where nothing is encrypted, words modulo 2^64 are masked by words: x = u + sum_c m_c.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import ManifestError, PlanError, UsageError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.veil.streams import BLOCK_BYTES, Place, stream, stream_from

Words = NDArray[np.uint64]
WORD_BYTES = 8
CHUNK_WORDS = 1 << 14
"""Words are masked and summed in chunks of so many: 128 KiB, which stay in a core's cache."""
ZEROS = bytes(WORD_BYTES * CHUNK_WORDS)
EXCESS_BYTES = 16
"""Drawn beyond the length of n, so that what is left of a bias is below 2^-128."""


def class_masks(seed: bytes, place: Place, n: mpz, count: int) -> list[mpz]:
    """Return M_c in [0, n), one for each of `count` ciphertexts.

    Number j is made of bytes j w to (j + 1) w of the stream "mask", big-endian, modulo n; w is 16 more than
    n takes. Raises UsageError.
    """
    width = (int(n.bit_length()) + 7) // 8 + EXCESS_BYTES
    return [number % n for number in _numbers(stream(seed, "mask", place, width * count), width)]


def class_wraps(seed: bytes, place: Place, slot_bits: int, count: int) -> list[int]:
    """Return s_c in [0, 2^slot_bits), one for each of `count` ciphertexts.

    Number j is made of as few bytes of the stream "wrap" as hold it, big-endian, modulo 2^slot_bits.
    Raises UsageError.
    """
    width, mask = _wrap_bytes(slot_bits), (1 << slot_bits) - 1
    return [int(number) & mask for number in _numbers(stream(seed, "wrap", place, width * count), width)]


def class_words(seed: bytes, place: Place, start: int, count: int) -> Words:
    """Return m_c, uint64[count], from word `start` on: the stream "word", little-endian. Raises
    UsageError.
    """
    skipped = start % (BLOCK_BYTES // WORD_BYTES)
    cipher = stream_from(seed, "word", place, start * WORD_BYTES // BLOCK_BYTES)
    data = cipher.update(bytes(WORD_BYTES * (skipped + count)))
    return np.frombuffer(data, dtype="<u8")[skipped:].astype(np.uint64, copy=False)


def veiled(
    key: PublicKey, plan: SlotPlan, ciphertexts: Sequence[mpz], seeds: Sequence[bytes], place: Place
) -> tuple[list[mpz], bytes]:
    """Return masked ciphertexts, one for one, and `Veil.wraps`: the K_j, as `read_wraps` reads them.

    `seeds` are of all classes, ascending. The ciphertexts are not re-randomised: multiply each by a fresh
    blinding before or afterwards. Raises UsageError, and PlanError for a plan of another key or size.
    """
    if key.bits != plan.key_bits or len(ciphertexts) != plan.ciphertexts:
        raise PlanError(
            f"the slot plan is for {plan.ciphertexts} ciphertexts of a key of {plan.key_bits} bits, got "
            f"{len(ciphertexts)} of {key.bits} bits"
        )
    if not seeds:
        raise UsageError("a veil has at least one class of seeds, got none")
    count, slot_bits = plan.ciphertexts, plan.slot_bits
    masks = [class_masks(seed, place, key.n, count) for seed in seeds]
    hidden = [class_wraps(seed, place, slot_bits, count) for seed in seeds]
    sums = [divmod(sum(column), key.n) for column in zip(*masks, strict=True)]
    covered = [_added(key, mpz(c), mask) for c, (_, mask) in zip(ciphertexts, sums, strict=True)]
    wraps = [
        int(kappa) + sum(column) for (kappa, _), column in zip(sums, zip(*hidden, strict=True), strict=True)
    ]
    return covered, write_wraps(plan, wraps)


def write_wraps(plan: SlotPlan, wraps: Sequence[int]) -> bytes:
    """Return the K_j modulo 2^slot_bits, big-endian, each in as few bytes as hold one."""
    width, mask = _wrap_bytes(plan.slot_bits), (1 << plan.slot_bits) - 1
    return b"".join((wrap & mask).to_bytes(width, "big") for wrap in wraps)


def read_wraps(plan: SlotPlan, wraps: bytes) -> list[int]:
    """Return the K_j of an update, one for each ciphertext. Raises ManifestError."""
    width = _wrap_bytes(plan.slot_bits)
    if len(wraps) != width * plan.ciphertexts:
        raise ManifestError(
            "veil.wraps",
            f"has {len(wraps)} bytes; {plan.ciphertexts} numbers of {plan.slot_bits} bits take "
            f"{width * plan.ciphertexts}",
        )
    numbers = [int(number) for number in _numbers(wraps, width)]
    for index, number in enumerate(numbers):
        if number >> plan.slot_bits:
            raise ManifestError("veil.wraps", f"number {index} has more than {plan.slot_bits} bits")
    return numbers


def veiled_words(words: NDArray[np.int64] | Words, seeds: Sequence[bytes], place: Place) -> Words:
    """Return uint64[len(words)]: an answer's words plus the masks of all classes, modulo 2^64.

    `seeds` are of all classes. Raises UsageError.
    """
    if words.ndim != 1 or words.dtype not in (np.dtype(np.int64), np.dtype(np.uint64)):
        raise UsageError(f"words are 64-bit integers in one dimension, got {words.dtype}{words.shape}")
    covered = words.astype(np.uint64)
    add_masks(covered, seeds, place)
    return covered


def add_masks(words: Words, seeds: Sequence[bytes], place: Place) -> None:
    """Add the masks of all classes to an answer's words uint64[...], in place. Raises UsageError."""
    ciphers = [stream_from(seed, "word", place) for seed in seeds]
    buffer, mask = chunk_buffer()
    for start in range(0, len(words), CHUNK_WORDS):
        part = words[start : start + CHUNK_WORDS]
        for cipher in ciphers:
            cipher.update_into(ZEROS, buffer)
            part += mask[: len(part)]


def chunk_buffer() -> tuple[bytearray, Words]:
    """Return a buffer for a chunk of a stream, and the words in it."""
    buffer = bytearray(len(ZEROS) + BLOCK_BYTES - 1)  # `update_into` asks for a block more, less one byte
    return buffer, np.frombuffer(buffer, dtype="<u8", count=CHUNK_WORDS)


def _added(key: PublicKey, c: mpz, mask: mpz) -> mpz:
    """Enc(x + mask) of c = Enc(x): c (1 + n mask) modulo n^2, with one reduction modulo n only."""
    high, low = divmod(c, key.n)
    return low + key.n * ((high + low * mask) % key.n)


def _wrap_bytes(slot_bits: int) -> int:
    return (slot_bits + 7) // 8


def _numbers(data: bytes, width: int) -> list[mpz]:
    return [mpz(int.from_bytes(data[i : i + width], "big")) for i in range(0, len(data), width)]
