"""Blobs: bytes of any length, in parts that a store takes and that peers on IPFS pass on.

A blob is a tuple of parts of `PART_BYTES` each, the last one shorter or as long. A manifest links to all of
them, in order. So the same bytes have the same links in every store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sonar.errors import ManifestError
from sonar.protocol.cid import Cid

PART_BYTES = 1 << 20
"""Bitswap, by which IPFS nodes exchange blocks, takes none of over 2 MiB; 1 MiB is its usual limit."""


def parts_of(data: bytes) -> list[bytes]:
    """Return the parts of a blob, at least one."""
    return [data[start : start + PART_BYTES] for start in range(0, max(len(data), 1), PART_BYTES)]


def links_of(data: bytes) -> tuple[Cid, ...]:
    """Return the links to a blob's parts."""
    return tuple(Cid.of_blob(part) for part in parts_of(data))


def joined(links: Sequence[Cid], size: int, get: Callable[[Cid, int], bytes]) -> bytes:
    """Return the blob of `size` bytes whose parts `links` name; `get` returns one, of at most so many bytes.

    Raises ManifestError for another number of parts or bytes before it asks for the rest, and what `get`
    does.
    """
    expected = max(-(-size // PART_BYTES), 1)
    if len(links) != expected:
        raise ManifestError("blobs", f"{len(links)} parts, and {size} bytes take {expected}")
    parts = []
    for index, link in enumerate(links):
        length = min(PART_BYTES, size - index * PART_BYTES)
        part = get(link, length)
        if len(part) != length:
            raise ManifestError(f"blobs.{index}", f"has {len(part)} bytes, not {length}")
        parts.append(part)
    return b"".join(parts)
