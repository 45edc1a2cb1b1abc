"""What a capsule believes of the chain: a bounty as of one block that has the network's confirmations."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from capsule.problems import Refused
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.rpc import Head
from sonar.errors import RpcError
from sonar.protocol.events import BountyPosted, Event
from sonar.protocol.fold import RoundRecord, fold
from sonar.protocol.ids import BountyId, hex32
from sonar.protocol.phase import BountyState, Status, status_of

_MOST_KEPT = 256
_LATER = "ask again when the chain has come further"


@dataclass(frozen=True)
class View:
    """A bounty at `head`, which lies as deep as the network asks; `now_s`: the newest block's time."""

    now_s: int
    head: Head
    state: BountyState
    posted: BountyPosted
    rounds: Mapping[int, RoundRecord]

    @property
    def status(self) -> Status:
        """Where the bounty stands, as of `head`."""
        return status_of(self.state, self.head.timestamp_s)

    def require_settling(self, number: int) -> RoundRecord:
        """Return the record of the bounty's current round, if all of its answers are there.

        Before, another answer could come; afterwards nobody needs to know more. Raises Refused.
        """
        found = self.round(number)
        if number != self.state.round or self.status in (Status.OVERDUE, Status.CLOSED, Status.FAILED):
            raise Refused("phase", f"round {number} is over at block {self.head.number}")
        if self.status is not Status.SETTLE:
            raise Refused(
                "depth", f"round {number} still takes answers at block {self.head.number}", hint=_LATER
            )
        return found

    def round(self, number: int) -> RoundRecord:
        """The record of a round. Raises Refused for one that has not begun."""
        found = self.rounds.get(number)
        if found is None or found.opened is None:
            raise Refused("depth", f"round {number} has not begun at block {self.head.number}", hint=_LATER)
        return found


@dataclass
class _Known:
    """The events of a bounty up to a block that no reorganisation reaches."""

    posted: BountyPosted
    until: int
    events: list[Event] = field(default_factory=list)


class ChainView:
    """Reads bounties. Safe to use from several threads. Raises ChainUnavailable, RpcError, Refused."""

    def __init__(self, market: Market, confirmations: int) -> None:
        self.market, self.confirmations = market, confirmations
        self._known: dict[BountyId, _Known] = {}
        self._seen: dict[BountyId, View] = {}
        self._lock = threading.Lock()

    @property
    def newest(self) -> Head:
        """The newest block."""
        return self.market.head()

    def bounty(self, bounty: BountyId) -> View:
        """Return a bounty, all of it as of one block."""
        newest = self.market.head()
        head = self.market.at_depth(newest, self.confirmations)
        with self._lock:
            seen = self._seen.get(bounty)
        if seen is not None and seen.head == head:  # a block's hash names all that led to it
            return replace(seen, now_s=newest.timestamp_s)
        try:
            state = self.market.bounty(bounty, at=head)
        except UnknownBounty as error:
            raise Refused(
                "unknown-bounty",
                f"no bounty {hex32(bounty)} at block {head.number}, with {self.confirmations} confirmations",
                hint="if it was posted just now, ask again",
            ) from error
        known = self._up_to(bounty, head)
        rounds = {number: one for (_, number), one in fold(known.events).items()}
        view = View(newest.timestamp_s, head, state, known.posted, rounds)
        _check(view)
        with self._lock:
            if len(self._seen) >= _MOST_KEPT:
                self._seen.pop(next(iter(self._seen)))
            self._seen[bounty] = view
        return view

    def _up_to(self, bounty: BountyId, head: Head) -> _Known:
        """The events up to `head`; what can still change is not kept."""
        with self._lock:
            known = self._known.get(bounty)
        if known is None or known.posted.block > head.number:
            posted = self.market.posting(bounty)
            if posted is None:
                raise RpcError(f"the chain's node has the bounty {hex32(bounty)}, but not its posting")
            known = _Known(posted, posted.block - 1)
        found = known.events + self.market.events(known.until + 1, head.number, bounty)
        firm = head.number - REORG_BLOCKS
        if firm > known.until:
            kept = [event for event in found if event.block <= firm]
            with self._lock:
                if len(self._known) >= _MOST_KEPT:
                    self._known.pop(next(iter(self._known)))
                self._known[bounty] = _Known(known.posted, firm, kept)
        return _Known(known.posted, head.number, found)


def _check(view: View) -> None:
    """State and record of a bounty must agree: a node may leave events out. Raises RpcError."""
    state, posted = view.state, view.posted
    record = view.rounds.get(state.round)
    if posted.scientist != state.scientist or posted.terms != state.terms or record is None:
        raise RpcError("the chain's node contradicts itself about a bounty's posting")
    if state.closed:
        if not record.is_whole or record.closed is None:
            raise RpcError(f"the chain's node leaves out events of round {state.round}")
    elif problem := _open_fault(state, record):
        raise RpcError(f"the chain's node contradicts itself about {problem} round {state.round} of a bounty")
    missing = [n for n in range(1, state.round) if n not in view.rounds or not view.rounds[n].is_whole]
    if missing:
        raise RpcError(f"the chain's node leaves out events of round {missing[0]}")


def _open_fault(state: BountyState, record: RoundRecord) -> str:
    """Return what in the record of an open round is not as the contract holds it, or nothing."""
    counts = len(record.commits), len(record.reveals), record.fixed is not None
    if counts != (state.committed, state.revealed, state.cohort_fixed):
        return "the events of"
    if record.opened is None or record.opened.model_digest != state.model_digest:
        return "the model of"
    return ""
