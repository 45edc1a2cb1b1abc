"""CIDs: version 1, sha2-256, and one of two codecs, so that the same bytes have one name in every store."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Literal

from sonar.errors import ManifestError
from sonar.protocol.ids import Digest

Codec = Literal["raw", "dag-cbor"]

_CODE: dict[Codec, int] = {"raw": 0x55, "dag-cbor": 0x71}
_CODEC: dict[int, Codec] = {code: codec for codec, code in _CODE.items()}
_SHA2_256 = b"\x12\x20"  # multihash: function 0x12, 32 bytes
_LENGTH = 36


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
        if len(data) != _LENGTH or data[0] != 1 or data[1] not in _CODEC or data[2:4] != _SHA2_256:
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
