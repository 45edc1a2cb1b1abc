"""Bounties for a key's holder, and a fake holder that remembers everything as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from gmpy2 import mpz

from pysonar.keys.archive import Archive, Page, Remembered, values_of
from pysonar.keys.holder import Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key, Tell
from pysonar.keys.ledger import Revealed
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.errors import LedgerConflict, UpdateOutOfRange, UsageError
from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.comparison import Reference
from sonar.families.quadratic.inspection import ROUND_ONLY, Rules, inspect, same
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.target import Target
from sonar.manifests.model import CoverSpec, KeyManifest, ModelManifest, PaillierCover, PlanSpec
from sonar.paillier.cohort import aggregate_digest, weights_of
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import ETHER, Address, Cid, Digest
from sonar.protocol.phase import Terms

PLACE = 7, Address("0x" + "1" * 40), Address("0x" + "2" * 40)
KEY_DIGEST = Digest(b"k" * 32)


def job_of(plan: SlotPlan, *, min_mines: int = 2, name: str = "job", local_steps: int = 1) -> Job:
    """A bounty whose updates are packed by `plan`."""
    terms = Terms(ETHER, max(plan.mines_max, min_mines), min_mines, 100, 60, 60, 60, 1, 1, 100, 10**6, 1)
    return Job(*PLACE, terms, manifest_of(plan, name, local_steps).to_bytes(), KEY_DIGEST, b"s" * 32)


def manifest_of(plan: SlotPlan, name: str, local_steps: int) -> ModelManifest:
    steps = {"local_steps": local_steps, "local_rate_q32": 1 << 30} if local_steps > 1 else {}
    spec = QuadraticSpec(
        features=tuple(f"x{i}" for i in range(plan.features - 1)),
        targets=tuple(
            Target(name=f"y{o}", centre_q32=0, scale_q32=1 << 32, clip_q32=1 << 40)
            for o in range(plan.outputs)
        ),
        rows_min=10,
        **steps,  # type: ignore[arg-type]
    )
    return ModelManifest(
        name=name,
        round=1,
        family=spec,
        cover=PaillierCover(),
        plan=PlanSpec.parse(plan.to_dict()),
        key=Cid("dag-cbor", KEY_DIGEST),
        blobs=(Cid.of_blob(b"weights"),),
        zero_start=True,
        holdout=Digest(b"h" * 32),
    )


INEQUALITIES = {"positive", "spread"}
"""The tests that are no identities."""


def judged(rules: Rules, history: Sequence[Opened], trusted: Callable[[str], bool]) -> dict[str, str | None]:
    """What the tests say of the last round of `history`, by the rounds before as they were and as a holder
    remembers them: the same mines fail, and for good the same. But for `INEQUALITIES`: one may hold for a
    combination of answers where it fails for one of them, or the other way round.
    """
    *before, now = (_unpacked(rules.plan, opened) for opened in history)
    archive = Archive(None, b"k" * 32)
    for number, opened in enumerate(before, 1):
        names = dict.fromkeys(opened.updates, b"n" * 32)
        rows = [opened.updates[mine] for mine in names]
        outside = frozenset(mine for mine, row in zip(names, rows, strict=True) if row is None)
        archive.put(b"b", Page(number, tuple(opened.weights), names, values_of(rows, rules.plan), outside))
    remembered = Remembered(archive, b"b", rules.plan, rules.random_bits).before(len(history))
    found = inspect(rules, remembered, now, trusted)
    whole = inspect(rules, Rounds(before), now, trusted)
    archive.close()
    for mine, test in whole.items():
        if INEQUALITIES & {test, found[mine]}:
            continue
        assert (found[mine] is None) == (test is None), (mine, test, found[mine])
        assert test not in ROUND_ONLY or found[mine] == test or found[mine] not in ROUND_ONLY
    return found


def _unpacked(plan: SlotPlan, opened: Opened) -> Opened:
    """What `SlotPlan.unpack` leaves of it: nothing of an update with a value beyond the bounds."""
    inside = {
        mine: sent if sent is not None and all(abs(u) <= plan.update_max for u in sent) else None
        for mine, sent in opened.updates.items()
    }
    return Opened(opened.weights, inside)


class FakeHolder:
    """A `KeyHolder` in memory: no ledger on disk, no archive, no secrets from its tests."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._opened: dict[tuple[bytes, int], Opened] = {}
        self._sums: dict[tuple[bytes, int], dict[str, MineUpdate]] = {}
        self._at: dict[tuple[int, ...], frozenset[tuple[str, int]]] = {}
        self._scores: dict[tuple[bytes, int], dict[str, int]] = {}
        self._twins: dict[tuple[bytes, int], dict[str, str]] = {}
        self._failed: dict[bytes, dict[tuple[int, str], str]] = {}
        self._held: dict[tuple[bytes, int, str, bytes], str | None] = {}

    @property
    def public(self) -> PublicKey:
        return self._key.public

    def key(self, job: Job | None = None, round: int = 1) -> KeyManifest:
        public = self._key.public
        return KeyManifest(bits=public.bits, n=public.to_bytes(), proof=self._key.proof)

    def public_of(self, job: Job, round: int) -> PublicKey:
        return self._key.public

    def turn(self, job: Job, round: int) -> bool:
        return False

    def on_progress(self, tell: Tell | None) -> None:
        self._key.on_progress(tell)

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        return self._key.encrypt_weights(numbers)

    def least(self, job: Job) -> int:
        return job.terms.least

    def look(self, job: Job, round: int) -> None:
        """Nobody audits."""

    def knows(self, job: Job, round: int) -> bool:
        return (job.bounty, round) in self._opened

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Reference | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        self._check(job, weights_int, updates)
        now = Opened(tuple(weights_int), {one.mine: self._values(job.plan, one) for one in updates})
        self._opened[job.bounty, round] = now
        past = [opened for (bounty, number), opened in sorted(self._opened.items()) if number < round
                and bounty == job.bounty]  # fmt: skip
        failed = self._failed.setdefault(job.bounty, {})
        gone: dict[str, str] = {}
        for (number, mine), test in sorted(failed.items()):
            if number < round and test not in ROUND_ONLY:
                gone.setdefault(mine, test)
        rules = job.rules(self.least(job))
        found = inspect(rules, Rounds(past), now, lambda mine: mine not in gone, reference)
        told = {mine: gone.get(mine, test) for mine, test in found.items()}
        known = [self._held.setdefault((job.bounty, round, one.mine, one.name), told[one.mine])
                 for one in updates if (job.bounty, round, one.mine, one.name) in self._held]  # fmt: skip
        told |= {one.mine: self._held.setdefault((job.bounty, round, one.mine, one.name), told[one.mine])
                 for one in updates}  # fmt: skip
        failed |= {(round, mine): test for mine, test in told.items() if test and mine not in gone}
        if len(known) == len(updates):
            return told
        holding = {one.mine: one.rows for one in updates if told[one.mine] is None}
        groups = self._twins.setdefault((job.bounty, round), {})
        for one, other in same(rules, now, holding, reference).items():
            heads = {groups.get(one, one), groups.get(other, other)}
            there = {mine for mine in (*groups, one, other) if groups.get(mine, mine) in heads}
            groups |= dict.fromkeys(there, min(heads))
        return told

    def twins(self, job: Job, round: int) -> dict[str, str]:
        return self._twins.get((job.bounty, round), {})

    def cover(self) -> CoverSpec:
        return PaillierCover()

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        twins = self.twins(job, round)
        if len({twins.get(one.mine, one.mine) for one in updates}) < self.least(job):
            return Choice({}, {}, b"")
        digest = aggregate_digest(self.public, job.plan, updates, twins)
        return Choice(weights_of(job.plan, updates, twins), {}, digest)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        self._check(job, weights_int, updates)
        twins = self.twins(job, round)
        distinct = {twins.get(one.mine, one.mine) for one in updates}
        if not self.least(job) <= len(distinct) or len(updates) > job.plan.mines_max:
            raise UsageError(f"{len(updates)} updates; a sum takes at least {self.least(job)}")
        here, asked = (job.bounty, round), {one.mine: one for one in updates}
        if here in self._sums:
            if self._sums[here] != asked:
                raise LedgerConflict("another sum of this round was opened")
        else:
            scale = 48 - job.plan.weight_frac
            cohort = frozenset(weights_of(job.plan, updates, twins).items())
            if self._at.setdefault(tuple(w << scale for w in weights_int), cohort) != cohort:
                raise LedgerConflict("another cohort's sum was opened at these weights")
            blobs = {one.blob for summed in self._sums.values() for one in summed.values()}
            if blobs & {one.blob for one in updates}:
                raise LedgerConflict("an update is part of another sum")
            self._sums[here] = asked
        values = [self._values(job.plan, one) for one in updates]
        if None in values:
            raise UpdateOutOfRange("a value is outside the range")
        weights = weights_of(job.plan, updates, twins)
        return [
            sum(weights[one.mine] * v[i] for one, v in zip(updates, values, strict=True) if v)
            for i in range(job.plan.weights)
        ]

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        return {}

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        if (job.bounty, round) in self._scores:
            return self._scores[job.bounty, round]
        if (job.bounty, round) not in self._sums:
            raise LedgerConflict("no sum of this round was opened")
        totals = dict.fromkeys(self._sums[job.bounty, round], 0.0)
        for number, vector in vectors.items():
            if len(vector) != job.plan.weights or not all(map(math.isfinite, vector)) or number > round:
                raise UsageError("the coefficients are none")
            if (job.bounty, number) not in self._opened:
                raise UsageError(f"round {number} is not known")
            summed = self._sums.get((job.bounty, number), {})
            weights = weights_of(job.plan, list(summed.values()), self.twins(job, number))
            for mine, one in summed.items():
                values = self._values(job.plan, one)
                if mine in totals and values:
                    dot = sum(k * u / 2**job.plan.scale_bits for k, u in zip(vector, values, strict=True))
                    totals[mine] += weights[mine] * dot
        largest = max(map(abs, totals.values())) or 1.0
        scores = {mine: math.floor(32767 * total / largest + 0.5) for mine, total in totals.items()}
        scores = {mine: max(score, 1) if totals[mine] > 0 else score for mine, score in scores.items()}
        return self._scores.setdefault((job.bounty, round), scores)

    def revealed(self, job: Job) -> dict[str, Revealed]:
        totals: dict[str, Revealed] = {}
        for (bounty, _), scores in self._scores.items():
            for mine in scores if bounty == job.bounty else ():
                totals.setdefault(mine, Revealed()).score_bits += 16
        for (number, mine), test in sorted(self._failed.get(job.bounty, {}).items()):
            totals.setdefault(mine, Revealed()).failed_tests.append((number, test))
        for (bounty, _), twins in self._twins.items():
            for mine in twins if bounty == job.bounty else ():
                totals.setdefault(mine, Revealed()).twin_rounds += 1
        return totals

    def _check(self, job: Job, weights_int: Sequence[int], updates: Sequence[MineUpdate]) -> None:
        job.check(self.public)
        if len(weights_int) != job.plan.weights or len({one.mine for one in updates}) != len(updates):
            raise UsageError("another number of weights, or a mine twice")
        for one in updates:
            one.check(job.form(self.public))
            if one.rows < 1:
                raise UsageError("no rows")

    def _values(self, plan: SlotPlan, update: MineUpdate) -> tuple[int, ...] | None:
        try:
            return tuple(plan.unpack(self._key.unsafe_decrypt(update.ciphertexts), weight=1))
        except UpdateOutOfRange:
            return None


def local(key: Key) -> LocalHolder:
    """The holder of a key that is not saved, with a ledger of its own."""
    return LocalHolder(Key(*key.unsafe_primes()))
