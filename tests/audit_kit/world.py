"""A scientist with capsules, in memory: real ciphertexts, blobs, masks and signatures, a chain of records.

world = World(mines=6)
played = world.play()                        # all of a round up to its settlement
request = request_of(world, played)          # what she hands to auditors (`packet`)
world.settle(played, request)                # the chain takes it; the next round begins
auditor = world.auditor(0)                   # of the first capsule
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from gmpy2 import mpz

from capsule.audit.auditor import Auditor
from capsule.audit.public import OnChain
from pysonar.keys.key import Key
from sonar.data import examples
from sonar.errors import UpdateOutOfRange
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.base import OptimiserWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.quadratic.optimisers.registry import written
from sonar.families.registry import family_of
from sonar.families.veiled import Asked
from sonar.home.journal import Journal
from sonar.manifests.audit import Heard, SettlementRequest
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import AuditSpec, KeyManifest, ModelManifest, PlanSpec, commitment
from sonar.protocol.events import BountyPosted, CohortFixed, Committed, Revealed, RoundOpened, RoundSettled
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import ETHER, Address, BountyId, Cid, digest_of, links_of, parse_address
from sonar.protocol.phase import BountyState, Status, Terms
from sonar.settling.lots import Lots
from sonar.settling.sums import values_of
from sonar.settling.verdict import Verdict, gone_since
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob
from sonar.veil.functionals import Measured
from sonar.veil.sums import unveiled
from tests import veil_kit
from tests.audit_kit.judging import Mine, Played, judged, spoilers
from tests.audit_kit.telling import HERE, Tellers
from tests.family_kit import design_like, map_of
from tests.unit.paillier_keys import small_key
from tests.veil_kit import BOUNTY, Update, cover_of, make_capsules, plain_update, veil_over

SALT = b"h" * 32
SCIENTIST = Address("0x" + "5" * 40)
PLACED: Any = {"block": 1, "tx_hash": "0x" + "0" * 64, "log_index": 0}


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
        targets: tuple[str, ...] = ("target",),
    ) -> None:
        self.targets = targets
        self.key = key or shared_key()
        self.public, self.store = self.key.public, MemoryStore()
        self.wish = wish or GradientMemoryWish()
        self.capsules = make_capsules(members)
        self.held_out = examples.shard(examples.load("diabetes"), mines, mines + 1)
        design = self._design(mines)
        self.settings = written(design.metric, self.wish)
        audit = AuditSpec(optimiser=digest_of(self.settings))
        cover = cover_of(self.capsules, threshold, HERE, audit=audit, bits=4096)
        self.values = self.held_out.matrix(design.spec.columns)
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
            **PLACED,
        )
        self.records: dict[int, RoundRecord] = {}
        self.history: list[Played] = []
        self.best = self.design.initial_loss
        self.gone: dict[str, str] = {}
        self.sums: dict[int, tuple[list[int], int]] = {}
        self.tellers = Tellers(self.key, self.plan, self.cover, self.capsules)
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
            **PLACED,
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
        opened = RoundOpened(
            bounty=BOUNTY, round=number, model_digest=self.model.digest(), opened_s=0, **PLACED
        )
        self.records[number] = RoundRecord(BOUNTY, number, opened=opened)

    def _reveal(self, number: int, updates: Mapping[Address, Update]) -> None:
        digests = {mine: update.put(self.store, self.public) for mine, update in updates.items()}
        commits = {
            mine: Committed(bounty=BOUNTY, round=number, mine=mine, seal=b"s" * 32, **PLACED)
            for mine in updates
        }
        reveals = {
            mine: Revealed(bounty=BOUNTY, round=number, mine=mine, update_digest=digest, **PLACED)
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
        silent: Collection[Address] = (),
    ) -> Played:
        """All of a round up to its settlement. `change` is what hostile mines send; `leave_out` whom a
        hostile scientist leaves out, and what she says of them; `fix` the set that she fixes in place of the
        honest one. `before` is called before capsules are asked anything; of `silent` they tell nothing.
        """
        number, weights = max(self.records), self.course.current.weights_int
        updates = {
            mine.address: self._update(mine, number, weights) for mine in self.mines if not mine.absent
        }
        if change is not None:
            updates = {mine: change(mine, update) for mine, update in updates.items()}
        self._reveal(number, updates)
        self.tellers.sent |= {(number, mine): update for mine, update in updates.items()}
        played = Played(number, weights, updates, Verdict([], {}, {}))
        before()
        read = {mine: one for mine, one in updates.items() if mine not in self.gone}
        played.verdict, weights_by_mine = judged(self, played, read, leave_out or {}, silent)
        if weights_by_mine:
            self.fix(played, fix(weights_by_mine))
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
        fixed = CohortFixed(bounty=BOUNTY, round=played.number, digest=digest, **PLACED)
        self.records[played.number] = replace(self.records[played.number], fixed=fixed)

    def _train(self, played: Played) -> None:
        assert played.cohort is not None
        try:
            sums, rows = self._open(played)
        except UpdateOutOfRange:
            played.verdict = played.verdict.without_sum(spoilers(self, played))
            return
        mines = [addend.mine for addend in played.cohort.addends]
        weights = {str(addend.mine): addend.weight for addend in played.cohort.addends}
        played.seen = self.course.seen(played.number, sums, rows, mines, self.plan)
        played.point = self.family.step(self.design, self.optimiser, played.seen)
        vectors = self.family.score_vectors(self.design, self.optimiser, played.seen, played.point)
        cohorts = {one.number: one.cohort for one in [*self.history, played] if one.cohort is not None}
        sent = {number: [a.mine for a in cohort.addends] for number, cohort in cohorts.items()}
        self.sums[played.number] = sums, rows
        listed = {number: vector.tolist() for number, vector in vectors.items()}
        wanted = self.family.veiled_scores(self.plan, listed, sent, mines, self.sums)
        played.scores = dict.fromkeys(weights, 0) | wanted.scored(self.hear(played, wanted.asks), weights)
        self.move_to(played, played.point.weights_int)

    def move_to(self, played: Played, weights_int: Sequence[int]) -> None:
        """Publish a model with these weights as the round's."""
        played.new_model = self._with_weights(
            self.model.model_copy(update={"round": played.number + 1}), weights_int, played.new_weights
        )

    def _open(self, played: Played) -> tuple[list[int], int]:
        assert played.cohort is not None
        cohort, tellers, n = played.cohort, self.tellers, self.public.n
        answers = tuple(tellers.tell_sum(capsule, cohort) for capsule in self.capsules)
        played.sum = Heard(request=tellers.sum_request(cohort), answers=answers)
        weights = [addend.weight for addend in cohort.addends]
        classes = [tellers.class_sums(cohort, number) for number in range(self.cover.classes.count)]
        columns = zip(*(played.updates[a.mine].ciphertexts for a in cohort.addends), strict=True)
        opened = self.key.unsafe_decrypt([self.public.weighted_sum(column, weights) for column in columns])
        plain = unveiled(n, [mpz(x) % n for x in opened], classes)
        return values_of(self.plan, plain, sum(weights)), sum(weights)

    def hear(self, played: Played, asks: Mapping[str, Sequence[Asked]]) -> dict[str, tuple[Measured, ...]]:
        """Ask capsules for functionals, and keep what they say for auditors."""
        if not asks:
            return {}
        tellers = self.tellers
        body = tellers.functional_request(played.number, asks)
        answers = tuple(tellers.tell(capsule, body) for capsule in self.capsules)
        played.asked.append(Heard(request=body, answers=answers))
        return {mine: tuple(tellers.measured(mine, asked) for asked in each) for mine, each in asks.items()}

    # ---- auditors

    def auditor(
        self,
        place: int = 0,
        *,
        journal: Path | None = None,
        own: Mapping[bytes, bytes] | None = None,
        complains: Collection[Address] = (),
        others: Mapping[Address, bytes] | None = None,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> Auditor:
        """The auditor of a capsule, with a ledger of its own, unless one is given. `own`: what the capsule
        itself told, by request; `complains`: of whose envelopes; `others`: what other capsules say, if they
        can be reached.
        """
        capsule = _Auditing(self, own or {}, complains, others or {})
        path = journal or Path(tempfile.mkdtemp()) / "audits.journal"
        account = self.capsules[place].account
        kept = Journal(path, lasting=False)
        return Auditor(capsule, self.store, kept, account, insecure=True, random_bits=random_bits)

    # ---- making

    def _design(self, mines: int) -> Design:
        table = self.held_out
        features = tuple(name for name in table.columns if name not in self.targets)
        x, y = table.matrix(features), table.matrix(self.targets)
        return design_like(x, y, features, self.targets, key_bits=self.public.bits, rows_min=33)

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
class _Auditing:
    """What an auditor asks of its capsule."""

    world: World
    own: Mapping[bytes, bytes]
    complaints: Collection[Address]
    others: Mapping[Address, bytes]

    def bounty(self, bounty: BountyId) -> OnChain:
        assert bounty == BOUNTY
        return self.world.chain()

    def complains(self, bounty: BountyId, round: int, mine: Address) -> bool:
        return mine in self.complaints

    def own_answer(self, body: bytes) -> bytes | None:
        return self.own.get(body)

    def other_answer(self, account: Address, request: bytes) -> bytes | None:
        return self.others.get(account)


def _account(index: int) -> Address:
    return parse_address("0x" + bytes([index + 1] * 20).hex())
