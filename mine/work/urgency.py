"""How long the node may be busy: nothing that can wait holds up a reveal, which alone saves a stake.

The node does one thing at a time, and a store that hangs or a long update takes its time from all bounties.
So whatever may take long asks here first. All arithmetic on how near an end is, is in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mine.work.state import Book, Part, Turn
from sonar.chain.rpc import Head

STORE_CALL_S = 10.0
"""A call to a store that hangs is given up after about this long."""
COMMIT_MARGIN_S = 2
"""No commit is begun with less than this left of its phase: mined too late, it would only cost gas."""
RESERVE = 4
"""The last quarter of a reveal window is for the reveal alone: to send it, and to have it mined."""


def urgent_s(turn: Turn) -> int:
    """Return from when on, in chain seconds, the current round's reveal goes before everything else."""
    return turn.ends.reveal_s - turn.bounty.terms.reveal_window_s // RESERVE


class Urgency:
    """What time there is, in chain time: that of the head last seen, and what has passed since."""

    def __init__(self, book: Book, monotonic: Callable[[], float]) -> None:
        self._book, self._monotonic = book, monotonic
        self._head_s, self._seen_s = 0, 0.0

    def see(self, head: Head) -> None:
        """Set the clock."""
        self._head_s, self._seen_s = head.timestamp_s, self._monotonic()

    def first_s(self) -> float:
        """Return when the first of all stakes at risk becomes urgent.

        A reveal that is too late holds up nothing, even while the chain does not say how the round ended.
        """
        open_parts = (part for part in self._book.at_risk() if self._head_s < part.reveal_s)
        return min((part.urgent_s for part in open_parts), default=math.inf)

    def leaves(self, seconds: float, until_s: float) -> bool:
        """Tell whether something that takes `seconds` from now on is over by `until_s`."""
        return self.now_s() + seconds <= until_s

    def now_s(self) -> float:
        """Return the chain's time."""
        return self._head_s + self._monotonic() - self._seen_s

    def allows(self, seconds: float) -> bool:
        """Tell whether something that takes `seconds` can be done now without holding up a reveal."""
        return self.leaves(seconds, self.first_s())

    def can_commit(self, turn: Turn, seconds: float = 0.0) -> bool:
        """Tell whether a commit that is ready in `seconds` is still in time.

        A quiet end that is near may move yet, with the commits of others: a later head tells.
        """
        return self.now_s() + seconds + COMMIT_MARGIN_S < turn.ends.commit_s

    def presses(self, part: Part) -> bool:
        """Tell whether the part's own reveal can wait no longer, not even for one call to the store."""
        return not self.leaves(STORE_CALL_S, part.urgent_s)
