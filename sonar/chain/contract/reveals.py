"""Whether the digests in a round's record are those that its mines revealed.

The contract keeps the seal that a mine committed to, and no digest. A log tells the digest, and the
transaction that it came with has the salt. Together they open the seal, unless one of these answers is not
what is on the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from sonar.chain.contract import sent
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Head
from sonar.errors import RpcError
from sonar.protocol.events import Revealed
from sonar.protocol.ids import Address
from sonar.protocol.phase import Entry, EntryState
from sonar.protocol.seal import kept, seal


class Proof(Enum):
    """What is known of a mine's digest."""

    OPENS = auto()
    """It opens the seal that the contract holds."""
    WRONG = auto()
    """The contract holds no such reveal."""
    UNKNOWN = auto()
    """The node does not tell the salt, or the mine revealed through a contract of its own."""


def proofs(market: Market, reveals: Mapping[Address, Revealed], at: Head) -> dict[Address, Proof]:
    """Return what is known of the digests of a round's reveals, by what the contract holds in that block.

    Raises RpcError where the node does not answer for the block.
    """
    hashes = [event.tx_hash for event in reveals.values()]
    openings = sent.arguments(market.rpc, market.address, "reveal", hashes)
    entries = _entries(market, list(reveals.values()), at)
    found = zip(reveals.items(), entries, openings, strict=True)
    return {mine: _proof(market, event, entry, opening) for (mine, event), entry, opening in found}


def _entries(market: Market, events: Sequence[Revealed], at: Head) -> list[Entry]:
    """What the contract holds of each; all are of one bounty."""
    return market.entries(events[0].bounty, [event.mine for event in events], at) if events else []


def _proof(market: Market, event: Revealed, entry: Entry, opening: Any) -> Proof:
    if (entry.round, entry.state) != (event.round, EntryState.REVEALED):
        return Proof.WRONG
    if isinstance(opening, RpcError):
        return Proof.UNKNOWN
    bounty, number, digest, salt = opening
    made = seal(market.chain_id, market.address, bounty, number, event.mine, digest, salt)
    told = (event.bounty, event.round, event.update_digest, entry.seal)
    return Proof.OPENS if (bounty, number, digest, kept(made)) == told else Proof.WRONG
