"""The committee of an audited bounty's capsules: its code, its signatures, and whether an address is one.

Members and threshold are immutables of the contract `Committee`: they stand in its code. So whether an
address is the committee of certain accounts is seen by its code alone, byte for byte, wherever it lies and
whoever deployed it. A contract that only answers as a committee does could answer otherwise tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode

from sonar.chain.contract import abi
from sonar.chain.rpc import Chain
from sonar.chain.signatures import signer_of
from sonar.errors import UsageError
from sonar.protocol.ids import Address, parse_address
from sonar.protocol.record import is_ascending

MAX_MEMBERS = 7
SIGNATURE_BYTES = 65
"""Of each member; a committee's signature is `threshold` of them, one after another."""


def creation_code(members: Sequence[Address], threshold: int) -> bytes:
    """Return what creates a committee. Raises UsageError for members or a threshold that it would refuse."""
    _check(members, threshold)
    return abi.committee().bytecode + encode(("address[]", "uint256"), (list(members), threshold))


def runtime_code(members: Sequence[Address], threshold: int) -> bytes:
    """Return the code that a committee has on the chain. Raises UsageError as `creation_code`."""
    _check(members, threshold)
    places = {f"MEMBER_{place}": int(member, 16) for place, member in enumerate(members)}
    return abi.committee().filled(places | {"THRESHOLD": threshold})


def is_committee(chain: Chain, address: Address, members: Sequence[Address], threshold: int) -> str:
    """Return why `address` is not the committee of these members; nothing if it is.

    Raises UsageError for what can be no committee, ChainUnavailable, and RpcError.
    """
    expected, code = runtime_code(members, threshold), chain.code(address)
    if code == expected:
        return ""
    if not code:
        return f"{address} is no contract, so it is not a committee of {_shown(members, threshold)}"
    if (found := _read(code)) is None:
        return f"the contract {address} has other code than the committee that this version ships"
    return f"{address} is the committee of {_shown(*found)}, not of {_shown(members, threshold)}"


def signers(digest: bytes, signature: bytes) -> list[Address | None]:
    """Return who signed each part of a committee's signature over 32 bytes; None for nobody.

    Bytes beyond the last whole part are one more that nobody signed.
    """
    starts = range(0, len(signature), SIGNATURE_BYTES)
    return [signer_of(digest, signature[start : start + SIGNATURE_BYTES]) for start in starts]


def signature_fault(digest: bytes, signature: bytes, members: Sequence[Address], threshold: int) -> str:
    """Return why a committee of these members says no to a signature; nothing if it says yes.

    The same rule as the contract's, without a chain.
    """
    found = signers(digest, signature)
    if len(signature) != threshold * SIGNATURE_BYTES:
        return f"{len(signature)} bytes, not {threshold} signatures of {SIGNATURE_BYTES}"
    named = [signer for signer in found if signer is not None]
    if len(named) < len(found):
        return f"signature {found.index(None) + 1} of {threshold} is nobody's over this settlement"
    if others := [signer for signer in named if signer not in members]:
        return f"{others[0]} signed, who is no member, or a member signed something else"
    return "" if is_ascending(named) else "the signers are not ascending, or one signed twice"


def _check(members: Sequence[Address], threshold: int) -> None:
    if not 1 <= len(members) <= MAX_MEMBERS:
        raise UsageError(f"a committee of {len(members)} members; there can be 1 to {MAX_MEMBERS}")
    if not 1 <= threshold <= len(members):
        raise UsageError(f"a committee in which {threshold} of {len(members)} members sign")
    if not is_ascending(members) or not all(int(member, 16) for member in members):
        raise UsageError("the members of a committee are not ascending, or one is zero or occurs twice")


def _read(code: bytes) -> tuple[list[Address], int] | None:
    """Return members and threshold of a committee's code; None for other code, or for what none can have."""
    artifact = abi.committee()
    if len(code) != len(artifact.deployed_bytecode):
        return None
    values = {
        name: int.from_bytes(code[places[0].start : places[0].start + places[0].length])
        for name, places in artifact.immutables.items()
    }
    threshold, numbers = values["THRESHOLD"], [values[f"MEMBER_{place}"] for place in range(MAX_MEMBERS)]
    if artifact.filled(values) != code or any(number >> 160 for number in numbers):
        return None
    return [parse_address(f"0x{number:040x}") for number in numbers if number], threshold


def _shown(members: Sequence[Address], threshold: int) -> str:
    return f"{threshold} of {', '.join(members)}"
