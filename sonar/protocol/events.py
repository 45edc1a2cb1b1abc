"""The contract's events as frozen records. `sonar.chain.contract.market` decodes them.

`sonar.protocol.fold` makes the record of each round from them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sonar.frozen import frozen
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.phase import CloseReason, Terms


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Where an event stands on the chain. (block, log_index) orders all events."""

    block: int
    tx_hash: str
    log_index: int


@frozen
class BountyPosted(Logged):
    """A bounty was posted."""

    bounty: BountyId
    scientist: Address
    terms: Terms
    model_digest: Digest
    key_digest: Digest
    escrow_units: int


@frozen
class RoundOpened(Logged):
    """A round began, at chain time `opened_s`, training the model of `model_digest`."""

    bounty: BountyId
    round: int
    model_digest: Digest
    opened_s: int


@frozen
class Committed(Logged):
    """A mine committed to an update."""

    bounty: BountyId
    round: int
    mine: Address
    seal: bytes


@frozen
class Revealed(Logged):
    """A mine revealed its update's manifest."""

    bounty: BountyId
    round: int
    mine: Address
    update_digest: Digest


@frozen
class CohortFixed(Logged):
    """The scientist fixed which of the revealed updates are summed: `digest` is over that cohort."""

    bounty: BountyId
    round: int
    digest: bytes


@frozen
class MinePaid(Logged):
    """A mine was credited; `stake_units` is its own, given back."""

    bounty: BountyId
    round: int
    mine: Address
    share_bps: int
    stake_units: int
    fee_units: int
    reward_units: int
    forfeit_units: int


@frozen
class RoundSettled(Logged):
    """The scientist settled a round; `paid_units` left the escrow, `escrow_units` is what remains of it."""

    bounty: BountyId
    round: int
    new_model_digest: Digest
    new_loss: int
    best_loss: int
    paid_units: int
    escrow_units: int
    evidence_digest: Digest


@frozen
class RoundFailed(Logged):
    """A round ended with too few updates."""

    bounty: BountyId
    round: int
    committed: int
    revealed: int


@frozen
class BountyClosed(Logged):
    """A bounty ended; `refund_units` was credited to its scientist."""

    bounty: BountyId
    round: int
    reason: CloseReason
    refund_units: int


@frozen
class Withdrawn(Logged):
    """An account took its balance out."""

    asset: Address
    account: Address
    to: Address
    amount_units: int


Event = (
    BountyPosted
    | RoundOpened
    | Committed
    | Revealed
    | CohortFixed
    | MinePaid
    | RoundSettled
    | RoundFailed
    | BountyClosed
    | Withdrawn
)
