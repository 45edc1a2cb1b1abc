"""A store in this process's memory, for tests and for trying things out."""

from __future__ import annotations

from sonar.errors import BlobNotFound, BlobTooLarge
from sonar.ports import MAX_BLOB_BYTES
from sonar.protocol.ids import Cid, Codec, Digest, digest_of


class MemoryStore:
    """Keeps blobs in a dictionary.

    Like every store it names bytes by their digest, whatever the CID's codec.
    """

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._pins: set[Cid] = set()

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data`. Raises BlobTooLarge."""
        if len(data) > MAX_BLOB_BYTES:
            raise BlobTooLarge("blob", len(data), MAX_BLOB_BYTES)
        cid = Cid(codec, digest_of(data))
        self._blobs[cid.digest] = bytes(data)
        return cid

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`. Raises BlobNotFound, BlobTooLarge."""
        self._require(cid)
        data = self._blobs[cid.digest]
        if len(data) > max_bytes:
            raise BlobTooLarge(str(cid), len(data), max_bytes)
        return data

    def pin(self, cid: Cid) -> None:
        """Pin `cid`. Raises BlobNotFound."""
        self._require(cid)
        self._pins.add(cid)

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`."""
        self._pins.discard(cid)

    def pinned(self, cid: Cid) -> bool:
        """Tell whether `cid` is pinned."""
        return cid in self._pins

    def has(self, cid: Cid) -> bool:
        """Tell whether `cid` is here."""
        return cid.digest in self._blobs

    def _require(self, cid: Cid) -> None:
        if not self.has(cid):
            raise BlobNotFound(str(cid))
