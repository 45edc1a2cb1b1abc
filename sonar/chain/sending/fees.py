"""What a transaction offers per gas: what the chain's newest block asks for, within limits."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sonar.chain.rpc import Chain, Request, quantity
from sonar.errors import ChainUnusable, RpcError
from sonar.frozen import frozen

TIP_FLOOR_WEI, TIP_CEILING_WEI = 10**7, 5 * 10**9
TIP_UNTOLD_WEI = 10**9
"""The offer if the node does not say what others offered."""
MAX_FEE_PER_GAS_WEI = 10**12
"""1,000 gwei: above that a transaction waits, whatever fee the node suggests."""
BUMP = (5, 4)
"""A replacement offers 5/4 of the fee; nodes ask for at least 11/10."""


@frozen
class Price:
    """An offer per gas: at most `max_fee_wei`, of which up to `tip_wei` to whoever makes the block."""

    tip_wei: int
    max_fee_wei: int


@frozen
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

    @classmethod
    def of_block(cls, block: dict[str, Any]) -> Asked:
        """Return what the newest block alone shows: the next base fee is at most 9/8 of its own."""
        number, base_wei = (quantity(block.get(name), name) for name in ("number", "baseFeePerGas"))
        return cls(number, base_wei * 9 // 8 + 1, TIP_UNTOLD_WEI)

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
"""The request for what the newest block asks; `asked` takes its answer."""


def asked(chain: Chain, answer: Any, *, before: bool = True) -> Asked:
    """Return what the newest block asks, by the answer to HISTORY, or else by the block itself.

    `before`: whether the chain has told its fees before. Raises RpcError, and ChainUnusable for a chain that
    has none: one of before London, where transactions with a base fee (EIP-1559) are not valid.
    """
    if isinstance(answer, Asked) and (answer.base_wei > 0 or before):
        return answer
    block = chain.rpc.call("eth_getBlockByNumber", "latest", False)
    if not isinstance(block, dict):
        raise RpcError("eth_getBlockByNumber: the node has no newest block")
    if block.get("baseFeePerGas") is not None:
        return answer if isinstance(answer, Asked) else Asked.of_block(block)
    if before:
        raise RpcError("eth_getBlockByNumber: the newest block has no baseFeePerGas")
    raise ChainUnusable(
        f"the chain at {chain.rpc.shown} predates the London upgrade: its blocks have no baseFeePerGas",
        hint="use a chain that has London (EIP-1559); on one of your own, enable it in the genesis",
    )
