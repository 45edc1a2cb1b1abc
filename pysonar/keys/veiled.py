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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gmpy2 import mpz

from pysonar.capsules.answers import Place, Reader
from pysonar.capsules.client import Question as Kind
from pysonar.capsules.members import Wanted, cover_of
from pysonar.capsules.panel import Heard, Members, Panel, too_few
from pysonar.keys.archive import Page, table_of
from pysonar.keys.base import BaseHolder, Failed, Judged
from pysonar.keys.holder import SCORE_BITS, Choice
from pysonar.keys.job import LEAST_COHORT, Job
from pysonar.keys.key import Key
from pysonar.keys.ledger import Aggregated, Revealed
from pysonar.keys.told import Question, Told
from pysonar.keys.updates import MineUpdate
from sonar.errors import (
    CapsuleFault,
    CapsuleUnavailable,
    LedgerConflict,
    UpdateOutOfRange,
    UsageError,
)
from sonar.families.quadratic.comparison import Reference
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.manifests.capsule import MAX_REQUEST_BYTES, Ask, FunctionalRequest, Part, SumRequest
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import CoverSpec, VeilCover
from sonar.protocol.ids import Address, Digest
from sonar.settling.lots import Lots
from sonar.settling.selection import Opened, select
from sonar.settling.sums import values_of
from sonar.settling.verdict import VEIL, twins_of
from sonar.veil.functionals import Measured, measured, write_vector
from sonar.veil.sums import unveiled

_ROOM = MAX_REQUEST_BYTES - (1 << 16)
_MOST = 4096


