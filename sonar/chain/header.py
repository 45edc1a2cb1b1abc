"""Whether a block's header matches its hash: changing its time or number changes the hash.

A block's hash is keccak256 over the RLP of its header's fields (Ethereum's yellow paper, section 4.4.3, and
the EIPs that added fields at the end). Other kinds of chains hash differently, and a future fork may add a
field: then the check says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sonar.errors import RpcError
from sonar.protocol.keccak import keccak

_ORDER = [
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
]
_MUST = _ORDER[:15]
_QUANTITIES = {
    *("difficulty", "number", "gasLimit", "gasUsed", "timestamp"),
    *("baseFeePerGas", "blobGasUsed", "excessBlobGas"),
}
_BESIDES = {"hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals"}
"""Fields of a node's answer that are no part of the header."""
_AT_MOST_S = 900.0
"""A mismatch that lasts longer is not a lie: the chain hashes differently since a fork."""


class Headers:
    """Checks the headers of one chain. Once one was genuine, all later ones must be that can be checked.

    One with other fields passes: behind one address may stand nodes that give more or fewer of them.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._can_tell = False
        self._newest: Mapping[str, Any] = {}  # the last that was genuine, as most are asked for again
        self._since_s: float | None = None  # since when none was genuine

    def check(self, block: Mapping[str, Any]) -> None:
        """Check a block as JSON-RPC gives it. Raises RpcError if its header was changed."""
        genuine = block == self._newest or is_genuine(block)
        if genuine:
            self._can_tell, self._since_s, self._newest = True, None, block
        if not self._can_tell or genuine is not False:
            return
        self._since_s = self._monotonic() if self._since_s is None else self._since_s
        if self._monotonic() - self._since_s > _AT_MOST_S:
            self._can_tell = False
            return
        raise RpcError(
            f"the chain's node reports a block {str(block.get('number'))[:70]} of time "
            f"{str(block.get('timestamp'))[:70]} that does not match its hash"
        )


def is_genuine(block: Mapping[str, Any]) -> bool | None:
    """Tell whether the header of a block has the hash given for it; None if that cannot be known."""
    if not block.keys() >= {"hash", *_MUST} or block.keys() - _BESIDES - set(_ORDER):
        return None
    try:
        fields = [_field(name, block[name]) for name in _ORDER if block.get(name) is not None]
        return keccak(_rlp(fields)) == bytes.fromhex(block["hash"][2:])
    except (TypeError, ValueError, OverflowError):
        return False


def _rlp(fields: Sequence[bytes]) -> bytes:
    """Return the recursive length prefix of a list of bytes (yellow paper, appendix B)."""
    items = b"".join(one if len(one) == 1 and one[0] < 0x80 else _prefix(0x80, one) + one for one in fields)
    return _prefix(0xC0, items) + items


def _prefix(kind: int, data: bytes) -> bytes:
    if len(data) < 56:
        return bytes([kind + len(data)])
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8)
    return bytes([kind + 55 + len(length)]) + length


def _field(name: str, value: Any) -> bytes:
    """A field's bytes: data as they are, quantities without leading zeros."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(name)
    if name not in _QUANTITIES:
        return bytes.fromhex(value[2:])
    number = int(value, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
