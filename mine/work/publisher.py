"""Puts a mine's updates into the store at their reveal, and lets go of them when they are done with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from mine.work.drafts import Drafts
from mine.work.state import Part
from mine.work.urgency import STORE_CALL_S, Urgency
from sonar.errors import JournalError
from sonar.ports import Store
from sonar.protocol.ids import BountyId
from sonar.store.mend import LOOK_S, mend


class Publisher:
    """Publishes updates, as far as no stake has to wait for it.

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

        It was revealed without, or the store has lost or spoilt it.
        """
        now_s, looked_s = self._urgency.now_s(), self._looked_s.get((part.bounty, part.round), 0)
        if 0 <= now_s - looked_s < LOOK_S:  # a time that was told too late is no time to wait for
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
