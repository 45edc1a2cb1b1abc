"""Mines that cheat. They speak the protocol on their own, so nothing in `mine` needs a hook for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gmpy2 import mpz

from mine.consent import Policy
from mine.data.dataset import DataSet
from mine.work import trainer
from mine.work.trainer import Task
from sonar.chain.contract import errors
from sonar.chain.contract.market import Market
from sonar.chain.sending.outbox import Outbox
from sonar.families.base import Prepared
from sonar.families.registry import family_of
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.ports import Store
from sonar.protocol.events import BountyPosted, Committed, Revealed
from sonar.protocol.ids import Address, Cid, digest_of, links_of
from sonar.protocol.phase import BountyState, Status, status_of
from sonar.protocol.seal import seal
from sonar.store.mend import put_blob
from sonar.telling.progress import Done, Waiting
from tests.chain_kit import wish
from tests.veil_kit import Update, veil_over

Lie = Callable[[Update, Task], Update]
"""What is published in place of an honest update under a veil."""
Forge = Callable[[PublicKey, int, list[mpz]], list[mpz]]
"""(key, round, the honest ciphertexts) -> what is sent in their place."""


def honest(_key: PublicKey, _round: int, update: list[mpz]) -> list[mpz]:
    return update


def random_slots(key: PublicKey, _round: int, update: list[mpz]) -> list[mpz]:
    """Plaintexts that are random over the whole slot range, and beyond."""
    return [key.encrypt(secrets.randbelow(int(key.n)), 1 + secrets.randbelow(int(key.n) - 1)) for _ in update]


def times(factor: int, from_round: int = 1) -> Forge:
    """Multiply the updates, from some round on."""

    def forge(key: PublicKey, number: int, update: list[mpz]) -> list[mpz]:
        return [key.mul_plain(c, factor) for c in update] if number >= from_round else update

    return forge


@dataclass
class Opening:
    """What a seal opens with."""

    manifest: bytes
    blob: bytes
    salt: bytes


def read_task(market: Market, store: Store, bounty: BountyState, posted: BountyPosted) -> Task:
    """What a bounty asks for, whoever its capsules are."""
    cover = trainer.read_model(store, posted.model_digest, 1).cover
    members = cover.members if cover.kind == "veil" else ()
    policy = replace(POLICY, insecure_keys=True).trusting(member.account for member in members)
    return trainer.read_task(market, store, bounty, posted.model_digest, posted.key_digest, policy)


@dataclass
class HostileMine:
    """A mine with real data that sends, in its `rounds`, what `forge` makes of its honest updates.

    Under a veil, which covers what was forged, it publishes what `lie` makes of that.
    """

    market: Market
    store: Store
    outbox: Outbox
    dataset: DataSet
    forge: Forge = honest
    publishes_blob: bool = True
    reveals: bool = True
    rounds: range = range(1, 256)
    lie: Lie = lambda update, _: update
    _seeds: tuple[bytes, ...] = ()
    _task: tuple[Task, Prepared] | None = None
    _openings: dict[int, Opening] = field(default_factory=dict)
    _committed: set[int] = field(default_factory=set)
    _revealed: set[int] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)

    @property
    def me(self) -> Address:
        return self.outbox.address

    def tick(self) -> Waiting | Done:
        head = self.market.head()
        posted = [e for e in self.market.events(0, head.number) if isinstance(e, BountyPosted)]
        if not posted:
            return Waiting("a bounty")
        bounty = self.market.bounty(posted[0].bounty, at=head)
        status = status_of(bounty, head.timestamp_s)
        if status is Status.CLOSED:
            return Done("closed")
        try:
            if (
                status is Status.COMMIT
                and bounty.round in self.rounds
                and bounty.round not in self._committed
            ):
                self.commit(bounty, posted[0])
            elif status is Status.REVEAL and bounty.round in self._committed - self._revealed:
                self.reveal(bounty)
        except (errors.CohortFull, errors.WrongStatus, errors.SealMismatch) as error:
            self.refusals.append(str(error))
            self._revealed.add(bounty.round)
        return Waiting("the next phase")

    def commit(self, bounty: BountyState, posted: BountyPosted) -> None:
        opening = self.opening(bounty, posted)
        self._openings[bounty.round] = opening
        self._send_commit(bounty, self.seal_of(bounty, opening))

    def _send_commit(self, bounty: BountyState, sealed: bytes) -> None:
        self._committed.add(bounty.round)
        call = self.market.commit(bounty.bounty, bounty.round, sealed, bounty.terms.stake_units)
        self.outbox.perform(wish(f"commit/{bounty.round}"), call)

    def reveal(self, bounty: BountyState) -> None:
        if not self.reveals:
            return
        self._revealed.add(bounty.round)
        opening = self._openings[bounty.round]
        if self.publishes_blob:
            put_blob(self.store, opening.blob)
        self.store.put(opening.manifest, "dag-cbor")
        call = self.market.reveal(bounty.bounty, bounty.round, digest_of(opening.manifest), opening.salt)
        self.outbox.perform(wish(f"reveal/{bounty.round}"), call)

    def opening(self, bounty: BountyState, posted: BountyPosted) -> Opening:
        if self._task is None:
            task = read_task(self.market, self.store, bounty, posted)
            self._task = (task, trainer.prepare(task, self.dataset))
        task, mapped = self._task
        model = trainer.read_model(self.store, bounty.model_digest, bounty.round)
        weights = trainer.read_question(self.store, task, model)
        update = family_of(task.model.family).answer(task.key, task.plan, mapped, weights)
        sent = self.forge(task.key, bounty.round, update)
        fresh = [task.key.rerandomise(c, task.key.blinding(secrets.randbelow)) for c in sent]
        return self._wrap(bounty, task, fresh, mapped.rows)

    def _wrap(self, bounty: BountyState, task: Task, update: Sequence[mpz], rows: int) -> Opening:
        blob = task.key.encode_blob(update)
        manifest = UpdateManifest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=bounty.bounty,
            round=bounty.round,
            mine=self.me,
            model=Cid("dag-cbor", bounty.model_digest),
            key=task.key.fingerprint,
            rows=rows,
            ciphertexts=len(update),
            blobs=links_of(blob),
        )
        if task.model.cover.kind == "veil":
            plain = Update(manifest, tuple(update))
            honest = veil_over(plain, task.key, task.plan, task.model.cover, self._seeds)
            self._seeds = honest.seeds
            sent = self.lie(honest, task)
            manifest, blob = sent.manifest, task.key.encode_blob(sent.ciphertexts)
        return Opening(manifest.to_bytes(), blob, secrets.token_bytes(32))

    def seal_of(self, bounty: BountyState, opening: Opening) -> bytes:
        return seal(
            self.market.chain_id,
            self.market.address,
            bounty.bounty,
            bounty.round,
            self.me,
            digest_of(opening.manifest),
            opening.salt,
        )


class Noise(HostileMine):
    """Sends plaintexts that are random over what the declared bounds allow, on every lattice there is."""

    def opening(self, bounty: BountyState, posted: BountyPosted) -> Opening:
        super().opening(bounty, posted)
        assert self._task is not None
        task, mapped = self._task
        plan, n = task.plan, int(task.key.n)
        most = plan.bounds.b_max
        values = [(secrets.randbelow(2 * most) - most) << plan.weight_frac for _ in range(plan.weights)]
        update = [task.key.encrypt(m % n, 1 + secrets.randbelow(n - 1)) for m in plan.pack(values)]
        return self._wrap(bounty, task, update, mapped.rows)


class SealCopier(HostileMine):
    """Commits the seal that another mine committed, and opens it with what that mine reveals."""

    def commit(self, bounty: BountyState, posted: BountyPosted) -> None:
        seen = self.market.events(0, bounty=bounty.bounty)
        others = [
            e for e in seen if isinstance(e, Committed) and e.round == bounty.round and e.mine != self.me
        ]
        if others:
            self._send_commit(bounty, others[0].seal)

    def reveal(self, bounty: BountyState) -> None:
        seen = self.market.events(0, bounty=bounty.bounty)
        others = [
            e for e in seen if isinstance(e, Revealed) and e.round == bounty.round and e.mine != self.me
        ]
        if not others:
            return
        # The salt it could read from the other's transaction; the contract must refuse with any.
        call = self.market.reveal(
            bounty.bounty, bounty.round, others[0].update_digest, secrets.token_bytes(32)
        )
        self.outbox.perform(wish(f"reveal/{bounty.round}"), call)


class UpdateThief(HostileMine):
    """From round 2 on submits what another mine revealed in the round before, as its own.

    `disguise`: "manifest" reveals the other's manifest as it is; "blob" wraps the same ciphertexts in a
    manifest of its own; "rerandomised" changes the ciphertexts too, so that only the plaintext is the same.
    """

    disguise: str = "manifest"

    def opening(self, bounty: BountyState, posted: BountyPosted) -> Opening:
        mine = super().opening(bounty, posted)
        if bounty.round == 1:
            return mine
        seen = self.market.events(0, bounty=bounty.bounty)
        stolen = next(
            e for e in seen if isinstance(e, Revealed) and e.round == bounty.round - 1 and e.mine != self.me
        )
        manifest_bytes = self.store.get(Cid("dag-cbor", stolen.update_digest), UpdateManifest.max_bytes)
        manifest = UpdateManifest.from_bytes(manifest_bytes)
        blob = b"".join(self.store.get(link, 1 << 20) for link in manifest.blobs)
        if self.disguise == "manifest":
            return Opening(manifest_bytes, blob, secrets.token_bytes(32))
        assert self._task is not None
        task = self._task[0]
        update = task.key.decode_blob(blob, manifest.ciphertexts)
        if self.disguise == "rerandomised":
            update = [task.key.rerandomise(c, task.key.blinding(secrets.randbelow)) for c in update]
        return self._wrap(bounty, task, update, manifest.rows)


POLICY = Policy()
