"""Tests the settler of a bounty before money depends on it, and each of its signatures.

A settlement counts if its settler signed it: an account with its key, a contract by its answer (EIP-1271).
This test finds a contract that cannot say no; nobody can know that it will say yes.
"""

from __future__ import annotations

from sonar.chain.contract import abi
from sonar.chain.rpc import Chain, data_bytes
from sonar.chain.signatures import form_fault, signer_of
from sonar.errors import ConfigError, RpcError
from sonar.protocol.ids import Address
from sonar.protocol.keccak import selector
from sonar.protocol.phase import NOBODY

GAS = 5_000_000
"""What an answer may take: with the largest cohort's settlement it still fits one transaction (EIP-7825)."""
_SELECTOR = selector("isValidSignature(bytes32,bytes)")
_CODE_BYTES = 62
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
    if problem := _problem(*_ask(chain, settler, b"\x5a" * 32, b"")):
        raise ConfigError("settler", f"the contract {settler} {problem}", hint=_HINT)


def signature_fault(chain: Chain, settler: Address, digest: bytes, signature: bytes) -> str:
    """Return why a signature over `digest` (32 bytes) is not the settler's; nothing if it is.

    Asks what the market asks. Raises ChainUnavailable, and RpcError if the node gives no sound answer.
    """
    if chain.code(settler):
        yes = _is_yes(*_ask(chain, settler, digest, signature))
        return "" if yes else f"the contract {settler} does not accept this signature for this settlement"
    if problem := form_fault(signature):
        return problem
    signer = signer_of(digest, signature)
    return (
        "" if signer == settler else f"{signer or 'nobody'} signed this, or {settler} signed something else"
    )


def _problem(succeeded: bool, size: int, word: bytes) -> str:
    """Return what is wrong with an answer to an empty signature; nothing if it is a no."""
    if not size:
        return "gives no answer to isValidSignature of EIP-1271: its settlements could never be made"
    if succeeded and size < 32:
        return f"answers isValidSignature of EIP-1271 with {size} bytes, not 32"
    if _is_yes(succeeded, size, word):
        return "accepts an empty signature: anybody could settle in its name"
    return ""


def _is_yes(succeeded: bool, size: int, word: bytes) -> bool:
    return succeeded and size >= 32 and word[:4] == _SELECTOR and not any(word[4:])


def _ask(chain: Chain, settler: Address, digest: bytes, signature: bytes) -> tuple[bool, int, bytes]:
    """Return the settler's answer: whether it succeeds, how many bytes it returns, and the first 32 of them.

    Asked as the market asks, by a static call with almost all gas: a small program is run in place of a
    contract's creation, so nothing comes to be.
    """
    question = _SELECTOR + abi.encode(("bytes32", "bytes"), (digest, signature))
    request = {"data": "0x" + _program(settler, question).hex(), "gas": hex(GAS)}
    try:
        told = data_bytes(chain.rpc.call("eth_call", request, "latest"), "the settler's answer", 96)
    except RpcError as error:
        error.hint = error.hint or "try another node: this one could not try the settler"
        raise
    return any(told[:32]), int.from_bytes(told[32:64]), told[64:]


def _program(settler: Address, question: bytes) -> bytes:
    """Return code that asks `settler` a question, and returns success, size and first word of its answer."""
    told = len(question)  # where in memory; the question stands from 0
    size, answer, success, length = (
        (0x62, *n.to_bytes(3))
        for n in (told, told + 64, told, told + 32)  # PUSH3
    )
    steps = (
        (*size, 0x60, _CODE_BYTES, 0x60, 0, 0x39),  # CODECOPY(0, after the code, size)
        (0x60, 32, *answer, *size, 0x60, 0, 0x73, *bytes.fromhex(settler[2:]), 0x5A),
        (0xFA, *success, 0x52),  # STATICCALL(all gas, settler, 0, size, answer, 32); MSTORE its success
        (0x3D, *length, 0x52),  # RETURNDATASIZE; MSTORE
        (0x60, 96, *success, 0xF3),  # RETURN(success, 96)
    )
    return bytes(byte for step in steps for byte in step) + question
