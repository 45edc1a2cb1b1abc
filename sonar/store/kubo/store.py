"""A store in a Kubo node: what is put here, every node of its swarm can get."""

from __future__ import annotations

from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch, StoreRefused, StoreUnavailable
from sonar.protocol.ids import Cid, Codec, digest_of
from sonar.store.kubo.rpc import KuboRpc

MAX_BLOCK_BYTES = 2 << 20
"""What every node passes on to its peers. Kubo 0.42 still passes on 3 MiB, and never 4 MiB (measured)."""
GET_TIMEOUT_S = 5.0
"""How long to look for a blob in the swarm. Peers of peers are found in 0.2 s; the caller tries again."""


class KuboStore:
    """Keeps blobs as single blocks of a Kubo node, under the same CIDs as every other store.

    Peers never pass on the empty blob (measured); Sonar has none.
    Pins are direct: whoever needs a manifest's links pins them one by one. Nothing is asked of the node
    before the first call.
    """

    def __init__(self, api_url: str, *, get_timeout_s: float = GET_TIMEOUT_S) -> None:
        self.rpc = KuboRpc(api_url)
        self._get_timeout_s = get_timeout_s

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data`; peers can get it from now on. Raises BlobTooLarge, StoreUnavailable."""
        if len(data) > MAX_BLOCK_BYTES:
            raise BlobTooLarge(
                "a blob for the IPFS swarm, whose nodes pass on single blocks,", len(data), MAX_BLOCK_BYTES
            )
        data = bytes(data)
        cid = Cid(codec, digest_of(data))
        # Nodes before 0.40 call more than 1 MiB big, though they do exchange it.
        body = self.rpc.fetch(
            "block/put", data=data, cid_codec=codec, mhtype="sha2-256", allow_big_block=True
        )
        if str(cid).encode() not in body:
            raise StoreUnavailable(
                f"the Kubo at {self.rpc.shown} answers with another name than {cid}: {body[:200]!r}",
                hint="its version does not fit; 0.42 is what this was tested with",
            )
        return cid

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`, from this node or from its swarm.

        Raises BlobNotFound after `get_timeout_s`, BlobTooLarge, DigestMismatch, StoreUnavailable.
        """
        seconds = self._get_timeout_s
        try:
            data = self.rpc.fetch(
                "block/get",
                arg=str(cid),
                timeout=f"{seconds:g}s",
                max_bytes=max_bytes,
                timeout_s=seconds + 10,
            )
        except StoreRefused as refusal:
            if _is_missing(refusal):
                raise BlobNotFound(str(cid)) from refusal
            raise
        if len(data) > max_bytes:
            raise BlobTooLarge(str(cid), len(data), max_bytes)
        if digest_of(data) != cid.digest:
            raise DigestMismatch(cid.digest.hex(), digest_of(data).hex())
        return data

    def pin(self, cid: Cid) -> None:
        """Pin the block itself, not what it links to. Raises BlobNotFound, StoreUnavailable."""
        try:
            self.rpc.call("pin/add", arg=str(cid), recursive=False, offline=True)
        except StoreRefused as refusal:
            if _is_missing(refusal):
                raise BlobNotFound(str(cid)) from refusal
            raise

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`. Raises StoreUnavailable."""
        try:
            self.rpc.call("pin/rm", arg=str(cid), recursive=False, offline=True)
        except StoreRefused as refusal:
            if "not pinned" not in refusal.told:
                raise

    def has(self, cid: Cid) -> bool:
        """Tell whether the node itself holds `cid`. Raises StoreUnavailable."""
        try:
            self.rpc.call("block/stat", arg=str(cid), offline=True)
        except StoreRefused as refusal:
            if _is_missing(refusal):
                return False
            raise
        return True


def _is_missing(refusal: StoreRefused) -> bool:
    """Kubo has no codes for its errors; these words have been stable since 0.12."""
    return any(words in refusal.told for words in ("not found", "could not find", "deadline exceeded"))
