"""Ports: what the parts need from outside, as small protocols. Only `cli` and `wiring` create adapters."""

from __future__ import annotations

from typing import Protocol

from sonar.protocol.ids import Cid, Codec

MAX_BLOB_BYTES = 64 << 20
"""The largest blob that every store accepts."""


class Store(Protocol):
    """Content-addressed storage. The same bytes have the same CID in every store."""

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data` and return its CID. Idempotent. Raises BlobTooLarge, StoreUnavailable."""
        ...

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`, at most `max_bytes` of them, with their hash verified.

        Raises BlobNotFound, BlobTooLarge, DigestMismatch, StoreUnavailable.
        """
        ...

    def pin(self, cid: Cid) -> None:
        """Keep `cid` from garbage collection. Idempotent. Raises BlobNotFound, StoreUnavailable."""
        ...

    def unpin(self, cid: Cid) -> None:
        """Let `cid` be collected. Idempotent; unknown CIDs are no error. Raises StoreUnavailable."""
        ...

    def has(self, cid: Cid) -> bool:
        """Tell whether this store itself holds `cid`, without asking peers. Raises StoreUnavailable."""
        ...
