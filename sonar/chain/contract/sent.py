"""What a transaction told the contract beside what its events say: the arguments of its call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sonar.chain.contract import abi
from sonar.chain.rpc import Request, Rpc, data_bytes
from sonar.errors import RemoteError, RpcError
from sonar.protocol.ids import Address


def arguments(
    rpc: Rpc, contract: Address, function: str, hashes: Sequence[str]
) -> list[tuple[Any, ...] | RpcError]:
    """Return the arguments with which each transaction called `function` of the contract.

    In place of those that the node does not tell, or that went to another contract, is an RpcError.
    """
    read = partial(_arguments, contract, function)
    requests = [Request("eth_getTransactionByHash", (tx_hash,), read) for tx_hash in hashes]
    return rpc.batch(*requests) if requests else []


def _arguments(contract: Address, function: str, transaction: Any, what: str) -> tuple[Any, ...]:
    """The arguments of the call that a transaction made. Raises RpcError.

    What was sent to another contract than ours says nothing, whatever it looks like: a mine's own contract
    could reveal one digest while it is told another, and so keep the round from being settled.
    """
    if not isinstance(transaction, dict):
        raise RpcError(f"{what}: the node has no such transaction")
    if str(transaction.get("to")).lower() != contract.lower():
        raise RpcError(f"{what}: the call of {function} came through another contract")
    item = abi.functions()[function]
    data = data_bytes(transaction.get("input", transaction.get("data")), what)
    try:
        if data[:4] == item.selector:
            return abi.decode_exactly(item.inputs, data[4:], f"a call of {function}")
    except RemoteError:
        pass
    raise RpcError(f"{what}: the transaction is no call of {function}")
