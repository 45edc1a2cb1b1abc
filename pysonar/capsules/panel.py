"""A bounty's capsules, asked all at once: as many answers as it takes, compared where there are more.

Theory of operation. Any `threshold` members hold all classes of seeds, and most classes have several holders.
All members are asked in parallel. Once `threshold` have answered, the others get as long again, within
`GRACE_S`: whatever comes is compared, what does not come is not waited for. An answer that comes later still
is compared when the panel is used next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from queue import Empty, Queue

from pysonar.capsules.answers import ByClass, Reader, Told
from pysonar.capsules.client import Capsule, Question
from pysonar.capsules.each import start
from sonar.errors import (
    CapsuleComplains,
    CapsuleFault,
    CapsuleRefused,
    CapsulesDiffer,
    CapsuleUnavailable,
    ConfigError,
    SonarError,
)
from sonar.manifests.capsule import SignedAnswer
from sonar.manifests.model import VeilCover
from sonar.protocol.ids import Address
from sonar.veil.classes import Classes

GRACE_S = (0.5, 5.0)
"""The least and the most that the others are waited for once there are enough answers."""
COMPLAINT_S = 20.0
"""The most that the others are waited for where a complaint counts. One that comes later stops the audit."""
PATIENCE_S = 90.0
"""How long a question is waited for at most, whatever adapters promise."""


@dataclass(frozen=True)
class Members:
    """Who holds which classes: `accounts` in the cover's order."""

    accounts: tuple[Address, ...]
    classes: Classes

    @classmethod
    def of(cls, cover: VeilCover) -> Members:
        """Return those of a bounty."""
        return cls(tuple(member.account for member in cover.members), cover.classes)

    def held(self, account: Address) -> tuple[int, ...]:
        """Return the classes that a member holds, ascending."""
        return self.classes.held_by(self.accounts.index(account))


