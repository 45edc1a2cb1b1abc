"""Why a call was reverted: from the bytes of a node's answer to an exception.

The contract's own errors are in `sonar.chain.contract.errors`. What a token refused comes through with the
token's own: `sonar.chain.contract.tokenerrors`.
"""

from __future__ import annotations

from functools import cache
from inspect import get_annotations
from typing import Any

from sonar.chain.contract import abi, errors, tokenerrors
from sonar.chain.contract.refusal import Refusal
from sonar.errors import MarketError, RemoteError, RpcError
from sonar.protocol.keccak import selector
from sonar.protocol.phase import Status

_REASON = selector("Error(string)")
_PANIC = selector("Panic(uint256)")
_PANICS = {
    0x01: "assertion",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "invalid enum value",
    0x22: "damaged storage",
    0x31: "pop from an empty array",
    0x32: "index out of range",
    0x41: "out of memory",
    0x51: "call of an empty function",
}


class Panic(Refusal):
    """The contract stopped on a fault of its own; `reason` names the code that Solidity gives."""

    code: int
    reason: str
    told = "the contract stopped on a fault of its own, {reason} (code {code})"
    next_step = "please report this: it is a fault of the contract"


class Reverted(Refusal):
    """The call was reverted with a text, or with nothing that can be read."""

    reason: str
    told = "the call was refused, with the reason {reason}"


@cache
def classes() -> dict[bytes, type[Refusal]]:
    """Return the exception of each custom error of the ABI, by selector."""
    return {key: getattr(errors, item.name) for key, item in abi.errors().items()}


@cache
def _known() -> dict[bytes, tuple[type[Refusal], tuple[str, ...]]]:
    """The exception and the types of the fields of each error, of the contract's and of tokens'."""
    ours = {key: (kind, abi.errors()[key].inputs) for key, kind in classes().items()}
    return tokenerrors.by_selector() | ours


def from_data(data: bytes) -> MarketError:
    """Return the exception for the bytes that a call was reverted with. Never raises, whatever they are."""
    refusal = _decode(data)
    refusal.data = data
    return refusal


def _decode(data: bytes) -> MarketError:
    key, body = data[:4], data[4:]
    try:
        if key == _REASON:
            return Reverted(str(abi.decode_exactly(("string",), body, "a revert reason")[0])[:500])
        if key == _PANIC:
            (code,) = abi.decode_exactly(("uint256",), body, "a panic")
            return Panic(code, _PANICS.get(code, "unknown"))
        if (known := _known().get(key)) is not None:
            kind, types = known
            values = abi.decode_exactly(types, body, kind.__name__)
            wanted = get_annotations(kind, eval_str=True).values()
            return kind(*(_typed(want, value) for want, value in zip(wanted, values, strict=True)))
    except (RemoteError, ValueError):
        pass
    return Reverted(f"unreadable data 0x{data[:64].hex()}" if data else "")


def from_rpc_error(error: RpcError) -> MarketError | None:
    """Return why a call was reverted, or None if the node's error is not a revert.

    Clients put the bytes in different places: in `data`, inside objects there, or after "Reverted ".
    """
    data = find_data(error.data)
    if data is not None:
        return from_data(data)
    message = str(error)
    if error.code == 3 or "revert" in message.lower():
        return Reverted(message.partition("reverted: ")[2][:500])
    return None


def reason_data(text: str) -> bytes:
    """Return the bytes of a revert with a text, as Solidity's `revert(text)` gives them."""
    return _REASON + abi.encode(["string"], [text])


def find_data(value: object, depth: int = 0) -> bytes | None:
    """Return the revert's bytes from the `data` of a node's error, or None if there are none."""
    if isinstance(value, str):
        text = value.removeprefix("Reverted ")
        try:
            return bytes.fromhex(text[2:]) if text.startswith("0x") else None
        except ValueError:
            return None
    if isinstance(value, dict) and depth < 4:
        # The names under which clients nest it first, then whatever else is there.
        keys = [key for key in ("data", "return", "result", "originalError") if key in value]
        for key in keys or list(value)[:8]:
            if (found := find_data(value[key], depth + 1)) is not None:
                return found
    return None


def _typed(want: object, value: Any) -> Any:
    return Status(value) if want is Status else value
