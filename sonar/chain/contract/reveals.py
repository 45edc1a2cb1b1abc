"""Whether the digests that a round's record tells are those that its mines revealed.

The contract keeps the seal that a mine committed to, and no digest. A log tells the digest, and the
transaction that it came with has the salt. Both open the seal, or one of these answers is not what is on the
chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonar.chain.contract import abi
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Head, Request, data_bytes
from sonar.errors import RemoteError, RpcError
from sonar.protocol.events import Revealed
from sonar.protocol.ids import Address
from sonar.protocol.phase import EntryState
from sonar.protocol.seal import kept, seal


def unproven(market: Market, reveals: Mapping[Address, Revealed], at: Head) -> set[Address]:
    """Return the mines of a round's reveals whose digests do not open what the contract holds in that block.

    A mine that reveals through a contract of its own cannot be proven. Raises RpcError where the node does
    not answer for the block.
    """
    calls = [
        Request("eth_getTransactionByHash", (event.tx_hash,), _reveal_arguments) for event in reveals.values()
    ]
    openings = market.rpc.batch(*calls) if calls else []
    pairs = zip(reveals.values(), openings, strict=True)
    return {event.mine for event, opening in pairs if not _opens(market, event, opening, at)}


def _opens(market: Market, event: Revealed, opening: Any, at: Head) -> bool:
    if isinstance(opening, RpcError):
        return False
    bounty, number, digest, salt = opening
    entry = market.entry(event.bounty, event.mine, at=at)
    if (entry.round, entry.state) != (event.round, EntryState.REVEALED):
        return False
    made = seal(market.chain_id, market.address, bounty, number, event.mine, digest, salt)
    return (bounty, number, digest, kept(made)) == (
        event.bounty,
        event.round,
        event.update_digest,
        entry.seal,
    )


def _reveal_arguments(transaction: Any, what: str) -> tuple[Any, ...]:
    """The arguments of the call to `reveal` that a transaction made. Raises RpcError."""
    if not isinstance(transaction, dict):
        raise RpcError(f"{what}: the node has no such transaction")
    reveal = abi.functions()["reveal"]
    data = data_bytes(transaction.get("input", transaction.get("data")), what)
    try:
        if data[:4] == reveal.selector:
            return abi.decode_exactly(reveal.inputs, data[4:], "a reveal")
    except RemoteError:
        pass
    raise RpcError(f"{what}: the transaction is no reveal")
