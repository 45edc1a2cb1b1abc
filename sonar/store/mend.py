"""Restores a party's own blobs in a store that has lost or damaged them."""

from __future__ import annotations

from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch
from sonar.ports import Store
from sonar.protocol.ids import Cid, Codec, digest_of, parts_of

LOOK_S = 5
"""How often to check what others are about to read, in chain seconds: some windows are as short as 10."""


def put_blob(store: Store, data: bytes) -> tuple[Cid, ...]:
    """Put and pin all parts of a blob; return their links. Raises BlobTooLarge, StoreUnavailable."""
    links = tuple(store.put(part) for part in parts_of(data))
    for link in links:
        store.pin(link)
    return links


def mend(store: Store, data: bytes, codec: Codec) -> bool:
    """Put and pin `data` if the store itself lacks or has damaged any of it; tell whether it did.

    Raises StoreUnavailable, BlobNotFound.
    """
    cid = Cid(codec, digest_of(data))
    try:
        if store.has(cid):
            store.get(cid, len(data))
            return False
    except (BlobNotFound, BlobTooLarge, DigestMismatch):
        pass
    store.pin(store.put(data, codec))
    return True