class VeiledHolder(BaseHolder):
    """A key whose bounty is covered by capsules: those of `panel`, as `wanted` for a new bounty."""

    def __init__(
        self, key: Key, panel: Panel, place: Place, wanted: Wanted, *, least: int = LEAST_COHORT
    ) -> None:
        super().__init__(key, least=least)
        self._panel, self._place, self._wanted = panel, place, wanted
        self._told = Told(key.ledger)
        self._last: tuple[Sequence[mpz], list[tuple[int, int]]] = [], []

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

    def ask_others(self, job: Job, round: int) -> None:
        """Ask all that was asked about a round of those who have not told it, and record what they tell.

        Auditors refuse what a capsule was not asked, though it serves: one that was away, say. Raises
        CapsulesDiffer.
        """
        for one in self.questions(job, round):
            kind: Kind = "sum" if one.purpose == "sum" else "functional"
            read = self._reader(job, kind, one.body)
            heard = self._panel.ask(self._members(job), kind, one.body, read, one.answers, others=True)
            self._told.keep(job.bounty, round, one.purpose, one.body, heard.signed, {})

    def _reader(self, job: Job, kind: Kind, body: bytes) -> Reader:
        if kind == "sum":
            return self._place.sums(body, job.plan.ciphertexts, self.public.n)
        return self._place.functionals(body, [ask.bits for ask in FunctionalRequest.from_bytes(body).asks])

    def chosen(self, job: Job, round: int) -> CohortManifest | None:
        """The set that a round's sum takes, once it is chosen."""
        return self._told.fixed(job.bounty).get(round)

    def unsafe_open(self, ciphertexts: Sequence[mpz]) -> list[tuple[int, int]]:
        """Plaintext and randomness of each, for auditors: of an answer the plaintext is masked."""
        if self._last[0] != ciphertexts:  # a round's new weights are the next one's old ones
            self._last = ciphertexts, self._key.unsafe_open(ciphertexts)
        return self._last[1]

    # ---- tests

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Reference | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        page = self._opened(job, round, weights_int, updates)
        rows = {one.mine: one.rows for one in updates}
        lots = Lots("tests", job.bounty, round, reveals if reveals is not None else _digests(updates))
        return self._answers(job, page, updates, lambda: self._judged(job, page, rows, reference, lots))

    def _judged(
        self, job: Job, page: Page, rows: Mapping[str, int], reference: Reference | None, lots: Lots
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
        earlier = [self.twins(job, number) for number in range(1, page.round)]
        return told, lambda holding: twins_of([*earlier, twins], holding)

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
        earlier = [_weights(fixed[number]) for number in sorted(fixed) if number < round]
        twins, reveals = self.twins(job, round), reveals if reveals is not None else _digests(updates)
        lots = Lots("set", job.bounty, round, reveals)
        least = self.least(job)
        chosen = select(job.plan, updates, twins, Opened.of(earlier), least, lots.below)
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
        """See `KeyHolder`. Raises LedgerConflict for another set than was chosen, CapsuleFault for masks that
        do not fit.
        """
        self._check(job, weights_int, updates)
        self._check_count(job, round, updates)
        manifest = self._told.fixed(job.bounty).get(round)
        if manifest is None or {a.mine: a.update for a in manifest.addends} != _digests(updates):
            raise LedgerConflict(
                f"no such set was chosen for the sum of round {round} of bounty {job.bounty.hex()}",
                hint="choose it first; capsules open the one that is fixed on the chain, and no other",
            )
        weights = _weights(manifest)
        summed = {one.mine: Aggregated(one.digest, weights[one.mine]) for one in updates}
        self._record_sum(job, round, weights_int, manifest.digest(), summed)
        columns = zip(*(one.ciphertexts for one in updates), strict=True)
        factors = [weights[one.mine] for one in updates]
        masked = self._key.unsafe_decrypt([self.public.weighted_sum(c, factors) for c in columns])
        return self._unmasked(job, manifest, masked)

    def _unmasked(self, job: Job, manifest: CohortManifest, masked: Sequence[int]) -> list[int]:
        n, plan = self.public.n, job.plan
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
            self._told.forget(body)
            raise CapsuleFault(
                f"the sum of round {manifest.round} is out of range: of {', '.join(heard.told)} one told a "
                "wrong sum, or a mine's masks are not those of its seeds",
                hint="all are asked again when this is run again; where two differ, both are named",
            ) from error
        self._told.opened(job.bounty, manifest.round, sums, total)
        return sums

    # ---- scores

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        ledger = self._key.ledger
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
        if missing := sorted(wanted.asks.keys() - heard.keys()):
            raise CapsuleUnavailable(
                f"too few capsules can tell the scores of {', '.join(missing)}, whose answers are in the sum",
                hint="they could open its envelopes before: is its update still in the store?",
            )
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
            lot = _Lot(job, round, pages)
            while todo and lot.add(todo[0], asks[todo[0]]):
                todo.pop(0)
            found |= self._measured(lot, purpose)
        return found

    def _measured(self, lot: _Lot, purpose: str) -> dict[str, tuple[Measured, ...]]:
        """Ask one request. If too few answer, ask again without the mines that some complain of."""
        while lot.asks:
            job, body = lot.job, lot.body()
            bits = [ask.bits for _, ask in lot.lines()]
            heard = self._ask(job, "functional", body, self._place.functionals(body, bits))
            if heard.enough:
                counted = {mine: sum(ask.bits for ask in asks) for mine, asks in lot.asks.items()}
                self._told.keep(job.bounty, lot.round, purpose, body, heard.signed, counted)
                return lot.values(self.public.n, heard.by_class())
            if not (bad := heard.complained() & lot.asks.keys()):
                raise too_few(heard, f"what the {purpose} of round {lot.round} take")
            lot = lot.without(bad)
        return {}

    def _ask(self, job: Job, kind: Kind, body: bytes, read: Reader) -> Heard:
        return self._panel.ask(self._members(job), kind, body, read, self._told.known(body))

    def _members(self, job: Job) -> Members:
        cover = job.manifest.cover
        if not isinstance(cover, VeilCover):
            raise UsageError("the bounty has no capsules", hint="open it with the key alone")
        return Members.of(cover)

    def _opened(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> Page:
        """The round's page, of X and K: what is on it already is not decrypted again."""
        names, weights = _digests(updates), tuple(int(w) for w in weights_int)
        known = self._archive.page(job.bounty, round)
        if known is not None and (known.names, known.weights) == (names, weights):
            return known
        plain = self._key.unsafe_decrypt([c for one in updates for c in one.ciphertexts])
        n, step = int(self.public.n), job.plan.ciphertexts
        rows = [
            [*(int(x) % n for x in plain[i * step : (i + 1) * step]), *one.wraps(job.plan)]
            for i, one in enumerate(updates)
        ]
        page = Page(round, weights, names, table_of(rows, 2 * step), frozenset())
        self._archive.put(job.bounty, page)
        return page


@dataclass
class _Lot:
    """Some mines' functionals, as many as one request takes."""

    job: Job
    round: int
    pages: Mapping[int, Page]
    asks: dict[str, Sequence[Asked]] = field(default_factory=dict)
    vectors: dict[tuple[int, ...], int] = field(default_factory=dict)
    size: int = 0

    def add(self, mine: str, asks: Sequence[Asked]) -> bool:
        """Add a mine's; False if they do not fit any more."""
        new = {vector for ask in asks for _, vector in ask.parts} - self.vectors.keys()
        width = (self.job.plan.slot_bits + 7) // 8
        size = sum(width * len(vector) + 8 for vector in new) + sum(64 + 60 * len(ask.parts) for ask in asks)
        count = sum(map(len, self.asks.values())) + len(asks)
        full = self.size + size > _ROOM or count > _MOST or len(self.vectors) + len(new) > _MOST
        if full and self.asks:
            return False
        for ask in asks:
            for _, vector in ask.parts:
                self.vectors.setdefault(vector, len(self.vectors))
        self.asks[mine], self.size = asks, self.size + size
        return True

    def without(self, mines: set[str]) -> _Lot:
        """The same for fewer mines."""
        lot = _Lot(self.job, self.round, self.pages)
        for mine, asks in self.asks.items():
            if mine not in mines:
                lot.add(mine, asks)
        return lot

    def lines(self) -> Iterator[tuple[str, Asked]]:
        """All asks, in the request's order."""
        return ((mine, ask) for mine, asks in self.asks.items() for ask in asks)

    def body(self) -> bytes:
        """The request."""
        job = self.job
        return FunctionalRequest(
            chain_id=job.chain_id,
            contract=job.contract,
            bounty=job.bounty,
            round=self.round,
            vectors=tuple(write_vector(job.plan, vector) for vector in self.vectors),
            asks=tuple(
                Ask(
                    mine=Address(mine),
                    bits=ask.bits,
                    parts=tuple(self._part(mine, number, vector) for number, vector in ask.parts),
                )
                for mine, ask in self.lines()
            ),
        ).to_bytes()

    def _part(self, mine: str, number: int, vector: tuple[int, ...]) -> Part:
        update = Digest(self.pages[number].names[mine])
        return Part(round=number, update=update, vector=self.vectors[vector])

    def values(self, n: mpz, classes: Sequence[Sequence[int]]) -> dict[str, tuple[Measured, ...]]:
        """What the functionals are, with what was told of each class."""
        found: dict[str, list[Measured]] = {mine: [] for mine in self.asks}
        step = self.job.plan.ciphertexts
        for (mine, ask), told in zip(self.lines(), zip(*classes, strict=True), strict=True):
            rows = [self.pages[number].row(mine) for number, _ in ask.parts]
            opened = [[mpz(int(x)) for x in row[:step]] for row in rows if row is not None]
            wraps = [[int(k) for k in row[step:]] for row in rows if row is not None]
            vectors = [vector for _, vector in ask.parts]
            found[mine].append(measured(self.job.plan, n, vectors, opened, wraps, told, ask.bits))
        return {mine: tuple(values) for mine, values in found.items()}


def _digests(updates: Sequence[MineUpdate]) -> dict[str, bytes]:
    return {one.mine: one.digest for one in updates}


def _weights(manifest: CohortManifest) -> dict[str, int]:
    return {addend.mine: addend.weight for addend in manifest.addends}


def _choice(manifest: CohortManifest, left: Mapping[str, str]) -> Choice:
    weights = _weights(manifest)
    spared = {mine: why for mine, why in left.items() if mine not in weights}
    return Choice(weights, spared, manifest.digest(), manifest.encoded)
