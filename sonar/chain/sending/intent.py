"""What a transaction is for: its name in the outbox, where the same intent is never carried out twice."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import cached_property

from sonar.errors import JournalError, LocalProtocolError
from sonar.frozen import frozen
from sonar.protocol.ids import ETHER, Address, BountyId

PREFIX = "outbox/"


class Action(StrEnum):
    """What a transaction does. The values go into the journal."""

    POST = "post"
    COMMIT = "commit"
    REVEAL = "reveal"
    FIX_COHORT = "fix-cohort"
    SETTLE = "settle"
    EXPIRE = "expire"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    APPROVE = "approve"  # `detail` is the action that it is for
    TRANSFER = "transfer"
    SUCCEED = "succeed"
    DEPLOY = "deploy"
    FILL = "fill"  # a nonce that nobody uses, `detail`


@frozen
class Intent:
    """An action on a subject, in a round (0: in none): the first call that is saved under it wins.

    `subject` is a bounty's id in hex, a campaign's name, an account, or empty. `detail` distinguishes intents
    that would be the same otherwise. A repeatable action has a new `attempt` each time.
    """

    action: Action
    subject: str = ""
    round: int = 0
    detail: str = ""
    attempt: int = 0

    def __post_init__(self) -> None:
        if "/" in self.subject + self.detail or not (0 <= self.round < 256 and self.attempt >= 0):
            raise LocalProtocolError(f"no transaction can be for {self!r}")

    @classmethod
    def of_round(cls, action: Action, bounty: BountyId, round_number: int) -> Intent:
        """Return the intent to do something in a bounty's round."""
        return cls(action, bounty.hex(), round_number)

    @classmethod
    def of_posting(cls, name: str) -> Intent:
        """Return the intent to post the bounty of the campaign `name`."""
        return cls(Action.POST, name)

    @classmethod
    def of_claim(cls, to: Address, asset: Address = ETHER) -> Intent:
        """Return the intent to withdraw what the contract owes in an asset; repeatable."""
        return cls(Action.WITHDRAW, to, detail=asset)

    @property
    def approval(self) -> Intent:
        """The intent to allow the contract to take what this one pays."""
        return replace(self, action=Action.APPROVE, detail=self.action.value, attempt=0)

    def again(self, attempt: int) -> Intent:
        """Return the same intent for the given attempt, the first being 0."""
        return replace(self, attempt=attempt)

    @cached_property
    def key(self) -> str:
        """Its key in the journal: all have this one order."""
        return f"{PREFIX}{self.subject}/{self.round:03}/{self.action.value}/{self.detail}/{self.attempt:04}"

    @property
    def attempts(self) -> str:
        """The prefix of the keys of all its attempts."""
        return self.key.rpartition("/")[0] + "/"

    @classmethod
    def read(cls, key: str) -> Intent:
        """Return the intent of a key in the journal. Raises JournalError if it is none."""
        parts = key.removeprefix(PREFIX).split("/")
        try:
            subject, round_, action, detail, attempt = parts
            intent = cls(Action(action), subject, int(round_), detail, int(attempt))
        except (ValueError, LocalProtocolError):
            intent = None
        if intent is None or intent.key != key:
            raise JournalError(
                f"the journal names a transaction {key[:200]!r}, which this version does not know",
                hint="restore this file from a copy, or start with a new home",
            )
        return intent
