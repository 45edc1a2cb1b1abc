"""Names of accounts and bounties, and of bytes by their hash, and how a person writes them.

A CID names some bytes: version 1, sha2-256, and one of two codecs, so that the same bytes have one name in
every store. A blob is bytes of any length, in parts that a store takes and that peers on IPFS pass on, each
of `PART_BYTES`, the last one shorter or as long. A manifest links to all of them, in order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NewType

from sonar.errors import ConfigError, ManifestError

Address = NewType("Address", str)
"""An account or contract: 0x and 40 hex digits, EIP-55 checksummed."""
BountyId = NewType("BountyId", bytes)
"""A bounty: 32 bytes."""
Digest = NewType("Digest", bytes)
"""A sha2-256 digest: 32 bytes."""

ETHER = Address("0x" + "0" * 40)
"""The asset that stands for the chain's own coin."""
ZERO32 = b"\0" * 32


def parse_address(text: str, field: str = "address") -> Address:
    """Return `text` as a checksummed address. Mixed case must be the right checksum. Raises ConfigError."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        problem = f"{text[:80]!r} is not an address (0x and 40 hex digits)"
        raise ConfigError(field, problem, hint="copy it whole, as a wallet shows it")
    from sonar.protocol.keccak import checksummed  # most commands' help reads no address

    address = checksummed(bytes.fromhex(text[2:]))
    if text != address and text[2:] not in (text[2:].lower(), text[2:].upper()):
        raise ConfigError(field, f"{text} has a wrong checksum", hint="copy the address again")
    return Address(address)


def parse_bytes32(text: str, field: str) -> bytes:
    """Return 32 bytes from hex, with or without 0x. Raises ConfigError."""
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        raise ConfigError(field, f"{text[:80]!r} is not 32 bytes in hex (64 digits)")
    return bytes.fromhex(text.removeprefix("0x"))


def parse_bounty(text: str, field: str = "bounty") -> BountyId:
    """Return a bounty id from hex. Raises ConfigError."""
    return BountyId(parse_bytes32(text, field))


def abbreviates(text: str, field: str = "bounty") -> Callable[[bytes], bool]:
    """Return a test whether `text` stands for an id: its first digits in hex, with or without "0x".

    Also as the tables show it, first and last digits: "0x7dba…9602", in ASCII with three dots. Raises
    ConfigError on anything else.
    """
    found = re.fullmatch(r"(?:0x)?([0-9a-f]{1,64})(?:(?:…|\.{3})([0-9a-f]{1,64}))?", text.lower())
    if found is None:
        raise ConfigError(
            field,
            f"{text[:80]!r} is not an id in hex, nor the first digits of one",
            hint="give a bounty's first digits, as in the lists: 0x3fd1",
        )
    first, last = found[1], found[2] or ""
    return lambda value: value.hex().startswith(first) and value.hex().endswith(last)


def hex32(value: bytes) -> str:
    """Return bytes as 0x-prefixed hex, the way the chain's tools print them."""
    return "0x" + value.hex()


Codec = Literal["raw", "dag-cbor"]

_CODE: dict[Codec, int] = {"raw": 0x55, "dag-cbor": 0x71}
_CODEC: dict[int, Codec] = {code: codec for codec, code in _CODE.items()}
_SHA2_256 = b"\x12\x20"  # multihash: function 0x12, 32 bytes
_CID_BYTES = 36


def digest_of(data: bytes) -> Digest:
    """Return the sha2-256 digest of `data`."""
    return Digest(hashlib.sha256(data).digest())


@dataclass(frozen=True, order=True)
class Cid:
    """The name of some bytes. `codec` says how to read them: "raw" for blobs, "dag-cbor" for manifests."""

    codec: Codec
    digest: Digest

    def __post_init__(self) -> None:
        if self.codec not in _CODE:
            raise ManifestError("cid", f"codec {str(self.codec)[:20]!r} is neither 'raw' nor 'dag-cbor'")
        if not isinstance(self.digest, bytes) or len(self.digest) != 32:
            raise ManifestError("cid", "the digest is not 32 bytes")

    @classmethod
    def of_blob(cls, data: bytes) -> Cid:
        """Return the CID of raw bytes."""
        return cls("raw", digest_of(data))

    @classmethod
    def of_manifest(cls, data: bytes) -> Cid:
        """Return the CID of an encoded manifest."""
        return cls("dag-cbor", digest_of(data))

    @classmethod
    def from_bytes(cls, data: bytes) -> Cid:
        """Return the CID whose binary form is `data` (36 bytes). Raises ManifestError."""
        if len(data) != _CID_BYTES or data[0] != 1 or data[1] not in _CODEC or data[2:4] != _SHA2_256:
            raise ManifestError(
                "cid",
                "not a CIDv1 with sha2-256 and codec raw or dag-cbor",
                hint="publish it with sha2-256",
            )
        return cls(_CODEC[data[1]], Digest(data[4:]))

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Return the CID written as `text` in base32 ("bafk…", "bafy…"). Raises ManifestError."""
        shown = f"{text[:80]!r}"
        if not text.startswith("b") or len(text) != 59:
            raise ManifestError("cid", f"{shown} is not a CIDv1 in base32 ('b' and 58 characters)")
        try:
            data = base64.b32decode(text[1:].upper() + "=" * 6)
        except (binascii.Error, ValueError):
            raise ManifestError("cid", f"{shown} is not base32") from None
        cid = cls.from_bytes(data)
        if str(cid) != text:  # upper case, or stray bits in the last character: another name for the same CID
            raise ManifestError("cid", f"{shown} is not written canonically; the same CID is {cid}")
        return cid

    def to_bytes(self) -> bytes:
        """Return the binary form, 36 bytes."""
        return bytes([1, _CODE[self.codec]]) + _SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode().lower().rstrip("=")


PART_BYTES = 1 << 20
"""Bitswap, by which IPFS nodes exchange blocks, accepts none over 2 MiB; 1 MiB is its usual limit."""


def parts_of(data: bytes) -> list[bytes]:
    """Return the parts of a blob, at least one."""
    return [data[start : start + PART_BYTES] for start in range(0, max(len(data), 1), PART_BYTES)]


def links_of(data: bytes) -> tuple[Cid, ...]:
    """Return the links to a blob's parts."""
    return tuple(Cid.of_blob(part) for part in parts_of(data))


def check_parts(links: Sequence[Cid], size: int) -> None:
    """Check that a blob of `size` bytes has as many parts as it takes. Raises ManifestError."""
    expected = max(-(-size // PART_BYTES), 1)
    if len(links) != expected:
        raise ManifestError("blobs", f"{len(links)} parts, and {size} bytes take {expected}")


def joined(links: Sequence[Cid], size: int, get: Callable[[Cid, int], bytes]) -> bytes:
    """Return the blob of `size` bytes whose parts `links` name; `get` returns one part of at most that many
    bytes.

    Raises ManifestError for another number of parts or bytes before it asks for the rest, and what `get`
    does.
    """
    check_parts(links, size)
    parts = []
    for index, link in enumerate(links):
        length = min(PART_BYTES, size - index * PART_BYTES)
        part = get(link, length)
        if len(part) != length:
            raise ManifestError(f"blobs.{index}", f"has {len(part)} bytes, not {length}")
        parts.append(part)
    return b"".join(parts)
