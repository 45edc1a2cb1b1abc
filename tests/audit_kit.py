"""A scientist with capsules, in memory: real ciphertexts, blobs, masks and signatures, and a chain in records.

world = World(mines=6)
played = world.play()                        # all of a round up to its settlement
body = world.request(played)                 # what she hands to auditors
world.settle(played)                         # the chain takes it; the next round begins
auditor = world.auditor(0)                   # of the first capsule
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from gmpy2 import mpz

from capsule.audit.auditor import Auditor
from capsule.audit.public import OnChain
from pysonar.keys.key import Key
from sonar.chain.signatures import sign_digest
from sonar.data import examples
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.base import OptimiserWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.quadratic.optimisers.registry import written
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.home.journal import Journal
from sonar.manifests.audit import (
    AuditedRound,
    AwardLine,
    Heard,
    HoldoutRows,
    OpenedAnswer,
    Openings,
    SettlementRequest,
)
from sonar.manifests.capsule import (
    Ask,
    FunctionalAnswer,
    FunctionalRequest,
    Part,
    SignedAnswer,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import AuditSpec, KeyManifest, ModelManifest, PlanSpec, commitment
from sonar.protocol.capsules import answer_digest
from sonar.protocol.events import BountyPosted, CohortFixed, Committed, Revealed, RoundOpened, RoundSettled
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import ETHER, Address, Cid, digest_of, links_of, parse_address
from sonar.protocol.phase import BountyState, Status, Terms
from sonar.settling import evidence
from sonar.settling.lots import Lots
from sonar.settling.selection import Opened, select
from sonar.settling.shares import round_shares
from sonar.settling.verdict import Found, Verdict, copied, gone_since, rows_changed, twins_of, verdict_of
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob
from sonar.veil.functionals import Measured, class_value, measured, read_vector, told, write_vector
from sonar.veil.masks import class_masks, class_wraps, read_wraps
from sonar.veil.sums import class_sums, unveiled
from tests import veil_kit
from tests.family_kit import design_like, map_of
from tests.unit.paillier_keys import small_key
from tests.veil_kit import (
    BOUNTY,
    Capsule,
    Somewhere,
    Update,
    cover_of,
    make_capsules,
    plain_update,
    veil_over,
)

HERE = Somewhere(address=parse_address("0x" + "c0" * 20))
SALT = b"h" * 32
SCIENTIST = Address("0x" + "5" * 40)
BIG = {"block": 1, "tx_hash": "0x" + "0" * 64, "log_index": 0}


@cache
def shared_key(bits: int = 1024) -> Key:
    """One key for all worlds of a size, with its proof."""
    key = small_key(bits)
    _ = key.proof
    return key


@cache
def shard(index: int, of: int, spec: Any, data_frac: int) -> LocalMap:
    """What a mine makes of its part of the diabetes rows."""
    table = examples.shard(examples.load("diabetes"), index, of)
    targets = [target.name for target in spec.targets]
    return map_of(spec, table.matrix(spec.features), table.matrix(targets), data_frac)


@dataclass
class Mine:
    """A mine with its rows and seeds; `answer` is what it makes of weights."""

    address: Address
    rows: LocalMap
    seeds: tuple[bytes, ...]
    answer: Callable[[LocalMap, Sequence[int], int], list[int]] = LocalMap.answer
    absent: bool = False


@dataclass
class Played:
    """A round up to its settlement, as the scientist knows it."""

    number: int
    weights: tuple[int, ...]
    updates: dict[Address, Update]
    verdict: Verdict
    point: Point | None = None
    scores: dict[str, int] = field(default_factory=dict)
    cohort: CohortManifest | None = None
    seen: Course | None = None
    asked: list[Heard] = field(default_factory=list)
    sum: Heard | None = None
    new_model: ModelManifest | None = None
    new_weights: list[mpz] = field(default_factory=list)

    @property
    def loss(self) -> int:
        assert self.point is not None
        return self.point.loss


class World:
    """A bounty with its capsules, mines and scientist."""

    def __init__(
        self,
        mines: int = 5,
        *,
        members: int = 3,
        threshold: int = 2,
        key: Key | None = None,
        wish: OptimiserWish | None = None,
        min_mines: int = 3,
    ) -> None:
        self.key = key or shared_key()
        self.public, self.store = self.key.public, MemoryStore()
        self.wish = wish or GradientMemoryWish()
        self.capsules = make_capsules(members)
        self.held_out = examples.shard(examples.load("diabetes"), mines, mines + 1)
        design = self._design(mines)
        self.settings = written(design.metric, self.wish)
        audit = AuditSpec(optimiser=digest_of(self.settings))
        cover = cover_of(self.capsules, threshold, HERE, audit=audit, bits=4096)
        self.values = self.held_out.matrix((*design.spec.features, "target"))
        key_manifest = KeyManifest(bits=self.public.bits, n=self.public.to_bytes(), proof=self.key.proof)
        self.key_digest = self.store.put(key_manifest.to_bytes(), "dag-cbor").digest
        first = ModelManifest(
            name="audited",
            round=1,
            family=design.spec,
            cover=cover,
            plan=PlanSpec.parse(design.plan.to_dict()),
            key=key_manifest.cid(),
            blobs=(Cid.of_blob(b""),),
            zero_start=True,
            holdout=commitment(SALT, design.spec.columns, self.values),
        )
        self.cover, self.plan = cover, first.slot_plan
        self.design = replace(design, plan=self.plan)
        self.model = self._with_weights(first, self.design.start)
        self.family = family_of(self.design.spec)
        self.optimiser = self.wish.optimiser(self.design.ground)
        self.course: Course = self.family.start(self.design)
        self.mines = [self._mine(i, mines) for i in range(mines)]
        self.terms = Terms(
            ETHER, 20, min_mines, 9, 60, 60, 60, 0, 10**12, 10**18, self.design.initial_loss, 300_000
        )
        self.posted = BountyPosted(
            bounty=BOUNTY,
            scientist=SCIENTIST,
            terms=self.terms,
            model_digest=self.model.digest(),
            key_digest=self.key_digest,
            escrow_units=10**19,
            **BIG,
        )
        self.records: dict[int, RoundRecord] = {}
        self.history: list[Played] = []
        self.best = self.design.initial_loss
        self.gone: dict[str, str] = {}
        self.sums: dict[int, tuple[list[int], int]] = {}
        self.sent: dict[tuple[int, Address], Update] = {}
        self._begin(1)

    # ---- the chain

    def chain(self) -> OnChain:
        """The bounty as its chain holds it."""
        number = max(self.records)
        record = self.records[number]
        state = BountyState(
            BOUNTY,
            SCIENTIST,
            0,
            number,
            len(record.commits),
            len(record.reveals),
            False,
            self.terms,
            10**19,
            self.best,
            self.model.digest(),
            record.fixed is not None,
        )
        return OnChain(HERE.chain_id, HERE.address, self.posted, state, Status.SETTLE, dict(self.records))

    def settle(self, played: Played, request: SettlementRequest) -> None:
        """The chain takes a settlement, and the next round begins."""
        self.best = min(self.best, request.new_loss)
        settled = RoundSettled(
            bounty=BOUNTY,
            round=played.number,
            new_model_digest=request.new_model,
            new_loss=request.new_loss,
            best_loss=self.best,
            paid_units=0,
            escrow_units=0,
            evidence_digest=request.evidence,
            **BIG,
        )
        self.records[played.number] = replace(self.records[played.number], settled=settled)
        if played.new_model is not None and played.seen is not None and played.point is not None:
            self.model = played.new_model
            self.course = played.seen.moved(played.point)
        for mine, why in played.verdict.for_good.items():
            self.gone.setdefault(mine, gone_since(played.number, why))
        self.history.append(played)
        self._begin(played.number + 1)

    def _begin(self, number: int) -> None:
        opened = RoundOpened(bounty=BOUNTY, round=number, model_digest=self.model.digest(), opened_s=0, **BIG)
        self.records[number] = RoundRecord(BOUNTY, number, opened=opened)

    def _reveal(self, number: int, updates: Mapping[Address, Update]) -> None:
        digests = {mine: update.put(self.store, self.public) for mine, update in updates.items()}
        commits = {
            mine: Committed(bounty=BOUNTY, round=number, mine=mine, seal=b"s" * 32, **BIG) for mine in updates
        }
        reveals = {
            mine: Revealed(bounty=BOUNTY, round=number, mine=mine, update_digest=digest, **BIG)
            for mine, digest in digests.items()
        }
        self.records[number] = replace(self.records[number], commits=commits, reveals=reveals)

    # ---- a round

    def play(
        self,
        change: Callable[[Address, Update], Update] | None = None,
        leave_out: Mapping[Address, str] | None = None,
        fix: Callable[[Mapping[str, int]], Mapping[str, int]] = lambda weights: weights,
        before: Callable[[], None] = lambda: None,
    ) -> Played:
        """All of a round up to its settlement. `change` is what hostile mines send; `leave_out` whom a
        hostile scientist leaves out, and what she says of them; `fix` the set that she fixes in place of the
        honest one. `before` is called before capsules are asked anything.
        """
        self._fixing = fix
        number, weights = max(self.records), self.course.current.weights_int
        updates = {
            mine.address: self._update(mine, number, weights) for mine in self.mines if not mine.absent
        }
        if change is not None:
            updates = {mine: change(mine, update) for mine, update in updates.items()}
        self._reveal(number, updates)
        self.sent |= {(number, mine): update for mine, update in updates.items()}
        played = Played(number, weights, updates, Verdict([], {}, {}))
        before()
        read = {mine: one for mine, one in updates.items() if mine not in self.gone}
        played.verdict = self._judge(played, read, leave_out or {})
        if played.cohort is not None:
            self._train(played)
        return played

    def _update(self, mine: Mine, number: int, weights: Sequence[int]) -> Update:
        values = mine.answer(mine.rows, weights, self.plan.weight_frac)
        plain = plain_update(
            self.public,
            self.plan,
            values,
            mine=mine.address,
            round_number=number,
            rows=mine.rows.rows,
            model=self.model.cid(),
            site=HERE,
        )
        return veil_over(plain, self.public, self.plan, self.cover, mine.seeds)

    def _judge(
        self, played: Played, read: Mapping[Address, Update], leave_out: Mapping[Address, str]
    ) -> Verdict:
        number = played.number
        rows = {str(mine): update.manifest.rows for mine, update in read.items()}
        past = [*self.history, played]
        sent = [
            Sent(one.number, one.weights, frozenset(map(str, one.updates)) - self.gone.keys()) for one in past
        ]
        lots = self.lots("tests", number)
        least = max(self.terms.min_mines, 2)
        rules = self.family.tests(self.design.spec, self.plan, least, lots.draw)
        reference = self.family.reference(self.design, played.weights)
        tests = self.family.veiled_tests(rules, self.plan, sent, reference, rows, lots.draw)
        heard = self._hear(played, tests.asks)
        failed_or_none, twins = tests.judged(heard)
        failed = {mine: test for mine, test in failed_or_none.items() if test is not None}
        before: dict[str, int] = {}
        senders: dict[str, str] = {}
        for one in self.history:
            for mine, update in one.updates.items():
                before.setdefault(mine, update.manifest.rows)
            _, first = copied(list(map(str, one.updates)), self._names(one.updates), senders)
            senders |= first
        copies, _ = copied(list(map(str, read)), self._names(read), senders)
        found = Found(
            sorted(map(str, played.updates), key=lambda mine: int(mine, 16)),
            {mine: why for mine, why in self.gone.items() if mine in played.updates}
            | {str(mine): why for mine, why in leave_out.items()},
            failed,
            rows_changed(rows, before),
            copies,
            twins_of(twins, [mine for mine, test in failed_or_none.items() if test is None]),
        )
        weighed = [update.manifest for mine, update in read.items() if mine not in leave_out]
        verdict = verdict_of(found, self.plan, weighed)
        accepted = [one for one in weighed if one.mine in verdict.accepted]
        opened = Opened.of(
            {a.mine: a.weight for a in one.cohort.addends} for one in self.history if one.cohort is not None
        )
        chosen = select(self.plan, accepted, found.twins, opened, least, self.lots("set", number).below)
        if chosen.weights:
            self.fix(played, self._fixing(chosen.weights))
        return verdict_of(found, self.plan, weighed, chosen.left)

    def _names(self, updates: Mapping[Address, Update]) -> dict[str, str]:
        return {str(mine): repr(update.ciphertexts) for mine, update in updates.items()}

    def lots(self, purpose: str, number: int) -> Lots:
        """The draws of a round."""
        reveals = self.records[number].reveals
        return Lots(purpose, BOUNTY, number, {mine: one.update_digest for mine, one in reveals.items()})

    def fix(self, played: Played, weights: Mapping[str, int]) -> None:
        """Fix a set on the chain."""
        addends = tuple(
            Addend(
                mine=Address(mine),
                update=played.updates[Address(mine)].manifest.digest(),
                weight=weight,
            )
            for mine, weight in sorted(weights.items(), key=lambda pair: int(pair[0], 16))
        )
        played.cohort = CohortManifest(
            chain_id=HERE.chain_id, contract=HERE.address, bounty=BOUNTY, round=played.number, addends=addends
        )
        digest = self.store.put(played.cohort.to_bytes(), "dag-cbor").digest
        fixed = CohortFixed(bounty=BOUNTY, round=played.number, digest=digest, **BIG)
        self.records[played.number] = replace(self.records[played.number], fixed=fixed)

    def _train(self, played: Played) -> None:
        assert played.cohort is not None
        sums, rows = self._open(played)
        mines = [addend.mine for addend in played.cohort.addends]
        weights = {str(addend.mine): addend.weight for addend in played.cohort.addends}
        played.seen = self.course.seen(played.number, sums, rows, mines, self.plan)
        played.point = self.family.step(self.design, self.optimiser, played.seen)
        vectors = self.family.score_vectors(self.design, self.optimiser, played.seen, played.point)
        cohorts = {one.number: one.cohort for one in [*self.history, played] if one.cohort is not None}
        sent = {number: [a.mine for a in cohort.addends] for number, cohort in cohorts.items()}
        self.sums[played.number] = sums, rows
        listed = {number: vector.tolist() for number, vector in vectors.items()}
        asks = self.family.score_asks(self.plan, listed, sent, mines, self.sums)
        heard = self._hear(played, {mine: (asked,) for mine, asked in asks.items()})
        known = {mine: one[0] for mine, one in heard.items()}
        played.scores = dict.fromkeys(weights, 0) | self.family.scores_of(known, weights)
        self.move_to(played, played.point.weights_int)

    def move_to(self, played: Played, weights_int: Sequence[int]) -> None:
        """Publish a model with these weights as the round's."""
        played.new_model = self._with_weights(
            self.model.model_copy(update={"round": played.number + 1}), weights_int, played.new_weights
        )

    def _open(self, played: Played) -> tuple[list[int], int]:
        assert played.cohort is not None
        body = SumRequest(
            chain_id=HERE.chain_id,
            contract=HERE.address,
            bounty=BOUNTY,
            round=played.number,
            cohort=played.cohort.digest(),
        ).to_bytes()
        played.sum = Heard(request=body, answers=[self.tell_sum(c, played, body) for c in self.capsules])
        n, weights = self.public.n, [addend.weight for addend in played.cohort.addends]
        classes: dict[int, list[mpz]] = {}
        for place, _ in enumerate(self.capsules):
            for number in self.cover.classes.held_by(place):
                classes[number] = self._class_sums(played, number)
        columns = zip(*(played.updates[a.mine].ciphertexts for a in played.cohort.addends), strict=True)
        opened = self.key.unsafe_decrypt([self.public.weighted_sum(column, weights) for column in columns])
        plain = unveiled(n, [mpz(x) % n for x in opened], [classes[c] for c in sorted(classes)])
        return self.plan.unpack([int(x) for x in plain], weight=sum(weights)), sum(weights)

    # ---- capsules

    def tell_sum(self, capsule: Capsule, played: Played, body: bytes, add: int = 0) -> bytes:
        """A capsule's signed part of a sum; `add` is a lie."""
        width = (self.plan.key_bits + 7) // 8
        sums = []
        for number in self.cover.classes.held_by(self.capsules.index(capsule)):
            found = self._class_sums(played, number)
            sums.append(b"".join(int((x + add) % self.public.n).to_bytes(width, "big") for x in found))
        answer = SumAnswer(capsule=capsule.address, request=digest_of(body), sums=tuple(sums))
        return signed(capsule, answer.to_bytes())

    def _class_sums(self, played: Played, number: int) -> list[mpz]:
        assert played.cohort is not None
        updates = [(a.weight, played.updates[a.mine]) for a in played.cohort.addends]
        count = self.plan.ciphertexts
        masks = ((w, class_masks(u.seeds[number], u.place, self.public.n, count)) for w, u in updates)
        return class_sums(self.public.n, count, masks)

    def _hear(self, played: Played, asks: Mapping[str, Sequence[Asked]]) -> dict[str, tuple[Measured, ...]]:
        """Ask capsules for functionals, and keep what they say for auditors."""
        if not asks:
            return {}
        body = self.functional_request(played.number, asks)
        answers = [self.tell(capsule, body) for capsule in self.capsules]
        played.asked.append(Heard(request=body, answers=tuple(answers)))
        return {mine: tuple(self._measured(mine, asked) for asked in each) for mine, each in asks.items()}

    def functional_request(self, number: int, asks: Mapping[str, Sequence[Asked]]) -> bytes:
        """The body of a request for functionals."""
        vectors: dict[bytes, int] = {}
        made = []
        for mine, each in asks.items():
            for asked in each:
                parts = []
                for round_, vector in asked.parts:
                    place = vectors.setdefault(write_vector(self.plan, vector), len(vectors))
                    update = self.sent[round_, Address(mine)].manifest.digest()
                    parts.append(Part(round=round_, update=update, vector=place))
                made.append(Ask(mine=Address(mine), bits=asked.bits, parts=tuple(parts)))
        return FunctionalRequest(
            chain_id=HERE.chain_id,
            contract=HERE.address,
            bounty=BOUNTY,
            round=number,
            vectors=tuple(vectors),
            asks=tuple(made),
        ).to_bytes()

    def tell(self, capsule: Capsule, body: bytes) -> bytes:
        """A capsule's signed answer to a request for functionals."""
        request = FunctionalRequest.from_bytes(body)
        held = self.cover.classes.held_by(self.capsules.index(capsule))
        values = tuple(tuple(self._told(request, ask, number) for number in held) for ask in request.asks)
        answer = FunctionalAnswer(capsule=capsule.address, request=digest_of(body), values=values)
        return signed(capsule, answer.to_bytes())

    def _told(self, request: FunctionalRequest, ask: Ask, number: int) -> int:
        vectors = [read_vector(self.plan, request.vectors[part.vector]) for part in ask.parts]
        updates = [self.sent[part.round, ask.mine] for part in ask.parts]
        count, size = self.plan.ciphertexts, self.plan.slot_bits
        masks = [class_masks(u.seeds[number], u.place, self.public.n, count) for u in updates]
        wraps = [class_wraps(u.seeds[number], u.place, size, count) for u in updates]
        return told(class_value(self.plan, self.public.n, vectors, masks, wraps), size, ask.bits)

    def _measured(self, mine: str, asked: Asked) -> Measured:
        updates = [self.sent[number, Address(mine)] for number, _ in asked.parts]
        body = self.functional_request(1, {mine: (asked,)})
        request = FunctionalRequest.from_bytes(body)
        numbers = [self._told(request, request.asks[0], c) for c in range(self.cover.classes.count)]
        opened = [[mpz(x) for x in self.plain(update)] for update in updates]
        wraps = [read_wraps(self.plan, update.veil.wraps) for update in updates]
        vectors = [vector for _, vector in asked.parts]
        return measured(self.plan, self.public.n, vectors, opened, wraps, numbers, asked.bits)

    def plain(self, update: Update) -> list[int]:
        """What an update's ciphertexts hold: masked plaintexts."""
        return self.key.unsafe_decrypt(update.ciphertexts)

    # ---- the settlement

    def request(
        self,
        played: Played,
        *,
        rounds: Sequence[Played] | None = None,
        loss: int | None = None,
        shares: Mapping[str, int] | None = None,
        evidence_says: Callable[[EvidenceManifest], EvidenceManifest] = lambda told: told,
    ) -> SettlementRequest:
        """What she asks for. `rounds`: those before whose openings she sends, by default all. The others are
        lies: another loss, other shares, other evidence.
        """
        loss = loss if loss is not None else played.loss if played.point else self.best
        shares = dict(shares or self.shares(played, loss))
        settled = evidence.Settled(
            digests={mine: one.update_digest for mine, one in self._reveals(played.number)},
            rows={
                mine: one.manifest.rows
                for mine, one in played.updates.items()
                if not self._unread(played.verdict.left_out.get(mine, ""))
            },
            verdict=played.verdict,
            shares=shares,
            models=(self.model.cid(), (played.new_model or self.model).cid()),
            losses=(loss, min(loss, self.best)),
            aggregate=played.cohort.digest() if played.cohort is not None else b"",
        )
        place = evidence.Place(HERE.chain_id, HERE.address, BOUNTY, played.number)
        told_ = evidence_says(evidence.evidence_of(place, settled))
        digest = self.store.put(told_.to_bytes(), "dag-cbor").digest
        before = self.history if rounds is None else rounds
        return SettlementRequest(
            chain_id=HERE.chain_id,
            contract=HERE.address,
            bounty=BOUNTY,
            round=played.number,
            new_model=(played.new_model or self.model).digest(),
            new_loss=loss,
            awards=tuple(
                AwardLine(mine=Address(mine), share_bps=shares[mine])
                for mine in sorted(shares, key=lambda mine: int(mine, 16))
            ),
            evidence=digest,
            rounds=tuple(self.audited(each) for each in [*before, played]),
            new_weights=self.openings(played.new_weights) if played.new_weights else None,
            holdout=HoldoutRows.of(self.design.spec.columns, self.values, SALT),
            optimiser=self.settings,
        )

    def shares(self, played: Played, loss: int) -> dict[str, int]:
        """What each mine is due."""
        scores: Mapping[str, float] = played.scores or dict.fromkeys(played.verdict.accepted, 0.0)
        cohort = [str(mine) for mine, _ in self._reveals(played.number)]
        best = self.course.best.loss
        losses = (min(best, loss), best) if played.point else (best, best)
        return round_shares(scores, cohort, played.verdict, played.number, self.terms, losses)

    def _reveals(self, number: int) -> list[tuple[Address, Revealed]]:
        record = self.records[number]
        return [(mine, record.reveals[mine]) for mine in record.cohort]

    def _unread(self, reason: str) -> bool:
        return reason.startswith(("withheld", "malformed", "left out since"))

    def audited(self, played: Played) -> AuditedRound:
        """A round as an auditor gets it."""
        answers = [
            OpenedAnswer(
                mine=mine,
                update=update.manifest.digest(),
                openings=self.openings(update.ciphertexts),
            )
            for mine, update in sorted(played.updates.items(), key=lambda pair: int(pair[0], 16))
            if not self._unread(played.verdict.left_out.get(mine, ""))
        ]
        model = next(
            (
                one.new_weights
                for one in reversed(self.history)
                if one.number < played.number and one.new_weights
            ),
            self.first_weights,
        )
        return AuditedRound(
            round=played.number,
            weights=self.openings(model),
            answers=tuple(answers),
            asked=tuple(played.asked),
            sum=played.sum,
        )

    def openings(self, ciphertexts: Sequence[mpz]) -> Openings:
        """The openings of ciphertexts."""
        return Openings.of(self.key.unsafe_open(ciphertexts), (self.public.bits + 7) // 8)

    # ---- auditors

    def auditor(self, place: int = 0, **given: Any) -> Auditor:
        """The auditor of a capsule, with a ledger of its own."""
        capsule = _Capsule(self)
        journal = Journal(Path(tempfile.mkdtemp()) / "audits.journal", lasting=False)
        return Auditor(capsule, self.store, journal, self.capsules[place].account, insecure=True, **given)

    # ---- making

    def _design(self, mines: int) -> Design:
        table = self.held_out
        features = tuple(name for name in table.columns if name != "target")
        x, y = table.matrix(features), table.matrix(("target",))
        return design_like(x, y, features, ("target",), key_bits=self.public.bits, rows_min=33)

    def _mine(self, index: int, of: int) -> Mine:
        rows = shard(index, of + 1, self.design.spec, self.plan.data_frac)
        return Mine(_account(index), rows, veil_kit.new_seeds(self.cover))

    def _with_weights(
        self, model: ModelManifest, weights_int: Sequence[int], into: list[mpz] | None = None
    ) -> ModelManifest:
        ciphertexts = self.key.encrypt_weights(weights_int)
        if into is None:
            self.first_weights = ciphertexts
        else:
            into[:] = ciphertexts
        blob = self.public.encode_blob(ciphertexts)
        put_blob(self.store, blob)
        made = model.model_copy(update={"blobs": links_of(blob)})
        self.store.put(made.to_bytes(), "dag-cbor")
        return made


@dataclass
class _Capsule:
    """What an auditor asks of its capsule: here it has nothing to add."""

    world: World

    def bounty(self, bounty: bytes) -> OnChain:
        assert bounty == BOUNTY
        return self.world.chain()

    def complains(self, bounty: bytes, round: int, mine: Address) -> bool:
        return False

    def own_answer(self, body: bytes) -> bytes | None:
        return None


def signed(capsule: Capsule, body: bytes) -> bytes:
    """A capsule's answer in its envelope."""
    digest = answer_digest(HERE.chain_id, HERE.address, body)
    return SignedAnswer(body=body, signature=sign_digest(capsule.account, digest)).to_bytes()


def _account(index: int) -> Address:
    return parse_address("0x" + bytes([index + 1] * 20).hex())
