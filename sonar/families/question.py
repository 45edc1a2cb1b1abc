"""The numbers of a question that everybody sees, as a blob: 8 bytes each, signed and big-endian.

A question without numbers is written as one zero, since a blob has at least one byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from gmpy2 import mpz

from sonar.errors import ManifestError
from sonar.families.base import MineSide
from sonar.paillier.public import PublicKey

BYTES = 8
Spec = TypeVar("Spec")
_HINT = "the bounty is malformed: do not join it, and tell its scientist"


def bytes_of(family: MineSide[Spec, Any], spec: Spec, key: PublicKey) -> int:
    """Return how long the blob of a question is."""
    count = family.numbers(spec)
    return BYTES * max(count, 1) if family.visible else count * key.ciphertext_bytes


def read_question(family: MineSide[Spec, Any], spec: Spec, key: PublicKey, blob: bytes) -> list[mpz]:
    """Return what a blob asks about: ciphertexts, each checked, or the numbers that everybody sees.

    Raises CiphertextError, ManifestError.
    """
    count = family.numbers(spec)
    return list(map(mpz, read_visible(blob, count))) if family.visible else key.decode_blob(blob, count)


def write_visible(numbers: Sequence[int]) -> bytes:
    """Return visible numbers as a blob; each takes 8 bytes with its sign."""
    return b"".join(int(number).to_bytes(BYTES, "big", signed=True) for number in numbers or (0,))


def read_visible(blob: bytes, count: int) -> list[int]:
    """Return `count` visible numbers. Raises ManifestError, which names the field."""
    if len(blob) != BYTES * max(count, 1):
        problem = f"have {len(blob)} bytes; {count} visible numbers of {BYTES} bytes are expected"
        raise ManifestError("model.blobs", problem, hint=_HINT)
    if not count and any(blob):
        raise ManifestError("model.blobs", "hold a number, and the question has none: zero", hint=_HINT)
    parts = (blob[at : at + BYTES] for at in range(0, BYTES * count, BYTES))
    return [int.from_bytes(part, "big", signed=True) for part in parts]
