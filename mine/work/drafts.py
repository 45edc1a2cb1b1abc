"""Updates that nobody has seen yet: their bytes lie in the home as long as their round goes on.

An update must not be in the store before its reveal, or others could copy it, and must be on the disk before
its seal goes out. The journal names the bytes by their CIDs, and they are written before it does. So a kill
leaves bytes that nothing names, at worst; the next start removes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from sonar.errors import JournalError
from sonar.home.private import PrivateFolder
from sonar.protocol.ids import Cid, digest_of, parts_of


class Drafts:
    """The bytes of updates by their CIDs. Methods raise JournalBlocked for a disk that is full."""

    def __init__(self, folder: PrivateFolder) -> None:
        self._folder = folder

    def put_blob(self, data: bytes) -> tuple[Cid, ...]:
        """Keep a blob, part by part; return the links to them."""
        return tuple(self._put(Cid.of_blob(part), part) for part in parts_of(data))

    def put_manifest(self, data: bytes) -> Cid:
        """Keep an encoded manifest; return its CID."""
        return self._put(Cid.of_manifest(data), data)

    def get(self, cid: Cid) -> bytes:
        """Return the bytes of `cid`. Raises JournalError if they are lost or damaged."""
        data = self._folder.get(str(cid))
        if data is None or digest_of(data) != cid.digest:
            raise JournalError(
                f"part {cid} of an update is {'lost' if data is None else 'damaged'}",
                hint="its stake comes back with the reveal all the same; is the disk sound?",
            )
        return data

    def keep_only(self, cids: Iterable[Cid]) -> None:
        """Remove everything else: what is over, and what a kill has left before the journal named it."""
        self._folder.keep_only(map(str, cids))

    def _put(self, cid: Cid, data: bytes) -> Cid:
        self._folder.put(str(cid), data)
        return cid
