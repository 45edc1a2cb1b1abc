"""Asks a contract something without a transaction."""

from __future__ import annotations

from sonar.chain import revert
from sonar.chain.rpc import Head, Rpc, data_bytes
from sonar.errors import RpcError
from sonar.protocol.ids import Address


def view(rpc: Rpc, to: Address, data: bytes, what: str, at: Head | None = None) -> bytes:
    """Return what the contract at `to` answers to the call data `data`; `what` names it in errors.

    With `at`, as of that block. Raises the contract's own error (`sonar.chain.revert`), ChainUnavailable,
    RpcError.
    """
    request = {"to": to, "data": "0x" + data.hex()}
    try:
        answer = rpc.call("eth_call", request, "latest" if at is None else hex(at.number))
    except RpcError as error:
        if (refusal := revert.from_rpc_error(error)) is not None:
            raise refusal from error
        raise
    return data_bytes(answer, what)
