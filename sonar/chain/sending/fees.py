"""What a transaction offers per gas, and what a node says of it.

It offers what the chain's newest block asks for, within limits. No standard says what a node answers to one
that it does not take: the words are those of the clients in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

from sonar.chain.rpc import Request, Rpc, quantity
from sonar.errors import RpcError

TIP_FLOOR_WEI, TIP_CEILING_WEI = 10**7, 5 * 10**9
MAX_FEE_PER_GAS_WEI = 10**12
"""1,000 gwei: above that a transaction waits, whatever fee the node suggests."""
BUMP = (5, 4)
"""A replacement offers 5/4 of the fee; nodes ask for at least 11/10."""


@dataclass(frozen=True)
class Price:
    """An offer per gas: at most `max_fee_wei`, of which up to `tip_wei` to whoever makes the block."""

    tip_wei: int
    max_fee_wei: int


@dataclass(frozen=True)
class Asked:
    """What block `block` says of the next one: its base fee, and the tip that half of its own gas paid."""

    block: int
    base_wei: int
    tip_wei: int

    @classmethod
    def read(cls, answer: Any, what: str) -> Asked:
        """Return what the answer to HISTORY says. Raises RpcError."""
        try:
            rewards = answer.get("reward") or [["0x0"]]
            found = answer["oldestBlock"], answer["baseFeePerGas"][-1], rewards[-1][0]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise RpcError(f"{what}: the node's answer has no fees") from error
        block, base_wei, tip_wei = (quantity(each, what) for each in found)
        return cls(block, base_wei, min(max(tip_wei, TIP_FLOOR_WEI), TIP_CEILING_WEI))

    @cached_property
    def price(self) -> Price:
        """What to offer. Twice the base fee leaves room for six full blocks before it is too little."""
        capped_wei = min(2 * self.base_wei + self.tip_wei, MAX_FEE_PER_GAS_WEI)
        return Price(self.tip_wei, max(self.tip_wei, capped_wei))

    def exceeds(self, last: Price) -> bool:
        """Tell whether the next block asks for more than `last` leaves for its tip."""
        return min(last.tip_wei, last.max_fee_wei - self.base_wei) < self.tip_wei

    def over(self, last: Price) -> Price | None:
        """Return what takes the place of one that offers `last`; None if that is above the limit."""
        tip_wei = max(self.price.tip_wei, last.tip_wei * BUMP[0] // BUMP[1] + 1)
        max_fee_wei = max(self.price.max_fee_wei, last.max_fee_wei * BUMP[0] // BUMP[1] + 1, tip_wei)
        return Price(tip_wei, max_fee_wei) if max_fee_wei <= MAX_FEE_PER_GAS_WEI else None


HISTORY = Request("eth_feeHistory", ("0x1", "latest", [50]), Asked.read)
"""The request for what the newest block asks."""


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
