"""Asks a contract something without a transaction."""

from __future__ import annotations

from sonar.chain.contract import revert
from sonar.chain.rpc import Head, Rpc
from sonar.errors import BlockMissing, RpcError
from sonar.protocol.ids import Address


def call_of(to: Address, data: bytes, at: Head | None) -> tuple[object, object]:
    """Return the parameters of `eth_call` for what `view` asks."""
    block = "latest" if at is None else {"blockHash": at.hash, "requireCanonical": True}
    return {"to": to, "data": "0x" + data.hex()}, block


def view(rpc: Rpc, to: Address, data: bytes, what: str, at: Head | None = None) -> bytes:
    """Return what the contract at `to` answers to the call data `data`; `what` names it in errors.

    With `at`, as of that very block: by its hash (EIP-1898), since after a reorganisation, or at another node
    behind the same address, its number is another block's. A node that does not have it any more, or not yet,
    refuses with a BlockMissing. Raises the contract's own error (`sonar.chain.contract.errors`),
    ChainUnavailable, RpcError.
    """
    try:
        return rpc.data("eth_call", *call_of(to, data, at), what=what)
    except RpcError as error:
        if (refusal := revert.from_rpc_error(error)) is not None:
            raise refusal from error
        if at is not None and any(word in str(error).lower() for word in _MISSING):
            told = f"the chain's node does not have block {at.number} any more, or not yet ({error})"
            raise BlockMissing(told, code=error.code, data=error.data) from error
        raise


# The words of geth, Anvil, Nethermind, Besu, Erigon and Reth, and of our own chain.
_MISSING = (
    "header not found",
    "missing trie node",
    "unknown block",
    "block not found",
    "blockoutofrange",
    "block height is",
    "not on this chain",
    "not canonical",
    "historical state",
    "state is not available",
    "state not available",
    "world state unavailable",
    "pruned",
)
