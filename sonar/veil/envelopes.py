"""Envelopes: a member's seeds, sealed for it.

HPKE in base mode (RFC 9180) with the KEM of ML-KEM-768 and X25519, HKDF-SHA256 and AES-256-GCM. An envelope
lies in a store for ever, so what hides the seeds must outlive Paillier: it takes breaking both KEMs. `info`
binds chain, contract, bounty, mine, the capsule's epoch and the hashes of all seeds (`context`): an envelope
that is shown elsewhere, or beside other hashes, does not open.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from sonar.errors import KeyFileError, ManifestError, UsageError
from sonar.protocol.ids import Address, BountyId
from sonar.veil.streams import SEED_BYTES, seed_hash

PUBLIC_BYTES = 1216
PRIVATE_BYTES = 96
_MLKEM_PUBLIC, _MLKEM_SEED = 1184, 64
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN = b"sonar veil envelope 1"
_NO_KEY = "is no public key of ML-KEM-768 and X25519"
EXCESS_BYTES = KEM.MLKEM768_X25519.enc_length() + 16
"""What an envelope takes beside the seeds: the KEM's ciphertext and the tag."""


class EnvelopeKey:
    """A capsule's private key for one epoch. Its bytes are secret; it shows nothing of them."""

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._mlkem, self._x25519 = mlkem, x25519

    @classmethod
    def new(cls) -> EnvelopeKey:
        """Draw a key from the system's randomness."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, data: bytes) -> EnvelopeKey:
        """Read what `to_bytes` wrote. Raises KeyFileError."""
        if len(data) != PRIVATE_BYTES:
            raise KeyFileError(f"an envelope key has {PRIVATE_BYTES} bytes, not {len(data)}")
        mlkem = MLKEM768PrivateKey.from_seed_bytes(data[:_MLKEM_SEED])
        return cls(mlkem, X25519PrivateKey.from_private_bytes(data[_MLKEM_SEED:]))

    def to_bytes(self) -> bytes:
        """Return the private key, 96 bytes: the seed of ML-KEM-768, then the X25519 key."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    @cached_property
    def public(self) -> bytes:
        """The public key, 1,216 bytes: that of ML-KEM-768, then X25519's."""
        return self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()

    def open(self, envelope: bytes, context: bytes, hashes: Sequence[bytes]) -> list[bytes]:
        """Return the seeds in an envelope, if they are the ones with these hashes, in order.

        `hashes` are those of the classes that the member holds, ascending. Raises ManifestError.
        """
        expected = EXCESS_BYTES + SEED_BYTES * len(hashes)
        if len(envelope) != expected:
            _refuse(f"has {len(envelope)} bytes; one with {len(hashes)} seeds has {expected}")
        key = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
        try:
            data = _SUITE.decrypt(envelope, key, context)
        except (InvalidTag, ValueError):
            _refuse("does not open: it was sealed for another key, bounty, mine or epoch, or changed")
        seeds = [data[i : i + SEED_BYTES] for i in range(0, len(data), SEED_BYTES)]
        for index, (seed, published) in enumerate(zip(seeds, hashes, strict=True)):
            if seed_hash(seed) != published:
                _refuse(f"holds a seed {index} with another hash than the manifest says")
        return seeds

    def __repr__(self) -> str:
        return f"EnvelopeKey(public={self.public[:4].hex()}…)"


def context(
    chain_id: int, contract: Address, bounty: BountyId, mine: Address, epoch: int, hashes: Sequence[bytes]
) -> bytes:
    """Return `info` for a mine's envelope to a capsule at `epoch`; `hashes` are those of all classes' seeds.

    domain || chain (8 bytes) || contract (20) || bounty (32) || mine (20) || epoch (4) || hashes (32 each).
    Raises UsageError for a number or hash that does not fit.
    """
    if any(len(each) != 32 for each in hashes) or len(bounty) != 32:
        raise UsageError("a seed's hash and a bounty's id have 32 bytes")
    try:
        numbers = chain_id.to_bytes(8, "big"), epoch.to_bytes(4, "big")
    except OverflowError:
        raise UsageError(f"chain {chain_id} or epoch {epoch} does not fit into 8 and 4 bytes") from None
    addresses = [bytes.fromhex(address.removeprefix("0x")) for address in (contract, mine)]
    return b"".join([_DOMAIN, numbers[0], addresses[0], bounty, addresses[1], numbers[1], *hashes])


def seal(public: bytes, seeds: Sequence[bytes], context: bytes) -> bytes:
    """Return an envelope with `seeds` for the holder of `public`. Two of the same are different.

    Raises ManifestError for a public key that is none, and UsageError for a seed of another length.
    """
    if any(len(seed) != SEED_BYTES for seed in seeds):
        raise UsageError(f"a seed has {SEED_BYTES} bytes")
    try:
        return _SUITE.encrypt(b"".join(seeds), _public_key(public), context)
    except ValueError:  # a point of small order: the shared secret would be known to everybody
        raise ManifestError("hpke", _NO_KEY) from None


def _public_key(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_BYTES:
        raise ManifestError("hpke", f"has {len(public)} bytes; a capsule's public key has {PUBLIC_BYTES}")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC])
        x25519 = X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:])
    except ValueError:
        raise ManifestError("hpke", _NO_KEY) from None
    return MLKEM768X25519PublicKey(mlkem, x25519)


def _refuse(problem: str) -> NoReturn:
    raise ManifestError("veil.envelopes", problem)
