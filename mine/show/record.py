"""A scientist's record: how her bounties ended, over all accounts that followed each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mine.show.documents import ScientistRecord
from sonar.protocol.events import BountyClosed, BountyPosted
from sonar.protocol.phase import CloseReason
from sonar.telling.text import count

if TYPE_CHECKING:
    from sonar.chain.contract.market import Market
    from sonar.protocol.ids import Address

_NAMES = (BountyPosted.__name__, BountyClosed.__name__)


def records_of(market: Market, scientists: Iterable[Address]) -> dict[Address, ScientistRecord]:
    """Return the record of each of these, by the chain. Raises ChainUnavailable, RpcError."""
    from sonar.chain.deploying.succession import succession_on

    events = market.events(market.deployed_block, names=_NAMES)
    whose = {event.bounty: event.scientist for event in events if isinstance(event, BountyPosted)}
    posted = Counter(whose.values())
    closed = [event for event in events if isinstance(event, BountyClosed) and event.bounty in whose]
    ended = Counter(whose[event.bounty] for event in closed)
    overdue = Counter(whose[event.bounty] for event in closed if event.reason is CloseReason.OVERDUE)
    succession, found = succession_on(market), {}
    for scientist in dict.fromkeys(scientists):
        line = succession.line(scientist).accounts
        sums = [sum(counts[one] for one in line) for counts in (posted, ended, overdue)]
        found[scientist] = ScientistRecord(list(line), *sums)
    return found


def in_words(record: ScientistRecord) -> str:
    """Return it for people."""
    told = f"{count(record.posted, 'bounty', 'bounties')}, {record.closed} closed, {record.overdue} overdue"
    others = len(record.accounts) - 1
    return told + (f", as {count(others + 1, 'account')}" if others else "")
