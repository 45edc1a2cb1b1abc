"""Who is left out of a round and why, once more: from what is public, and from what capsules told of answers.

How earlier rounds were judged is read from their evidence, which is settled: t capsules have signed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gmpy2 import mpz

from capsule.audit.opened import OpenedRound
from capsule.audit.public import PublicBounty
from capsule.audit.refusal import expect, refuse
from capsule.audit.told import Functionals, Place
from sonar.errors import BlobNotFound
from sonar.families.quadratic.design import Design
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.ids import Address
from sonar.settling.lots import Lots
from sonar.settling.selection import Opened, Selection, select
from sonar.settling.updates import ReadUpdate
from sonar.settling.verdict import (
    MALFORMED,
    VEIL,
    WITHHELD,
    Found,
    Verdict,
    copied,
    gone_since,
    is_for_good,
    rows_changed,
    twins_of,
    verdict_of,
)
from sonar.veil.functionals import Measured, measured
from sonar.veil.masks import read_wraps


@dataclass
class Past:
    """What earlier rounds have left behind: `rows` said first, who is `gone` and why, `senders` of
    ciphertexts by their name, who was `read` in which round, the weights of each sum, oldest first, and who
    was of the same data, round by round.
    """

    rows: dict[str, int] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)
    read: dict[int, dict[Address, ReadUpdate]] = field(default_factory=dict)
    sums: list[dict[str, int]] = field(default_factory=list)
    twins: list[dict[str, str]] = field(default_factory=list)

    def take_in(self, public: PublicBounty, number: int) -> None:
        """Take in a settled round."""
        read: dict[Address, ReadUpdate] = {}
        cohort = public.evidence(number).cohort
        updates = public.updates(number, [member.mine for member in cohort if member.rows])
        for member in cohort:
            if member.rows:
                read[member.mine] = _there(updates[member.mine], member.mine, number)
                self.rows.setdefault(member.mine, member.rows)
            if not member.accepted and is_for_good(member.reason):
                self.gone.setdefault(member.mine, gone_since(number, member.reason))
        self.twins.append({member.mine: member.twin for member in cohort if member.twin is not None})
        names = {str(mine): update.name for mine, update in read.items()}
        _, first = copied([str(mine) for mine in public.chain.rounds[number].commits], names, self.senders)
        self.senders |= first
        self.read[number] = read
        if (fixed := public.cohort(number)) is not None:
            self.sums.append(fixed.weights)

    @property
    def tested_out(self) -> set[str]:
        """Who is gone because it failed a test."""
        return {mine for mine, why in self.gone.items() if why.partition(": ")[2].startswith("test ")}


def past_of(public: PublicBounty) -> Past:
    """Return what all earlier rounds have left behind. Raises Refusal, and what reading raises."""
    past = Past()
    for number in public.settled():
        past.take_in(public, number)
    return past


def read_now(
    public: PublicBounty, past: Past, told: EvidenceManifest, in_time: Callable[[Address], bool]
) -> tuple[dict[Address, ReadUpdate], dict[str, str]]:
    """Return the updates of the settled round that count, and why others cannot be read.

    `told` is the evidence that the scientist publishes. That she could not get an update is believed where
    this capsule has not seen it in the store in time (`in_time`). Raises Refusal.
    """
    reasons = {member.mine: member.reason for member in told.cohort}
    read, unread = dict[Address, ReadUpdate](), dict[str, str]()
    for mine, update in public.updates(public.chain.state.round).items():
        reason = reasons.get(mine, "")
        if mine in past.gone:
            unread[mine] = past.gone[mine]
        elif reason == WITHHELD:
            if not isinstance(update, str) and in_time(mine):
                refuse("reason", f"{mine} is left out as withheld; its update was in the store in time")
            unread[mine] = WITHHELD
        elif reason.startswith(MALFORMED):
            if not isinstance(update, str):
                refuse("reason", f"{mine} is left out as malformed; its update is well-formed")
            unread[mine] = reason
        else:
            read[mine] = _there(update, mine, public.chain.state.round)
    return read, unread


def _there(update: ReadUpdate | str, mine: Address, number: int) -> ReadUpdate:
    if update == WITHHELD:  # by this capsule's store alone, and perhaps only now
        raise BlobNotFound(f"the update of {mine} in round {number}")
    if isinstance(update, str):
        refuse("reason", f"the update of {mine} in round {number} counts, but it is {update}")
    return update


@dataclass(frozen=True)
class Judging:
    """What a round's verdict follows from, besides `Past`."""

    public: PublicBounty
    place: Place
    design: Design
    past: Past
    opened: Mapping[int, OpenedRound]
    functionals: Functionals
    least: int
    complains: Callable[[Address], bool]

    def verdict(
        self, read: Mapping[Address, ReadUpdate], unread: Mapping[str, str]
    ) -> tuple[Verdict, Selection]:
        """Return who is left out and why, and the set that may be summed. Raises Refusal."""
        record = self.public.chain.rounds[self.public.chain.state.round]
        failed, twins = self._tested(read)
        copies, _ = copied(
            [str(mine) for mine in record.commits],
            {str(mine): update.name for mine, update in read.items()},
            self.past.senders,
        )
        changed = rows_changed({str(mine): update.rows for mine, update in read.items()}, self.past.rows)
        found = Found([str(mine) for mine in record.cohort], unread, failed, changed, copies, twins)
        plan, updates = self.place.plan, list(read.values())
        verdict = verdict_of(found, plan, updates)
        accepted = [update for update in updates if update.mine in verdict.accepted]
        opened = Opened.of(self.past.sums)
        selection = select(plan, accepted, twins, opened, self.least, self._lots("set").below)
        return verdict_of(found, plan, updates, selection.left), selection

    def _tested(self, read: Mapping[Address, ReadUpdate]) -> tuple[dict[str, str], dict[str, str]]:
        """The first failed test of each mine that failed one, and who is of the same data."""
        spec, plan = self.public.first.family, self.place.plan
        number, family = self.public.chain.state.round, family_of(self.public.first.family)
        rounds = [(earlier, mines.keys()) for earlier, mines in sorted(self.past.read.items())]
        sent = [
            Sent(each, self.opened[each].weights, frozenset(mines) - self.past.tested_out)
            for each, mines in [*rounds, (number, read.keys())]
        ]
        lots = self._lots("tests")
        tests = family.veiled_tests(
            family.tests(spec, plan, self.least, lots.draw),
            plan,
            sent,
            family.reference(self.design, self.opened[number].weights),
            {mine: update.rows for mine, update in read.items()},
            lots.draw,
        )
        heard = {
            mine: tuple(self.heard(mine, each)[1] for each in asked)
            for mine, asked in tests.asks.items()
            if self.functionals.about(mine) or not self.complains(Address(mine))
        }
        failed, twins = tests.judged(heard)
        told = {mine: failed.get(mine) if mine in heard else VEIL for mine in map(str, read)}
        holding = {mine for mine, test in told.items() if test is None}
        same = twins_of([*self.past.twins, twins], holding)
        return {mine: test for mine, test in told.items() if test is not None}, same

    def spoilers(self, mines: Collection[str]) -> dict[str, str]:
        """Return who of the mines in a sum made it out of range: by mine the test that it fails.

        Raises Refusal.
        """
        family, draw = family_of(self.public.first.family), self._lots("spoilers").draw
        asked = family.veiled_spoilers(self.place.plan, self.public.chain.state.round, mines, draw)
        heard = {
            mine: tuple(found for _, found in (self.heard(mine, each) for each in asks))
            for mine, asks in asked.asks.items()
        }
        failed, _ = asked.judged(heard)
        return {mine: test for mine, test in failed.items() if test is not None}

    def heard(self, mine: str, asked: Asked, room: int = 0) -> tuple[Asked, Measured]:
        """Return a functional of one mine's answers, as it was asked, and as capsules told it.

        No coefficient is off by more than `room`. Raises Refusal.
        """
        address, whole = Address(mine), (1 << self.place.plan.slot_bits) - 1
        updates = [self.opened[number].updates[address] for number, _ in asked.parts]
        parts = tuple(
            (number, bytes(update.digest), tuple(x & whole for x in vector))
            for (number, vector), update in zip(asked.parts, updates, strict=True)
        )
        found, told = self.functionals.told(self.place, mine, asked.bits, parts, room=room)
        opened: list[tuple[mpz, ...]] = [self.opened[number].plain[address] for number, _ in asked.parts]
        wraps = [read_wraps(self.place.plan, update.veil.wraps) for update in updates if update.veil]
        vectors = [vector for _, _, vector in found]
        moduli = [self.place.modulus(number) for number, _ in asked.parts]
        value = measured(self.place.plan, moduli, vectors, opened, wraps, told, asked.bits)
        return Asked(tuple((number, vector) for number, _, vector in found), asked.bits), value

    def _lots(self, purpose: str) -> Lots:
        state = self.public.chain.state
        reveals = self.public.chain.rounds[state.round].reveals
        return Lots(
            purpose, state.bounty, state.round, {mine: one.update_digest for mine, one in reveals.items()}
        )


def check_cohort(selection: Selection, public: PublicBounty, read: Mapping[Address, ReadUpdate]) -> bool:
    """Check that the set fixed on the chain is the one that follows; tell whether there is one. Raises
    Refusal.
    """
    number = public.chain.state.round
    fixed = public.cohort(number)
    if fixed is None:
        if selection.weights:
            refuse(
                "cohort", f"no set was fixed in round {number}, though {len(selection.weights)} mines can be"
            )
        return False
    found = {addend.mine: (addend.weight, bytes(addend.update)) for addend in fixed.addends}
    wanted = {mine: (w, bytes(read[Address(mine)].digest)) for mine, w in selection.weights.items()}
    if out := sorted(wanted.keys() - found.keys()):
        refuse(
            "cohort", f"the set fixed in round {number} leaves out {out[0]}, though nothing is wrong with it"
        )
    expect("cohort", f"the set fixed in round {number}", sorted(found.items()), sorted(wanted.items()))
    return True
