"""How much gas a call takes, as a node is asked for it and as it is offered."""

from __future__ import annotations

from sonar.chain.contract.calls import Call
from sonar.chain.rpc import Request, quantity
from sonar.protocol.ids import Address

_MARGIN = (5, 4)
"""The gas limit is the estimate times 5/4: what others do before us may cost a little more."""


def with_margin(gas: int) -> int:
    """Return the gas limit for an estimate."""
    return gas * _MARGIN[0] // _MARGIN[1]


def request(call: Call, sender: Address) -> dict[str, str]:
    """Return the call as JSON-RPC wants it to simulate it."""
    fields = {"from": sender, "data": "0x" + call.data.hex(), "value": hex(call.value_wei)}
    return fields | ({"to": call.to} if call.to else {})


def estimate(call: Call, sender: Address) -> Request:
    """Return the request that simulates a call, and says how much gas it takes."""
    return Request("eth_estimateGas", (request(call, sender),), quantity)
