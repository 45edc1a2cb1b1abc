"""The committee of an audited bounty's capsules: its code, and whether an address is one.

Members and threshold are immutables of the contract `Committee`: they stand in its code. So whether an
address is the committee of certain accounts is seen by its code alone, byte for byte, wherever it lies and
whoever deployed it. A contract that only answers as a committee does could answer otherwise tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence

from sonar.chain.contract import abi
from sonar.chain.rpc import Chain
from sonar.errors import UsageError
from sonar.protocol.ids import Address, parse_address
from sonar.protocol.record import is_ascending

MAX_MEMBERS = 7


def creation_code(members: Sequence[Address], threshold: int) -> bytes:
    """Return what creates a committee. Raises UsageError for members or a threshold that it would refuse."""
    _check(members, threshold)
    return abi.committee().bytecode + abi.encode(("address[]", "uint256"), (list(members), threshold))


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
