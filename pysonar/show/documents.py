"""What the commands print with `--json`, each as its type, for programs that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from pysonar.campaign.history import document_of
from pysonar.rotating import BountyKey, KeyRotated, KeysRemoved
from sonar.accounts import AccountChanged, FormerAccount
from sonar.protocol.ids import Address
from sonar.telling.documents import Amount, CampaignSummary, Integer, PartyReady, document


@document
class KeyMade:
    """A bounty's Paillier key was made ahead of its first run."""

    path: str
    bits: int
    fingerprint: str


@document
class Explained:
    """What a bounty would cost and tell. Losses as in `CampaignSummary`, `plan` as in its model manifest."""

    name: str
    asset: Address
    escrow_units: Amount
    metric: str
    initial_loss: Integer
    initial: dict[str, float]
    target_loss: Integer
    target: dict[str, float]
    features: list[str]
    plan: dict[str, Integer]
    text: str


@document
class ClosingAsked:
    """That a bounty is to end early. `again`: it was asked for before. `told`: what comes back, and when."""

    bounty: str
    again: bool
    told: str


@document
class Predicted:
    """Predictions of the best model so far, row by row. Labels are as the holdout had them.

    Of several targets, and of several classes' probabilities, there is a list in each row.
    """

    targets: list[str]
    loss: Integer
    figures: dict[str, float]
    predictions: list[float] | list[list[float]] | list[int] | list[bool] | list[str]


@document
class StudyResult:
    """What a study has found: all numbers of its statistic, by the statistic's own names."""

    name: str
    statistic: str
    result: dict[str, Any]


@document
class Exported:
    """A model was written to files, in other programs' formats. They take `features` in this order."""

    features: list[str]
    targets: list[str]
    files: list[str]


@document
class CardTold:
    """A bounty's card, as Markdown, and the files that it was written to."""

    title: str
    markdown: str
    files: list[str]


@document
class TokenBalance:
    """What the account has of a token; None where the token does not answer."""

    asset: Address
    held_units: Amount | None
    told: str


@document
class Now:
    """Where an open bounty stands on the chain. Deadlines in chain seconds."""

    round: int
    status: str
    committed: int
    revealed: int
    chain_time_s: int
    commit_s: int
    reveal_s: int
    settle_s: int


@document
class Standing(CampaignSummary):
    """A bounty's results so far, and where it stands. With a `problem`, this home is an older copy, or a key
    file is not what it should be.
    """

    now: Now | None = None
    problem: str = ""
    keys: list[BountyKey] = field(default_factory=list)


@document
class Damaged:
    """A bounty whose files are gone or damaged."""

    name: str
    error: str
    hint: str


@document
class ScientistStatus:
    """The account and the bounties of a home. With a `problem` the chain could not be asked.

    `followed`: the mines that go on under another account, each with the latest.
    """

    address: Address
    home: str
    network: str
    balance_wei: Amount | None
    tokens: list[TokenBalance]
    former: list[FormerAccount]
    followed: dict[str, str]
    problem: str
    campaigns: list[Standing]
    damaged: list[Damaged]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> ScientistStatus:
        """Return what `pysonar.show.views.status_of` found as it travels."""
        made = {
            "tokens": [TokenBalance(**one) for one in told["tokens"]],
            "campaigns": [_standing(one) for one in told["campaigns"]],
            "damaged": [Damaged(**one) for one in told["damaged"]],
        }
        return cls(**{**told, **made})


def _standing(told: Mapping[str, Any]) -> Standing:
    summary = {name: value for name, value in told.items() if name not in ("now", "problem", "keys")}
    now = None if told["now"] is None else Now(**told["now"])
    return Standing(**vars(document_of(summary)), now=now, problem=told["problem"], keys=told["keys"])


ANSWERS: dict[str, Any] = {
    "init": PartyReady,
    "key new": KeyMade,
    "key remove": KeysRemoved,
    "rotate": KeyRotated,
    "close": ClosingAsked,
    "explain": Explained,
    "status": ScientistStatus,
    "result": StudyResult,
    "predict": Predicted,
    "export": Exported,
    "card": CardTold,
    "rotate --account": AccountChanged,
}
"""By command; `run` and `resume` tell their progress instead (`sonar.telling.progress`)."""
