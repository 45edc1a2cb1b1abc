"""Gives a signed transaction to a node, and reads its answer.

No standard says what a node answers to one that it does not take: the words are those of the clients in use.
"""

from __future__ import annotations

from enum import Enum, auto

from sonar.chain.rpc import Rpc
from sonar.errors import RpcError

_THERE = ("already known", "already imported", "known transaction", "already exists", "replacement")
_POOR = ("insufficient funds", "upfront cost exceeds")
_CHEAP = ("less than", "lower than", "below", "minimum", "too low", "toolow")


class Said(Enum):
    """What the node makes of a transaction."""

    THERE = auto()
    """Its pool or the chain has it, or another one of the same nonce."""
    EARLY = auto()
    """It lacks one of a lower nonce."""
    CHEAP = auto()
    """It offers too little per gas."""
    POOR = auto()
    """The account cannot pay for it."""


def offer(rpc: Rpc, raw: bytes) -> Said:
    """Send the signed bytes. Raises RpcError if the node refuses them for any other reason."""
    try:
        rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcError as error:
        if (said := _read(str(error).lower())) is None:
            raise
        return said
    return Said.THERE


def _read(problem: str) -> Said | None:
    if any(word in problem for word in _THERE):
        return Said.THERE
    if "nonce" in problem:
        if any(word in problem for word in ("low", "old")):
            return Said.THERE
        if any(word in problem for word in ("high", "gap", "distant", "future")):
            return Said.EARLY
    if any(word in problem for word in _POOR):
        return Said.POOR
    if "underpriced" in problem:
        return Said.CHEAP
    if any(word in problem for word in ("fee", "price", "tip")) and any(word in problem for word in _CHEAP):
        return Said.CHEAP
    return None
