"""The record of a round, folded from the contract's events: the same for mine, scientist, index and demo.

A record contains only what the events say. If they begin late or end early, parts are missing; `ended` is
None until an event says how the round ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from types import MappingProxyType
from typing import TypeVar

from sonar.errors import RpcError
from sonar.frozen import frozen
from sonar.protocol.events import (
    BountyClosed,
    BountyPosted,
    CohortFixed,
    Committed,
    Event,
    MinePaid,
    Revealed,
    RoundFailed,
    RoundOpened,
    RoundSettled,
    Withdrawn,
)
from sonar.protocol.ids import Address, BountyId
from sonar.protocol.phase import CloseReason

_OfRound = (
    RoundOpened | Committed | Revealed | CohortFixed | MinePaid | RoundSettled | RoundFailed | BountyClosed
)
_One = TypeVar("_One", RoundOpened, CohortFixed, RoundSettled, RoundFailed, BountyClosed)
_OfMine = TypeVar("_OfMine", Committed, Revealed, MinePaid)


class Ending(Enum):
    """How a round ended."""

    SETTLED = "settled"
    FAILED = "failed"  # too few updates were revealed
    OVERDUE = "overdue"  # the scientist did not settle: default pay, and the bounty is closed
    TAKEN_BACK = "taken back"  # the scientist closed the bounty, to which nobody had committed


_CLOSED_ALONE = {CloseReason.OVERDUE: Ending.OVERDUE, CloseReason.BY_SCIENTIST: Ending.TAKEN_BACK}
"""Why a bounty closed, if no other event says how its round ended."""


@frozen
class RoundRecord:
    """A round of a bounty, by its events. Amounts are in the bounty's asset, mines in the chain's order."""

    bounty: BountyId
    round: int
    opened: RoundOpened | None = None
    commits: Mapping[Address, Committed] = field(default_factory=lambda: MappingProxyType({}))
    reveals: Mapping[Address, Revealed] = field(default_factory=lambda: MappingProxyType({}))
    fixed: CohortFixed | None = None
    paid: Mapping[Address, MinePaid] = field(default_factory=lambda: MappingProxyType({}))
    settled: RoundSettled | None = None
    failed: RoundFailed | None = None
    closed: BountyClosed | None = None

    @property
    def ended(self) -> Ending | None:
        """How the round ended; None if it is not over, or the events do not say."""
        if self.settled:
            return Ending.SETTLED
        if self.failed:
            return Ending.FAILED
        return _CLOSED_ALONE.get(self.closed.reason) if self.closed else None

    @property
    def ended_block(self) -> int | None:
        """The block in which the round ended; None as `ended`."""
        last = self.settled or self.failed or (self.closed if self.ended else None)
        return last.block if last else None

    @property
    def cohort(self) -> tuple[Address, ...]:
        """Who revealed, ascending by address, as the contract expects."""
        return tuple(sorted(self.reveals, key=lambda mine: int(mine, 16)))

    @property
    def is_whole(self) -> bool:
        """Tell whether the events add up to the round's end: a node may leave some out.

        A settlement says what it paid, a failure how many took part; exactly those who revealed are paid.
        """
        if self.ended is None or not (self.paid.keys() == self.reveals.keys() <= self.commits.keys()):
            return False
        if self.settled:
            return self.settled.paid_units == self.earned_units
        if self.failed:
            return (self.failed.committed, self.failed.revealed) == (len(self.commits), len(self.reveals))
        return self.ended is not Ending.TAKEN_BACK or not self.commits

    @property
    def earned_units(self) -> int:
        """Fees and rewards that the round brought its mines: what left the escrow."""
        return sum(one.fee_units + one.reward_units for one in self.paid.values())


def fold(events: Iterable[Event]) -> dict[tuple[BountyId, int], RoundRecord]:
    """Return the record of every round in the events, by bounty and round, in their order.

    Raises RpcError if they contradict each other, for example after a reorganisation between two answers of a
    node: then ask again.
    """
    rounds: dict[tuple[BountyId, int], list[_OfRound]] = defaultdict(list)
    for event in events:
        if not isinstance(event, BountyPosted | Withdrawn):
            rounds[event.bounty, event.round].append(event)
    return {(bounty, number): _record(bounty, number, found) for (bounty, number), found in rounds.items()}


def record_of(events: Iterable[Event], bounty: BountyId, round_number: int) -> RoundRecord:
    """Return the record of one round; an empty one if no event is about it. Raises as `fold`."""
    return fold(
        event
        for event in events
        if not isinstance(event, BountyPosted | Withdrawn)
        and (event.bounty, event.round) == (bounty, round_number)
    ).get((bounty, round_number), RoundRecord(bounty, round_number))


def _record(bounty: BountyId, number: int, events: Sequence[_OfRound]) -> RoundRecord:
    record = RoundRecord(
        bounty,
        number,
        _only(RoundOpened, events),
        _by_mine(Committed, events),
        _by_mine(Revealed, events),
        _only(CohortFixed, events),
        _by_mine(MinePaid, events),
        _only(RoundSettled, events),
        _only(RoundFailed, events),
        _only(BountyClosed, events),
    )
    alone = record.closed is not None and record.closed.reason in _CLOSED_ALONE
    if sum((record.settled is not None, record.failed is not None, alone)) > 1:
        raise _contradiction(number, "two ends of it")
    return record


def _only(kind: type[_One], events: Sequence[_OfRound]) -> _One | None:
    """The one event of a kind. The same event twice does no harm; two different ones do."""
    found = {event for event in events if isinstance(event, kind)}
    if len(found) > 1:
        raise _contradiction(found.pop().round, f"{kind.__name__} twice")
    return found.pop() if found else None


def _by_mine(kind: type[_OfMine], events: Sequence[_OfRound]) -> Mapping[Address, _OfMine]:
    found: dict[Address, _OfMine] = {}
    for event in events:
        if isinstance(event, kind) and found.setdefault(event.mine, event) != event:
            raise _contradiction(event.round, f"{kind.__name__} of {event.mine} twice")
    return MappingProxyType(found)


def _contradiction(number: int, what: str) -> RpcError:
    return RpcError(f"the chain's node contradicts itself in its record of round {number}: it reports {what}")
