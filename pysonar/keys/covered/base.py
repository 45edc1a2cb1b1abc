"""What every holder does whose answers capsules cover, whatever form these have.

Each answer of a capsule is checked and recorded before it is used, and read from the record after a restart:
a question is made of what is on record only, so it is the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Self

from pysonar.capsules.answers import Place, Reader, Told
from pysonar.capsules.client import Question as Kind
from pysonar.capsules.members import Wanted, cover_of
from pysonar.capsules.panel import Heard, Members, Panel, too_few
from pysonar.keys.base import BaseHolder, Keyring
from pysonar.keys.holder import Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.ledger import Aggregated, Revealed
from pysonar.keys.told import COMPLAINT, Question
from pysonar.keys.told import Told as Record
from pysonar.keys.updates import MineUpdate
from sonar.errors import CapsuleFault, CapsuleUnavailable, LedgerConflict, UsageError
from sonar.families.veiled import Asked
from sonar.manifests.capsule import SumRequest
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import CoverSpec, VeilCover
from sonar.protocol.ids import Address, Digest
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.sums import weight_of
from sonar.veil.functionals import Measured


class Lot(Protocol):
    """Some mines' functionals, as many as one request takes."""

    @property
    def job(self) -> Job:
        """The bounty."""
        ...

    @property
    def round(self) -> int:
        """The round in which it is asked."""
        ...

    @property
    def asks(self) -> Mapping[str, Sequence[Asked]]:
        """What each mine is asked."""
        ...

    def without(self, mines: set[str]) -> Self:
        """Return the same for fewer mines."""
        ...

    def lines(self) -> Iterable[tuple[str, Asked]]:
        """Return all asks, in the request's order."""
        ...

    def body(self) -> bytes:
        """Return the request."""
        ...

    def values(self, classes: Sequence[Told]) -> dict[str, tuple[Measured, ...]]:
        """Return what the functionals are, with what was told of each class."""
        ...


