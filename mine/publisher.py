"""Puts a mine's updates into the store at their reveal, and lets go of them when they are done with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mine.state import Part
from mine.urgency import STORE_CALL_S, Urgency
from sonar.ports import Store
from sonar.protocol.cid import Cid, Codec
from sonar.protocol.ids import BountyId
from sonar.protocol.messages import UpdateManifest


class Publisher:
    """Publishes updates, as far as no stake has to wait for it. Methods raise what the store raises."""

    def __init__(self, store: Store, urgency: Urgency) -> None:
        self._store, self._urgency = store, urgency
        self._published: set[tuple[BountyId, int]] = set()

    def publish(self, part: Part) -> bool:
        """Publish the part's update; False, perhaps halfway, once a stake at risk leaves no time for more."""
        until_s = self._urgency.first_s()
        for _ in self._steps(part):
            if not self._urgency.leaves(STORE_CALL_S, until_s):
                return False
        self._published.add((part.bounty, part.round))
        return True

    def publish_late(self, part: Part) -> None:
        """Publish what was revealed without: the scientist waits for it for a while.

        What another process revealed may be in the store already.
        """
        if (part.bounty, part.round) in self._published or not self._urgency.allows(STORE_CALL_S):
            return
        if all(self._store.has(cid) for cid in _cids(part)):
            self._published.add((part.bounty, part.round))
        else:
            self.publish(part)

    def let_go(self, parts: Iterable[Part]) -> None:
        """Unpin the updates of a bounty that is closed."""
        for part in parts:
            if part.manifest:
                for cid in _cids(part):
                    self._store.unpin(cid)

    def _steps(self, part: Part) -> Iterator[None]:
        """Put both blobs and read them back: a reveal without them earns nothing. Yields before each call."""
        blobs: tuple[tuple[bytes, Codec], ...] = ((part.blob, "raw"), (part.manifest, "dag-cbor"))
        for data, codec in blobs:
            yield
            cid = self._store.put(data, codec)
            yield
            self._store.pin(cid)
            yield
            self._store.get(cid, len(data))


def _cids(part: Part) -> tuple[Cid, Cid]:
    return UpdateManifest.from_bytes(part.manifest).blob, Cid.of_manifest(part.manifest)
