"""What `sonar status --json` answers: bounties, their rounds, and the contract's events as typed records.

An event's record has the fields that the contract's ABI gives it; amounts are in the bounty's asset.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from sonar.protocol.ids import Address
from sonar.telling.documents import Amount, Integer, document


@document
class BountyFacts:
    """Where a bounty stands on the chain. `until_s`: when its phase ends by itself, in chain time.

    `followed`: the accounts in it that go on under another one, each with the latest.
    """

    bounty: str
    scientist: Address
    status: str
    until_s: int | None
    now_s: int
    round: int
    rounds: int
    committed: int
    revealed: int
    cohort_cap: int
    initial_loss: Integer
    best_loss: Integer
    target_loss: Integer
    asset: Address
    escrow_units: Amount
    escrow: str
    by_name: bool
    settler: Address
    quiet_s: int
    overdue_bps: int
    cohort_fixed: bool
    symbol: str = ""
    decimals: int | None = None
    followed: dict[str, str] = field(default_factory=dict)


@document
class RoundFacts:
    """How a round went, by the chain's record; `ended` is None while it is not over.

    `tx_hash` ended it, at chain time `ended_s`. `figures` say its model's loss in people's units, where the
    model's manifest is at hand and the loss is squared. From the evidence in the store: how many updates were
    accepted, and who was left out and why; `accepted` is None where it could not be read.
    """

    round: int
    opened_s: int | None
    committed: int
    revealed: int
    cohort_digest: str | None
    ended: str | None
    ended_block: int | None
    loss: Integer | None
    best_loss: Integer | None
    earned_units: Amount
    shares_bps: dict[str, int]
    tx_hash: str | None = None
    ended_s: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    accepted: int | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@document
class TermsFacts:
    """A bounty's terms, as it was posted with."""

    asset: Address
    cohort_cap: int
    min_mines: int
    rounds: int
    commit_window_s: int
    reveal_window_s: int
    settle_window_s: int
    stake_units: Amount
    fee_units: Amount
    reward_units: Amount
    initial_loss: Integer
    target_loss: Integer
    allow_root: str
    settler: Address
    overdue_bps: int
    quiet_s: int


@document
class Happened:
    """Where an event stands on the chain, and of which bounty it is."""

    block: int
    tx_hash: str
    log_index: int
    bounty: str


@document
class BountyPosted(Happened):
    """A bounty was posted."""

    scientist: Address
    terms: TermsFacts
    model_digest: str
    key_digest: str
    escrow_units: Amount
    event: Literal["BountyPosted"] = "BountyPosted"


@document
class RoundOpened(Happened):
    """A round began, at chain time `opened_s`."""

    round: int
    model_digest: str
    opened_s: int
    event: Literal["RoundOpened"] = "RoundOpened"


@document
class Committed(Happened):
    """A mine committed to an update."""

    round: int
    mine: Address
    seal: str
    event: Literal["Committed"] = "Committed"


@document
class Revealed(Happened):
    """A mine revealed its update."""

    round: int
    mine: Address
    update_digest: str
    event: Literal["Revealed"] = "Revealed"


@document
class CohortFixed(Happened):
    """The scientist said which of the revealed updates are summed."""

    round: int
    digest: str
    event: Literal["CohortFixed"] = "CohortFixed"


@document
class MinePaid(Happened):
    """A mine was credited; `stake_units` is its own, given back."""

    round: int
    mine: Address
    share_bps: int
    stake_units: Amount
    fee_units: Amount
    reward_units: Amount
    forfeit_units: Amount
    event: Literal["MinePaid"] = "MinePaid"


@document
class RoundSettled(Happened):
    """The scientist settled a round."""

    round: int
    new_model_digest: str
    new_loss: Integer
    best_loss: Integer
    paid_units: Amount
    escrow_units: Amount
    evidence_digest: str
    event: Literal["RoundSettled"] = "RoundSettled"


@document
class RoundFailed(Happened):
    """A round ended with too few updates."""

    round: int
    committed: int
    revealed: int
    event: Literal["RoundFailed"] = "RoundFailed"


@document
class BountyClosed(Happened):
    """A bounty ended."""

    round: int
    reason: str
    refund_units: Amount
    event: Literal["BountyClosed"] = "BountyClosed"


EventRecord = Annotated[
    BountyPosted
    | RoundOpened
    | Committed
    | Revealed
    | CohortFixed
    | MinePaid
    | RoundSettled
    | RoundFailed
    | BountyClosed,
    Field(discriminator="event"),
]
_RECORDS = {kind.__name__: kind for kind in get_args(get_args(EventRecord)[0])}


@document
class BountyHistory(BountyFacts):
    """A bounty with its rounds, and every event that they come from.

    `name` is that of its model; `problem` says why what is in the store could not be read. `initial`, `best`
    and `target` say those losses as the figures of a round do.
    """

    history: list[RoundFacts] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    name: str = ""
    problem: str = ""
    initial: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    target: dict[str, float] = field(default_factory=dict)


def record_of(event: Any) -> Any:
    """Return an event of a bounty (`sonar.protocol.events`) as the record that travels."""
    told = {one.name: getattr(event, one.name) for one in fields(event)}
    terms = told.get("terms")
    if terms is not None:
        of_terms = {one.name: getattr(terms, one.name) for one in fields(terms)}
        told["terms"] = TermsFacts(**{name: _text(value) for name, value in of_terms.items()})
    reason = told.get("reason")
    if reason is not None:
        told["reason"] = reason.name.lower()
    return _RECORDS[type(event).__name__](**{name: _text(value) for name, value in told.items()})


def _text(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value