class CoveredHolder(BaseHolder):
    """The keys of a bounty that is covered by capsules: those of `panel`, as `wanted` for a new bounty."""

    def __init__(
        self, keys: Key | Keyring, panel: Panel, place: Place, wanted: Wanted, *, least: int = LEAST_COHORT
    ) -> None:
        super().__init__(keys, least=least)
        self._panel, self._place, self._wanted = panel, place, wanted
        self._told = Record(self._ledger)

    def cover(self) -> CoverSpec:
        """See `KeyHolder`: asks every capsule who it is."""
        return cover_of(self._panel, self._place, self._wanted)

    def revealed(self, job: Job) -> dict[str, Revealed]:
        """See `KeyHolder`."""
        totals = super().revealed(job)
        for mine, bits in self._told.bits(job.bounty).items():
            totals.setdefault(mine, Revealed()).told_bits = bits
        return totals

    def questions(self, job: Job, round: int) -> list[Question]:
        """What capsules were asked about a round, and told: for who audits it."""
        return self._told.questions(job.bounty, round)

    def ask_again(self, job: Job, round: int) -> None:
        """Ask who did not tell what was asked about a round, and may serve now. Raises CapsulesDiffer."""
        for question in self.questions(job, round):
            if question.purpose == COMPLAINT:
                continue
            body, is_sum = question.body, question.purpose == "sum"
            read = self._sums(job, round, body) if is_sum else self._place.functionals_again(body)
            heard = self._ask(job, "sum" if is_sum else "functional", body, read, all_of_them=True)
            self._told.keep(job.bounty, round, question.purpose, body, heard.signed, {})

    def chosen(self, job: Job, round: int) -> CohortManifest | None:
        """The set that a round's sum takes, once it is chosen."""
        return self._told.fixed(job.bounty).get(round)

    # ---- sums

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        """See `KeyHolder`: a largest set that capsules will open, by `sonar.settling.selection`."""
        fixed = self._told.fixed(job.bounty)
        opened = {number: cohort.weights for number, cohort in fixed.items()}
        reveals = reveals if reveals is not None else digests_of(updates)
        chosen = self._selected(job, round, updates, opened, reveals)
        if round in fixed:
            return _choice(fixed[round], chosen.left)
        if not chosen.weights:
            return Choice({}, {}, b"")
        names = digests_of(updates)
        addends = tuple(
            Addend(mine=Address(mine), update=Digest(names[mine]), weight=weight)
            for mine, weight in chosen.weights.items()
        )
        manifest = CohortManifest(
            chain_id=job.chain_id, contract=job.contract, bounty=job.bounty, round=round, addends=addends
        )
        return _choice(self._told.fix(job.bounty, manifest), chosen.left)

    def _begun(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> CohortManifest:
        """Check that a sum is of the set that was chosen, record that it is opened, and return the set.

        Raises LedgerConflict for another set, UsageError, CiphertextError.
        """
        self._check(job, weights_int, updates)
        self._check_count(job, round, updates)
        manifest = self._told.fixed(job.bounty).get(round)
        if manifest is None or {a.mine: a.update for a in manifest.addends} != digests_of(updates):
            raise LedgerConflict(
                f"no such set was chosen for the sum of round {round} of bounty {job.bounty.hex()}",
                hint="choose it first; capsules open the one that is fixed on the chain, and no other",
            )
        weights = manifest.weights
        summed = {one.mine: Aggregated(one.digest, weights[one.mine]) for one in updates}
        self._record_sum(job, round, weights_int, manifest.digest(), summed)
        return manifest

    def _sum_heard(self, job: Job, manifest: CohortManifest) -> tuple[bytes, Heard]:
        """Ask for the sum of a set, and return the request with what enough capsules told, recorded."""
        body = SumRequest(
            chain_id=job.chain_id,
            contract=job.contract,
            bounty=job.bounty,
            round=manifest.round,
            cohort=manifest.digest(),
        ).to_bytes()
        heard = self._ask(job, "sum", body, self._sums(job, manifest.round, body))
        if not heard.enough:
            raise too_few(heard, f"their part of the sum of round {manifest.round}")
        self._told.keep(job.bounty, manifest.round, "sum", body, heard.signed, {})
        return body, heard

    def _is_none(self, body: bytes, heard: Heard, round: int) -> CapsuleFault | None:
        """What to raise for a sum that is out of range, as long as it may be one capsule's lie: then its
        answers are forgotten, and all are asked again.
        """
        if heard.witnessed:
            return None
        self._told.forget(body)
        return CapsuleFault(
            f"the sum of round {round} is out of range: of {', '.join(heard.told)} one told a "
            "wrong sum, or a mine's masks are not those of its seeds",
            hint="all are asked again when this is run again; where two differ, both are named, and once "
            "enough tell the same, the round is settled without this sum",
        )

    def _opened_sum(self, job: Job, manifest: CohortManifest, sums: list[int]) -> list[int]:
        self._told.opened(job.bounty, manifest.round, sums, weight_of(manifest))
        return sums

    def _void(self, job: Job, round: int, failed: Mapping[str, str | None]) -> dict[str, str]:
        """Record who has spoilt a round's sum, and that the sum was none."""
        found = {mine: test for mine, test in failed.items() if test is not None}
        self._ledger.record_failed_tests(job.bounty, round, sorted(found.items()))
        self._ledger.void_aggregate(job.bounty, round)  # capsules guard what sums tell together
        return found

    # ---- asking

    @abstractmethod
    def _sums(self, job: Job, round: int, body: bytes) -> Reader:
        """Return what reads answers to a request for a round's sum."""

    def _measured(self, lot: Lot, purpose: str) -> dict[str, tuple[Measured, ...]]:
        """Ask one request. If too few answer, ask again without the mines that some complain of; in tests of
        an audited bounty also if enough do, since auditors sign nothing that a member does not tell them.

        Only the first complaint of each member counts: an honest one names all mines at once.
        """
        cover, complained = lot.job.manifest.cover, set[Address]()
        is_heeded = purpose == "tests" and isinstance(cover, VeilCover) and cover.audit is not None
        while lot.asks:
            job, body = lot.job, lot.body()
            bits = [ask.bits for _, ask in lot.lines()]
            read = self._place.functionals(body, bits)
            heard = self._ask(job, "functional", body, read, complaints=is_heeded)
            counted = {mine: sum(ask.bits for ask in asks) for mine, asks in lot.asks.items()}
            if is_heeded and (bad := heard.complained(but=complained)):
                new = {who: said for who, said in heard.complaints.items() if who not in complained}
                counted = {mine: counted[mine] for mine in bad if heard.told}
                self._told.keep(job.bounty, lot.round, COMPLAINT, body, new, counted)
                complained |= new.keys()
                lot = lot.without(bad)
                continue
            if heard.enough:
                self._told.keep(job.bounty, lot.round, purpose, body, heard.signed, counted)
                return lot.values(heard.by_class())
            if not (bad := heard.named() & lot.asks.keys()):
                raise too_few(heard, f"what the {purpose} of round {lot.round} take")
            lot = lot.without(bad)
        return {}

    def _ask(
        self,
        job: Job,
        kind: Kind,
        body: bytes,
        read: Reader,
        *,
        all_of_them: bool = False,
        complaints: bool = False,
    ) -> Heard:
        cover, known = veil_of(job), self._told.known(body)
        return self._panel.ask(
            Members.of(cover), kind, body, read, known, all_of_them=all_of_them, complaints=complaints
        )


def veil_of(job: Job) -> VeilCover:
    """Return the cover of a bounty. Raises UsageError if it has no capsules."""
    cover = job.manifest.cover
    if not isinstance(cover, VeilCover):
        raise UsageError("the bounty has no capsules", hint="open it with the key alone")
    return cover


def check_all(asks: Iterable[str], heard: Mapping[str, object], what: str) -> None:
    """Check that something was told of everybody in a sum. Raises CapsuleUnavailable."""
    if missing := sorted(set(asks) - heard.keys()):
        raise CapsuleUnavailable(
            f"too few capsules can tell {what} of {', '.join(missing)}, whose answers are in the sum",
            hint="they could open its envelopes before: is its update still in the store?",
        )


def digests_of(updates: Sequence[MineUpdate]) -> dict[str, bytes]:
    """Return the digests of updates, by mine."""
    return {one.mine: one.digest for one in updates}


def _choice(manifest: CohortManifest, left: Mapping[str, str]) -> Choice:
    weights = manifest.weights
    spared = {mine: why for mine, why in left.items() if mine not in weights}
    return Choice(weights, spared, manifest.digest(), manifest.encoded)
