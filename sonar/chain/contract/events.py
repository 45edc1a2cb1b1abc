"""From a log of the contract, as a node answers it, to the event that it is: decoded strictly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from sonar.chain.contract import abi
from sonar.chain.rpc import data_bytes, fields_of, hash32, quantity, words
from sonar.errors import RemoteError
from sonar.protocol.events import Event
from sonar.protocol.phase import CloseReason
from sonar.protocol.seal import terms_of

CLASSES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_CONVERTED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("BountyPosted", "terms"): terms_of,
    ("BountyClosed", "reason"): CloseReason,
}


def decode_log(log: Any) -> Event:
    """Return the event of one log as JSON-RPC gives it. Raises RemoteError on anything malformed."""
    if isinstance(log, dict) and log.get("removed"):
        raise RemoteError("the node answered a log that a reorganisation has removed")
    topics, data, *place = fields_of(log, "a log", topics=words, data=data_bytes, **_PLACE)
    item, values = abi.decode_log(topics, data)
    try:
        converted = [
            _CONVERTED.get((item.name, name), lambda value: value)(value)
            for name, value in zip(item.names, values, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise RemoteError(f"a log {item.name} has a value out of range: {error}") from error
    block, tx_hash, log_index = place
    return CLASSES[item.name](*converted, block=block, tx_hash=tx_hash, log_index=log_index)


_PLACE = {"blockNumber": quantity, "transactionHash": hash32, "logIndex": quantity}
