"""Puts a mine's updates into the store at their reveal, and lets go of them when they are done with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mine.work.state import Part
from mine.work.urgency import STORE_CALL_S, Urgency
from sonar.manifests.update import UpdateManifest
from sonar.ports import Store
from sonar.protocol.blobs import parts_of
from sonar.protocol.cid import Cid, Codec
from sonar.protocol.ids import BountyId
from sonar.store.mend import LOOK_S, mend


class Publisher:
    """Publishes updates, as far as no stake has to wait for it. Methods raise what the store raises."""

    def __init__(self, store: Store, urgency: Urgency) -> None:
        self._store, self._urgency = store, urgency
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

        It was revealed without, or the store has lost or spoilt it.
        """
        looked_s = self._looked_s.get((part.bounty, part.round), 0)
        if self._urgency.now_s() < looked_s + LOOK_S:
            return
        for data, codec in _blobs(part):
            if not self._urgency.allows(STORE_CALL_S):
                return
            mend(self._store, data, codec)
        self._looked_s[part.bounty, part.round] = self._urgency.now_s()

    def let_go(self, parts: Iterable[Part]) -> None:
        """Unpin the updates of a bounty that is closed."""
        for part in parts:
            if part.manifest:
                for cid in (*UpdateManifest.from_bytes(part.manifest).blobs, Cid.of_manifest(part.manifest)):
                    self._store.unpin(cid)

    def _steps(self, part: Part) -> Iterator[None]:
        """Put all blobs and read them back: a reveal without them earns nothing. Yields before each call."""
        for data, codec in _blobs(part):
            yield
            cid = self._store.put(data, codec)
            yield
            self._store.pin(cid)
            yield
            self._store.get(cid, len(data))


def _blobs(part: Part) -> list[tuple[bytes, Codec]]:
    return [*((each, "raw") for each in parts_of(part.blob)), (part.manifest, "dag-cbor")]
