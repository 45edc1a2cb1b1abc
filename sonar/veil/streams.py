"""Seeds, and the streams of bytes that masks are made of.

    key    = HMAC-SHA256(seed, "sonar veil 1" || purpose || question || nonce || round)
    stream = AES-256 in counter mode under that key, from a counter of zero, over zeros

Purposes have four letters, question and nonce 32 bytes, round 4, so no two places share an input. An update's
nonce is fresh: without it, two answers under one question would have the same masks, and their difference
would be open.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

from sonar.errors import UsageError
from sonar.protocol.ids import Digest

SEED_BYTES = 32
NONCE_BYTES = 32
DOMAIN = b"sonar veil 1"
BLOCK_BYTES = 16
_HASH_DOMAIN = b"sonar veil seed 1"
_MAX_ROUND = 255

Purpose = Literal["mask", "wrap", "word"]
"""What a stream is for: masks modulo n, numbers that hide how often these wrap, masks modulo 2^64."""


@dataclass(frozen=True)
class Place:
    """Which answer: the digest of the round's model manifest, the update's nonce, the round.

    Raises UsageError for another length, or a round that no bounty has.
    """

    question: Digest
    nonce: bytes
    round: int

    def __post_init__(self) -> None:
        _check_length("a question's digest", self.question, 32)
        _check_length("an update's nonce", self.nonce, NONCE_BYTES)
        if not 1 <= self.round <= _MAX_ROUND:
            raise UsageError(f"round {self.round}; a bounty has rounds 1 to {_MAX_ROUND}")

    def to_bytes(self) -> bytes:
        """Return question, nonce and round (4 bytes, big-endian), one after the other."""
        return self.question + self.nonce + self.round.to_bytes(4, "big")


def seed_hash(seed: bytes) -> bytes:
    """Return the hash of a seed, 32 bytes, as manifests publish it. Raises UsageError."""
    _check_length("a seed", seed, SEED_BYTES)
    return hashlib.sha256(_HASH_DOMAIN + seed).digest()


def stream_key(seed: bytes, purpose: Purpose, place: Place) -> bytes:
    """Return the AES key of one stream, 32 bytes. Raises UsageError."""
    _check_length("a seed", seed, SEED_BYTES)
    mac = HMAC(seed, hashes.SHA256())
    mac.update(DOMAIN + purpose.encode() + place.to_bytes())
    return mac.finalize()


def stream_from(seed: bytes, purpose: Purpose, place: Place, block: int = 0) -> CipherContext:
    """Return a cipher that turns zeros into the stream, from 16 bytes times `block` on."""
    cipher = algorithms.AES256(stream_key(seed, purpose, place))
    return Cipher(cipher, modes.CTR(block.to_bytes(BLOCK_BYTES, "big"))).encryptor()


def stream(seed: bytes, purpose: Purpose, place: Place, count: int) -> bytes:
    """Return the first `count` bytes of a stream."""
    return stream_from(seed, purpose, place).update(bytes(count))


def _check_length(what: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise UsageError(f"{what} has {length} bytes, not {len(value)}")