@dataclass
class Heard:
    """What was heard to one question: answers by member, and why others did not answer.

    Of who complains, signed, the complaint is in `complaints`, and what it says in `faults`.
    """

    members: Members
    told: dict[Address, ByClass] = field(default_factory=dict)
    signed: dict[Address, SignedAnswer] = field(default_factory=dict)
    faults: dict[Address, SonarError] = field(default_factory=dict)
    complaints: dict[Address, SignedAnswer] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether every class is answered."""
        return len(self.told) >= self.members.classes.threshold

    @property
    def witnessed(self) -> bool:
        """Whether every class is answered by holders of whom one at least is not among `threshold` - 1."""
        places = [place for place, one in enumerate(self.members.accounts) if one in self.told]
        return self.members.classes.witnessed(places)

    def by_class(self) -> list[Told]:
        """What is told of each class. All are there once there are `enough`."""
        merged: dict[int, Told] = {}
        for told in self.told.values():
            merged |= told
        return [merged[number] for number in range(self.members.classes.count)]

    def take(self, account: Address, signed: SignedAnswer, told: ByClass) -> None:
        """Add a member's answer. Raises CapsulesDiffer if it contradicts another's."""
        for other, theirs in self.told.items():
            for number in told.keys() & theirs.keys():
                if told[number] != theirs[number]:
                    raise CapsulesDiffer(
                        f"the capsules {other} and {account} tell different things of the same seeds "
                        f"(class {number}): one of them is wrong",
                        hint="ask whoever runs the two to look into it, and run this again once that one is "
                        "mended or stopped; nothing is opened until then",
                    )
        self.told[account], self.signed[account] = told, signed

    def named(self) -> set[str]:
        """The mines whose answers some member cannot work with, as it says without a signature."""
        refusals = (fault for fault in self.faults.values() if isinstance(fault, CapsuleRefused))
        return {refusal.mine for refusal in refusals if refusal.mine}

    def complained(self, *, but: Collection[Address] = ()) -> set[str]:
        """The mines that members complain of, signed; not what `but` say."""
        faults = (fault for account, fault in self.faults.items() if account not in but)
        return set[str]().union(*(fault.mines for fault in faults if isinstance(fault, CapsuleComplains)))

    def read(self, read: Reader, account: Address, signed: SignedAnswer) -> None:
        """Take what a member sent: an answer, a complaint, or neither. Raises CapsulesDiffer."""
        try:
            told = read(account, self.members.held(account), signed)
        except CapsuleComplains as complaint:
            self.faults[account], self.complaints[account] = complaint, signed
        except CapsuleFault as fault:
            self.faults[account] = fault
        else:
            self.take(account, signed, told)


@dataclass
class _Asked:
    """One question on its way to members: their answers or faults come in the queue."""

    heard: Heard
    read: Reader
    waiting: set[Address]
    came: Queue[tuple[Address, SignedAnswer | SonarError]]

    def take_in(self, timeout_s: float) -> bool:
        """Take what comes next; False if nothing comes in time."""
        try:
            account, found = self.came.get(timeout=max(timeout_s, 0.0))
        except Empty:
            return False
        self.waiting.discard(account)
        if isinstance(found, SonarError):
            self.heard.faults[account] = found
            return True
        self.heard.read(self.read, account, found)
        return True


class Panel:
    """The capsules that a scientist can reach, by account.

    `former` are accounts that some of them had: bounties that name these are served as before, and no new
    one names them.
    """

    def __init__(
        self,
        capsules: Collection[Capsule],
        former: Collection[Capsule] = (),
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capsules = {capsule.account: capsule for capsule in (*former, *capsules)}
        self._listed = [capsule.account for capsule in capsules]
        self._monotonic = monotonic
        self._late: list[_Asked] = []

    def __getitem__(self, account: Address) -> Capsule:
        if account not in self._capsules:
            raise ConfigError(
                "capsules",
                f"network.toml lists no capsule {account}",
                hint="get the network file again from whoever runs the network, or name others as members",
            )
        return self._capsules[account]

    @property
    def accounts(self) -> tuple[Address, ...]:
        """All that are listed, ascending."""
        return tuple(sorted(self._listed, key=lambda account: int(account, 16)))

    def ask(
        self,
        members: Members,
        question: Question,
        body: bytes,
        read: Reader,
        known: Mapping[Address, SignedAnswer],
        *,
        all_of_them: bool = False,
        complaints: bool = False,
    ) -> Heard:
        """Ask all members, and return at least as many answers as it takes, or all that there are.

        `known` are answers that were recorded before: if they are enough, nobody is asked, or with
        `all_of_them` those whose answers are not among them. With `complaints` the others are waited for
        longer, since what they complain of must be known; if one of `known` is a complaint, nobody is asked.
        Raises CapsulesDiffer, also for an answer to an earlier question that came late; ConfigError for a
        member that is not listed.
        """
        self._look_at_late()
        heard = Heard(members)
        for account, signed in known.items():
            heard.read(read, account, signed)
        if heard.complaints or (heard.enough and not all_of_them):
            return heard
        asked = self._send(heard, question, body, read)
        begun_s = self._monotonic()
        until_s = begun_s + PATIENCE_S
        while asked.waiting and self._monotonic() < until_s:
            was_enough = heard.enough
            if not asked.take_in(until_s - self._monotonic()):
                break
            if heard.enough and not was_enough:
                now_s = self._monotonic()
                grace_s = min(max(now_s - begun_s, GRACE_S[0]), GRACE_S[1])
                until_s = min(until_s, now_s + (COMPLAINT_S if complaints else grace_s))
        if asked.waiting:
            self._late.append(asked)
        return heard

    def _send(self, heard: Heard, question: Question, body: bytes, read: Reader) -> _Asked:
        capsules = [self[account] for account in heard.members.accounts if account not in heard.told]
        came = start(capsules, lambda capsule: capsule.ask(question, body))
        return _Asked(heard, read, {capsule.account for capsule in capsules}, came)

    def _look_at_late(self) -> None:
        """Compare what came late. Raises CapsulesDiffer."""
        for asked in self._late[:]:
            while asked.waiting and asked.take_in(0.0):
                pass
            if not asked.waiting:
                self._late.remove(asked)


def too_few(heard: Heard, what: str) -> SonarError:
    """Return the error for answers that do not cover all classes."""
    there, takes = len(heard.told), heard.members.classes.threshold
    reasons = [str(heard.faults.get(account, f"the capsule {account} does not answer"))
               for account in heard.members.accounts if account not in heard.told]  # fmt: skip
    hints = dict.fromkeys(fault.hint for fault in heard.faults.values() if fault.hint)
    return CapsuleUnavailable(
        f"{there} of {len(heard.members.accounts)} capsules told {what}, and it takes {takes}: "
        + "; ".join(reasons),
        hint="; ".join(hints) or "are they running, and does network.toml say where?",
    )
