"""The contract's events as frozen records, decoded strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sonar.chain.contract import abi
from sonar.chain.rpc import data_bytes, quantity
from sonar.errors import RemoteError
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.phase import CloseReason, Terms


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Where an event stands on the chain. (block, log_index) orders all events."""

    block: int
    tx_hash: str
    log_index: int


@dataclass(frozen=True)
class BountyPosted(Logged):
    """A bounty was posted."""

    bounty: BountyId
    scientist: Address
    terms: Terms
    model_digest: Digest
    key_digest: Digest
    escrow_wei: int


@dataclass(frozen=True)
class RoundOpened(Logged):
    """A round began, at chain time `opened_s`, training the model of `model_digest`."""

    bounty: BountyId
    round: int
    model_digest: Digest
    opened_s: int


@dataclass(frozen=True)
class Committed(Logged):
    """A mine committed to an update."""

    bounty: BountyId
    round: int
    mine: Address
    seal: bytes


@dataclass(frozen=True)
class Revealed(Logged):
    """A mine revealed its update's manifest."""

    bounty: BountyId
    round: int
    mine: Address
    update_digest: Digest


@dataclass(frozen=True)
class MinePaid(Logged):
    """A mine was credited; `stake_wei` is its own, given back."""

    bounty: BountyId
    round: int
    mine: Address
    share_bps: int
    stake_wei: int
    fee_wei: int
    reward_wei: int
    forfeit_wei: int


@dataclass(frozen=True)
class RoundSettled(Logged):
    """The scientist settled a round; `paid_wei` left the escrow, `escrow_wei` is what remains of it."""

    bounty: BountyId
    round: int
    new_model_digest: Digest
    new_loss: int
    best_loss: int
    paid_wei: int
    escrow_wei: int
    evidence_digest: Digest


@dataclass(frozen=True)
class RoundFailed(Logged):
    """A round ended with too few updates."""

    bounty: BountyId
    round: int
    committed: int
    revealed: int


@dataclass(frozen=True)
class BountyClosed(Logged):
    """A bounty ended; `refund_wei` was credited to its scientist."""

    bounty: BountyId
    round: int
    reason: CloseReason
    refund_wei: int


@dataclass(frozen=True)
class Withdrawn(Logged):
    """An account took its balance out."""

    asset: Address
    account: Address
    to: Address
    amount_wei: int


Event = (
    BountyPosted
    | RoundOpened
    | Committed
    | Revealed
    | MinePaid
    | RoundSettled
    | RoundFailed
    | BountyClosed
    | Withdrawn
)
CLASSES: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        BountyPosted,
        RoundOpened,
        Committed,
        Revealed,
        MinePaid,
        RoundSettled,
        RoundFailed,
        BountyClosed,
        Withdrawn,
    )
}
_CONVERTED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("BountyPosted", "terms"): lambda value: Terms(*value),
    ("BountyClosed", "reason"): CloseReason,
}


def decode_log(log: Any) -> Event:
    """Return the event of one log as JSON-RPC gives it. Raises RemoteError on anything malformed."""
    if not isinstance(log, dict) or not isinstance(log.get("topics"), list):
        raise RemoteError("the node answered a log that is not one")
    if log.get("removed"):
        raise RemoteError("the node answered a log that a reorganisation has removed")
    topics = [data_bytes(topic, "a log's topic", 32) for topic in log["topics"]]
    item, values = abi.decode_log(topics, data_bytes(log.get("data"), "a log's data"))
    try:
        converted = [
            _CONVERTED.get((item.name, name), lambda value: value)(value)
            for name, value in zip(item.names, values, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise RemoteError(f"a log {item.name} has a value out of range: {error}") from error
    return CLASSES[item.name](
        *converted,
        block=quantity(log.get("blockNumber"), "a log's block"),
        tx_hash="0x" + data_bytes(log.get("transactionHash"), "a log's transaction", 32).hex(),
        log_index=quantity(log.get("logIndex"), "a log's index"),
    )
