"""Sends a signed transaction to a node and reads its answer; and counts an account's transactions.

No standard defines how a node refuses a transaction: the words are those of the clients in use.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from sonar.chain.rpc import Request, Rpc, quantity
from sonar.errors import ChainUnusable, RpcError
from sonar.protocol.ids import Address

_TYPE = ("transaction type not supported", "unsupported transaction type", "eip-1559", "eip1559")
_THERE = ("already known", "already imported", "known transaction", "already exists", "replacement")
_POOR = ("insufficient funds", "upfront cost exceeds")
_CHEAP = ("less than", "lower than", "below", "minimum", "too low", "toolow")


class Said(Enum):
    """What the node says about a transaction."""

    THERE = auto()
    """Its pool or the chain has it, or its pool has another one with the same nonce."""
    USED = auto()
    """The chain has one with that nonce, perhaps this one."""
    EARLY = auto()
    """It lacks one with a lower nonce."""
    CHEAP = auto()
    """It offers too little per gas."""
    POOR = auto()
    """The account cannot pay for it."""


class Counts:
    """An account's transactions as a node counts them: in the chain, and including its pool."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tells_pool = True

    def requests(self) -> tuple[Request, Request]:
        """What to ask for both numbers, of which the second is never older than the first."""
        tag = "pending" if self._tells_pool else "latest"
        return self._request("latest"), self._request(tag)

    def read(self, mined: Any, pooled: Any) -> tuple[int, int]:
        """Return both numbers. Raises RpcError.

        A node may not know the tag `pending`: what its pool has of ours, the journal has too.
        """
        if isinstance(pooled, RpcError) and not isinstance(mined, RpcError):
            self._tells_pool, pooled = False, mined
        for answer in (mined, pooled):
            if isinstance(answer, RpcError):
                raise answer
        return mined, pooled

    def _request(self, tag: str) -> Request:
        return Request("eth_getTransactionCount", (self._address, tag), quantity)


def offer(rpc: Rpc, raw: bytes) -> Said:
    """Send the signed bytes. Raises RpcError if the node refuses them for any other
    reason, and ChainUnusable if its chain has no such transactions at all.
    """
    try:
        rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcError as error:
        if any(words in str(error).lower() for words in _TYPE):
            raise ChainUnusable(
                f"the chain at {rpc.shown} takes no transactions with a base fee (EIP-1559): {error}",
                hint="use a chain that has London (EIP-1559); on one of your own, enable it in the genesis",
            ) from error
        if (said := _read(str(error).lower())) is None:
            raise
        return said
    return Said.THERE


def _read(problem: str) -> Said | None:
    if any(word in problem for word in _THERE):
        return Said.THERE
    if "nonce" in problem:
        if any(word in problem for word in ("low", "old")):
            return Said.USED
        if any(word in problem for word in ("high", "gap", "distant", "future")):
            return Said.EARLY
    if any(word in problem for word in _POOR):
        return Said.POOR
    if "underpriced" in problem:
        return Said.CHEAP
    if any(word in problem for word in ("fee", "price", "tip")) and any(word in problem for word in _CHEAP):
        return Said.CHEAP
    return None
