"""The key on this machine behind capsules: it opens masked answers, which are uniform numbers, and asks
capsules for what the sums and the tests of them take.

Theory of operation. An update opens to X = P + masks, which says nothing of P; X and how often the masks wrap
go to the archive. What is wanted of single answers is put as functionals: the capsules tell the first bits of
the masks' part, the rest is computed here from X (`sonar.veil.functionals`). A sum takes the masks' own sums,
over the set that is fixed on the chain. Each answer of a capsule is checked and recorded before it is used,
and read from the record after a restart: a question is made of what is on record only, so it is the same.

What the bounty's capsules do not tell, nobody can get from this class or from software of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gmpy2 import mpz

from pysonar.capsules.answers import Place, Reader
from pysonar.capsules.client import Question as Kind
from pysonar.capsules.members import Wanted, cover_of
from pysonar.capsules.panel import Heard, Members, Panel, too_few
from pysonar.keys.ahead import OpenedAhead
from pysonar.keys.archive import Page, table_of
from pysonar.keys.base import BaseHolder, Failed, Judged, Keyring
from pysonar.keys.holder import SCORE_BITS, Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.ledger import Aggregated, Revealed
from pysonar.keys.told import COMPLAINT, Lot, Question, Told, looking
from pysonar.keys.updates import MineUpdate
from sonar.errors import (
    CapsuleFault,
    CapsuleRefused,
    CapsuleUnavailable,
    LedgerConflict,
    ManifestError,
    UpdateOutOfRange,
    UsageError,
)
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.manifests.capsule import SumRequest
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import CoverSpec, VeilCover
from sonar.protocol.ids import Address, Digest
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.lots import Lots
from sonar.settling.sums import values_of
from sonar.settling.verdict import VEIL
from sonar.veil.functionals import Measured
from sonar.veil.masks import read_wraps
from sonar.veil.sums import unveiled


class VeiledHolder(BaseHolder):
    """The keys of a bounty that is covered by capsules: those of `panel`, as `wanted` for a new bounty."""

    def __init__(
        self, keys: Key | Keyring, panel: Panel, place: Place, wanted: Wanted, *, least: int = LEAST_COHORT
    ) -> None:
        super().__init__(keys, least=least)
        self._panel, self._place, self._wanted = panel, place, wanted
        self._told = Told(self._ledger)
        self._ahead = OpenedAhead()

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
            body, is_sum, place = question.body, question.purpose == "sum", self._place
            count, n = job.plan.ciphertexts, self.public_of(job, round).n
            read = place.sums(body, count, n) if is_sum else place.functionals_again(body)
            heard = self._ask(job, "sum" if is_sum else "functional", body, read, all_of_them=True)
            self._told.keep(job.bounty, round, question.purpose, body, heard.signed, {})

    def chosen(self, job: Job, round: int) -> CohortManifest | None:
        """The set that a round's sum takes, once it is chosen."""
        return self._told.fixed(job.bounty).get(round)

    def unsafe_open(self, job: Job, round: int, ciphertexts: Sequence[mpz]) -> list[tuple[int, int]]:
        """Plaintext and randomness of each, under a round's key, for auditors: an answer's are masked."""
        return self._ahead.open(self._key_of(job, round), ciphertexts)

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        """See `KeyHolder`."""
        encrypted = super().encrypt(numbers, job, round)
        if self._wanted.audit is not None:
            self._ahead.begin(self._key_of(job, round), [encrypted], numbers)
        return encrypted

    # ---- tests

    def look(self, job: Job, round: int) -> None:
        """See `KeyHolder`: a capsule looks when it is first asked, and nobody's answer is asked about."""
        cover = job.manifest.cover
        if not isinstance(cover, VeilCover) or cover.audit is None:
            return
        body = looking(job, round)
        heard = self._panel.ask(Members.of(cover), "functional", body, self._place.functionals(body, [1]), {})
        refused = (fault for fault in heard.faults.values() if isinstance(fault, CapsuleRefused))
        if any(fault.code == "depth" for fault in refused):
            raise too_few(heard, f"that they have looked for the updates of round {round}")

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Any | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        page, plain = self._opened(job, round, weights_int, updates)
        rows = {one.mine: one.rows for one in updates}
        lots = Lots("tests", job.bounty, round, reveals if reveals is not None else _digests(updates))
        told = self._answers(job, page, updates, lambda: self._judged(job, page, rows, reference, lots))
        if plain and self._wanted.audit is not None:  # not before: capsules on this machine need the cores
            self._ahead.begin(self._key_of(job, round), [one.ciphertexts for one in updates], plain)
        return told

    def _judged(
        self, job: Job, page: Page, rows: Mapping[str, int], reference: Any | None, lots: Lots
    ) -> Judged:
        gone = self._failed_for_good(job, page.round).keys()
        pages = [*self._archive.pages(job.bounty, 1, page.round), page]
        sent = [Sent(one.round, one.weights, frozenset(one.names.keys() - gone)) for one in pages]
        spec, plan = job.manifest.family, job.plan
        family = family_of(spec)
        tests = family.veiled_tests(job.rules(self.least(job)), plan, sent, reference, rows, lots.draw)
        heard = self._heard(job, page.round, "tests", tests.asks, {one.round: one for one in pages})
        failed, twins = tests.judged(heard)
        told: Failed = {mine: failed.get(mine) if mine in heard else VEIL for mine in page.names}
        return told, self._over_rounds(job, page.round, twins)

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
        reveals = reveals if reveals is not None else _digests(updates)
        chosen = self._selected(job, round, updates, opened, reveals)
        if round in fixed:
            return _choice(fixed[round], chosen.left)
        if not chosen.weights:
            return Choice({}, {}, b"")
        names = _digests(updates)
        addends = tuple(
            Addend(mine=Address(mine), update=Digest(names[mine]), weight=weight)
            for mine, weight in chosen.weights.items()
        )
        manifest = CohortManifest(
            chain_id=job.chain_id, contract=job.contract, bounty=job.bounty, round=round, addends=addends
        )
        return _choice(self._told.fix(job.bounty, manifest), chosen.left)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`. Raises LedgerConflict for another set than was chosen; CapsuleFault for a sum that
        is none, as long as it may be one capsule's lie; UpdateOutOfRange if others tell the same.
        """
        self._check(job, weights_int, updates)
        self._check_count(job, round, updates)
        manifest = self._told.fixed(job.bounty).get(round)
        if manifest is None or {a.mine: a.update for a in manifest.addends} != _digests(updates):
            raise LedgerConflict(
                f"no such set was chosen for the sum of round {round} of bounty {job.bounty.hex()}",
                hint="choose it first; capsules open the one that is fixed on the chain, and no other",
            )
        weights = manifest.weights
        summed = {one.mine: Aggregated(one.digest, weights[one.mine]) for one in updates}
        self._record_sum(job, round, weights_int, manifest.digest(), summed)
        columns, key = zip(*(one.ciphertexts for one in updates), strict=True), self._key_of(job, round)
        factors = [weights[one.mine] for one in updates]
        masked = key.unsafe_decrypt([key.public.weighted_sum(c, factors) for c in columns])
        return self._unmasked(job, manifest, masked)

    def _unmasked(self, job: Job, manifest: CohortManifest, masked: Sequence[int]) -> list[int]:
        n, plan = self.public_of(job, manifest.round).n, job.plan
        body = SumRequest(
            chain_id=job.chain_id,
            contract=job.contract,
            bounty=job.bounty,
            round=manifest.round,
            cohort=manifest.digest(),
        ).to_bytes()
        heard = self._ask(job, "sum", body, self._place.sums(body, plan.ciphertexts, n))
        if not heard.enough:
            raise too_few(heard, f"their part of the sum of round {manifest.round}")
        self._told.keep(job.bounty, manifest.round, "sum", body, heard.signed, {})
        classes = [[mpz(number) for number in told] for told in heard.by_class()]
        plain = unveiled(n, [mpz(x) % n for x in masked], classes)
        total = sum(addend.weight for addend in manifest.addends)
        try:
            sums = values_of(plan, plain, total)
        except UpdateOutOfRange as error:
            if heard.witnessed:
                raise
            self._told.forget(body)
            raise CapsuleFault(
                f"the sum of round {manifest.round} is out of range: of {', '.join(heard.told)} one told a "
                "wrong sum, or a mine's masks are not those of its seeds",
                hint="all are asked again when this is run again; where two differ, both are named, and once "
                "enough tell the same, the round is settled without this sum",
            ) from error
        self._told.opened(job.bounty, manifest.round, sums, total)
        return sums

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        """See `KeyHolder`: all in the sum are asked once more for what lies where nothing may be."""
        mines, page = self._in_sum(job, round), self._archive.page(job.bounty, round)
        if page is None:
            raise UsageError(f"round {round} is not known any more", hint="ask which of its updates hold")
        lots = Lots("spoilers", job.bounty, round, reveals)
        asked = family_of(job.manifest.family).veiled_spoilers(job.plan, round, sorted(mines), lots.draw)
        heard = self._heard(job, round, "spoilers", asked.asks, {round: page})
        _check_all(asked.asks, heard, "what lies beside the values")
        failed, _ = asked.judged(heard)
        found = {mine: test for mine, test in failed.items() if test is not None}
        self._ledger.record_failed_tests(job.bounty, round, sorted(found.items()))
        self._ledger.void_aggregate(job.bounty, round)  # capsules guard what sums tell together
        return found

    # ---- scores

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        ledger = self._ledger
        if (given := ledger.scores(job.bounty, round)) is not None:
            return given
        mines = self._in_sum(job, round)
        factors, pages, sent = {}, {}, {}
        for number, vector in vectors.items():
            checked, pages[number] = self._vector(job, round, number, vector)
            factors[number] = checked.tolist()
            sent[number] = self._of_sum(job, pages[number]).keys()
        family = family_of(job.manifest.family)
        wanted = family.veiled_scores(job.plan, factors, sent, mines.keys(), self._told.sums(job.bounty))
        heard = self._heard(job, round, "scores", wanted.asks, pages)
        _check_all(wanted.asks, heard, "the scores")
        scores = wanted.scored(heard, {mine: one.weight for mine, one in mines.items()})
        return ledger.record_scores(job.bounty, round, SCORE_BITS, dict.fromkeys(mines, 0) | scores)

    # ---- asking

    def _heard(
        self,
        job: Job,
        round: int,
        purpose: str,
        asks: Mapping[str, Sequence[Asked]],
        pages: Mapping[int, Page],
    ) -> dict[str, tuple[Measured, ...]]:
        """What capsules and archive together say of functionals, by mine: without the mines of whose masks
        too few capsules can tell anything. Raises CapsuleUnavailable, CapsulesDiffer.
        """
        found: dict[str, tuple[Measured, ...]] = {}
        todo = [mine for mine in sorted(asks) if asks[mine]]
        found |= {mine: () for mine in asks if not asks[mine]}
        while todo:
            lot = Lot(job, round, pages)
            while todo and lot.add(todo[0], asks[todo[0]]):
                todo.pop(0)
            found |= self._measured(lot, purpose)
        return found

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
                moduli = {number: self.public_of(job, number).n for number in lot.pages}
                return lot.values(moduli, heard.by_class())
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
        cover = job.manifest.cover
        if not isinstance(cover, VeilCover):
            raise UsageError("the bounty has no capsules", hint="open it with the key alone")
        known = self._told.known(body)
        return self._panel.ask(
            Members.of(cover), kind, body, read, known, all_of_them=all_of_them, complaints=complaints
        )

    def _opened(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> tuple[Page, list[int]]:
        """The round's page, of X and K, and what was decrypted for it: nothing, if it is there already."""
        names, weights = _digests(updates), tuple(int(w) for w in weights_int)
        known = self._archive.page(job.bounty, round)
        if known is not None and (known.names, known.weights) == (names, weights):
            return known, []
        key = self._key_of(job, round)
        plain = key.unsafe_decrypt([c for one in updates for c in one.ciphertexts])
        n, step = int(key.public.n), job.plan.ciphertexts
        rows = [
            [*(int(x) % n for x in plain[i * step : (i + 1) * step]), *_wraps(job, one)]
            for i, one in enumerate(updates)
        ]
        page = Page(round, weights, names, table_of(rows, 2 * step), frozenset())
        self._keep(job, page)
        return page, plain


def _check_all(asks: Mapping[str, object], heard: Mapping[str, object], what: str) -> None:
    """Check that something was told of everybody in a sum. Raises CapsuleUnavailable."""
    if missing := sorted(asks.keys() - heard.keys()):
        raise CapsuleUnavailable(
            f"too few capsules can tell {what} of {', '.join(missing)}, whose answers are in the sum",
            hint="they could open its envelopes before: is its update still in the store?",
        )


def _digests(updates: Sequence[MineUpdate]) -> dict[str, bytes]:
    return {one.mine: one.digest for one in updates}


def _choice(manifest: CohortManifest, left: Mapping[str, str]) -> Choice:
    weights = manifest.weights
    spared = {mine: why for mine, why in left.items() if mine not in weights}
    return Choice(weights, spared, manifest.digest(), manifest.encoded)


def _wraps(job: Job, update: MineUpdate) -> list[int]:
    """K of each ciphertext. Raises UsageError for an update without masks."""
    if update.veil is None:
        raise UsageError(f"the update of {update.mine} has no masks, but its bounty has capsules")
    try:
        return read_wraps(job.plan, update.veil.wraps)
    except ManifestError as error:
        raise UsageError(f"the update of {update.mine}: {error}") from error
