"""Tries whoever is to sign a bounty's settlements, before money rests on it.

A settlement counts if its settler signed it: an account by its key, a contract by its word (EIP-1271). A
contract that cannot say no is found here; that it will say yes, nobody can know.
"""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.abi import function_signature_to_4byte_selector

from sonar.chain.rpc import Chain, data_bytes
from sonar.errors import ConfigError, RpcError
from sonar.protocol.ids import Address
from sonar.protocol.phase import NOBODY

GAS = 5_000_000
"""What an answer may take: with the largest cohort's settlement it still fits one transaction (EIP-7825)."""
_SELECTOR = function_signature_to_4byte_selector("isValidSignature(bytes32,bytes)")
_QUESTION = _SELECTOR + encode(("bytes32", "bytes"), (b"\x5a" * 32, b""))
_CODE_BYTES = 50
"""How long the code of `_program` is; the question follows."""
_HINT = (
    "name an account, or a contract with isValidSignature of EIP-1271 that answers in less than "
    f"{GAS:,} gas; or no settler"
)


def check_settler(chain: Chain, settler: Address) -> None:
    """Check that a settler can answer. Nobody and an account can; a contract must say no to no signature.

    Raises ConfigError naming `settler`, ChainUnavailable, and RpcError if the node gives no sound answer.
    """
    if settler == NOBODY or not chain.code(settler):
        return
    if problem := _problem(*_ask(chain, settler)):
        raise ConfigError("settler", f"the contract {settler} {problem}", hint=_HINT)


def _problem(succeeded: bool, size: int, word: bytes) -> str:
    """Return what is wrong with an answer to an empty signature; nothing if it is a no."""
    if not size:
        return "gives no answer to isValidSignature of EIP-1271: its settlements could never be made"
    if succeeded and size < 32:
        return f"answers isValidSignature of EIP-1271 with {size} bytes, not 32"
    if succeeded and word[:4] == _SELECTOR and not any(word[4:]):
        return "takes an empty signature for its own: anybody could settle in its name"
    return ""


def _ask(chain: Chain, settler: Address) -> tuple[bool, int, bytes]:
    """Return the settler's answer: whether it succeeds, how many bytes it returns, and the first 32 of them.

    Asked as the market asks, by a static call with almost all gas: a small program is run in place of a
    contract's creation, so nothing comes to be.
    """
    request = {"data": "0x" + _program(settler).hex(), "gas": hex(GAS)}
    try:
        told = data_bytes(chain.rpc.call("eth_call", request, "latest"), "the settler's answer", 96)
    except RpcError as error:
        error.hint = error.hint or "try another node: this one could not try the settler"
        raise
    return any(told[:32]), int.from_bytes(told[32:64]), told[64:]


def _program(settler: Address) -> bytes:
    """Return code that asks `settler` _QUESTION, and returns success, size and first word of its answer."""
    size = len(_QUESTION)
    answer, told = 0xC0, 0x80  # where in memory; the question stands from 0, and is shorter than 0x80
    steps = (
        (0x60, size, 0x60, _CODE_BYTES, 0x60, 0, 0x39),  # CODECOPY(0, after the code, size)
        (0x60, 32, 0x60, answer, 0x60, size, 0x60, 0, 0x73, *bytes.fromhex(settler[2:]), 0x5A),
        (0xFA, 0x60, told, 0x52),  # STATICCALL(all gas, settler, 0, size, answer, 32); MSTORE its success
        (0x3D, 0x60, told + 32, 0x52),  # RETURNDATASIZE; MSTORE
        (0x60, 96, 0x60, told, 0xF3),  # RETURN(told, 96)
    )
    return bytes(byte for step in steps for byte in step) + _QUESTION
