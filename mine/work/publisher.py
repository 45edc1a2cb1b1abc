"""Keeps a mine's updates until their reveal, puts them into the store, and finally unpins them.

An update must not be in the store before its reveal, or others could copy it, and must be on the disk before
its seal goes out: its bytes lie in the home as long as its round goes on. The journal names the bytes by
their CIDs, and they are written before it does. So a kill leaves bytes that nothing names, at worst; the next
start removes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from mine.work.state import Part
from mine.work.urgency import STORE_CALL_S, Urgency
from sonar.errors import JournalError
from sonar.home.folder import PrivateFolder
from sonar.ports import Store
from sonar.protocol.ids import BountyId, Cid, digest_of, parts_of
from sonar.store.mend import LOOK_S, mend


class Publisher:
    """Publishes updates, as long as no stake has to wait.

    Methods raise what the store raises, and JournalError for an update whose bytes are lost.
    """

    def __init__(self, store: Store, drafts: Drafts, urgency: Urgency) -> None:
        self._store, self._drafts, self._urgency = store, drafts, urgency
        self._looked_s: dict[tuple[BountyId, int], float] = {}

    def publish(self, part: Part) -> bool:
        """Publish the part's update; False, perhaps halfway, once a stake at risk leaves no time for more."""
        until_s = self._urgency.first_s()
        for _ in self._steps(part):
            if not self._urgency.leaves(STORE_CALL_S, until_s):
                return False
        self._looked_s[part.bounty, part.round] = self._urgency.now_s()
        return True

    def keep(self, part: Part) -> None:
        """Put again, from time to time, what was revealed and is not in the store: the scientist may need it.

        It was revealed without it, or the store has lost or damaged it.
        """
        now_s, looked_s = self._urgency.now_s(), self._looked_s.get((part.bounty, part.round), 0)
        if 0 <= now_s - looked_s < LOOK_S:  # a deadline that is too far in the future is not waited for
            return
        for cid in part.cids:
            if not self._urgency.allows(STORE_CALL_S):
                return
            with suppress(JournalError):  # told when it was revealed without; the store may have it
                mend(self._store, self._drafts.get(cid), cid.codec)
        self._looked_s[part.bounty, part.round] = self._urgency.now_s()

    def let_go(self, parts: Iterable[Part]) -> None:
        """Unpin the updates of a bounty that is closed."""
        for part in parts:
            for cid in part.cids:
                self._store.unpin(cid)

    def _steps(self, part: Part) -> Iterator[None]:
        """Put all of it and read it back: a reveal without earns nothing. Yields before each call."""
        for cid in part.cids:
            data = self._drafts.get(cid)
            yield
            self._store.put(data, cid.codec)
            yield
            self._store.pin(cid)
            yield
            self._store.get(cid, len(data))


class Drafts:
    """The bytes of updates by their CIDs. Methods raise JournalBlocked if the disk is full."""

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
                hint="the reveal returns the stake all the same; check the disk",
            )
        return data

    def keep_only(self, cids: Iterable[Cid]) -> None:
        """Remove everything else: what is over, and what a kill has left before the journal named it."""
        self._folder.keep_only(map(str, cids))

    def _put(self, cid: Cid, data: bytes) -> Cid:
        self._folder.put(str(cid), data)
        return cid
