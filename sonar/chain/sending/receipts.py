"""What a receipt says besides its figures."""

from __future__ import annotations

from typing import Any

from sonar.chain.contract import revert
from sonar.chain.contract.calls import Call
from sonar.chain.rpc import Chain
from sonar.chain.sending.entries import Receipt
from sonar.chain.sending.gas import request
from sonar.errors import RpcError
from sonar.protocol.ids import Address


def is_mined(receipt: Any) -> bool:
    """Tell whether a node's answer is the receipt of something that was mined."""
    return isinstance(receipt, dict) and receipt.get("blockNumber") is not None


def why_failed(chain: Chain, call: Call, sender: Address, receipt: Receipt) -> bytes:
    """Return the bytes that a call is reverted with now, as it was when it was mined."""
    try:
        chain.rpc.call("eth_call", request(call, sender), hex(receipt.block))
    except RpcError as error:
        if (data := revert.find_data(error.data)) is not None:
            return data
    return revert.reason_data(f"{call.name} was mined in block {receipt.block} and failed")
