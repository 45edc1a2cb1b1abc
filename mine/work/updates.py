"""A round's update, from what the bounty asks for to what can be sealed: all that comes before the commit."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from mine.consent import Policy
from mine.work import trainer
from mine.work.joining import privacy_of
from mine.work.state import Book, Joined, Part, Seeds, Turn
from mine.work.trainer import Task
from mine.work.urgency import STORE_CALL_S, Urgency, urgent_s
from mine.work.veil import Veils, veiled, veiled_words
from mine.work.workshop import Workshop
from sonar.chain.contract.market import Market
from sonar.manifests.update import UpdateManifest, Veil
from sonar.ports import Store
from sonar.protocol import seal as seals
from sonar.protocol.ids import Address, BountyId, Cid, Digest, hex32
from sonar.protocol.phase import BountyState
from sonar.protocol.round import RoundEvent
from sonar.telling.progress import Progress, Waiting

if TYPE_CHECKING:
    from gmpy2 import mpz

    from sonar.families.base import Prepared

_SALT_BYTES = 32
_SHORT_WAIT_S = 1.0
_LONG_S = 2.0
"""Work that takes longer is announced."""


class Updates:
    """Makes a mine's updates. What a bounty asks for, and (A, b), are kept while the process lives."""

    def __init__(
        self,
        market: Market,
        store: Store,
        me: Address,
        book: Book,
        workshop: Workshop,
        policy: Policy,
        progress: Progress,
        urgency: Urgency,
    ) -> None:
        self._market, self._store, self._me = market, store, me
        self._workshop, self._policy, self._progress, self._urgency = workshop, policy, progress, urgency
        self._veils, self._privacy = Veils(market, store, me, book), privacy_of(book, workshop.sums, policy)
        self._cache: dict[BountyId, tuple[Task, Prepared]] = {}
        self._asked: dict[BountyId, Digest] = {}

    def tasks(self) -> list[Task]:
        """What the bounties that this process has trained for ask for."""
        return [task for task, _ in self._cache.values()]

    def make(self, part: Part, turn: Turn) -> Part | Waiting:
        """Return the part with its update, trained and not recorded yet, or what it waits for.

        The update's bytes are on the disk by then. Raises what `mine.work.trainer` and the drafts do.
        """
        joined, bounty = turn.joined, turn.bounty
        if (waiting := self._held_up(turn)) is not None:
            return waiting
        with self._progress.timed("fetch", bounty.round):
            task = self._task(joined, bounty)
            model = trainer.read_model(self._store, bounty.model_digest, bounty.round)
            known, task = task.linked, trainer.at_round(task, self._store, model, self._policy)
            if task.linked != known:
                self._progress.note(
                    f"round {bounty.round} is under another key of the scientist's; it is sound"
                )
            asked = trainer.read_question(self._store, task, model)
        self._privacy.check_round(joined.dataset, task.price, *_round_of(turn))
        mapped = self._map(joined, task)
        self._asked[joined.bounty] = bounty.model_digest
        if (waiting := self._held_up(turn)) is not None:
            return waiting
        cover = task.model.cover
        seeds = self._veils.seeds(turn, cover) if cover.kind == "veil" else None
        if task.seconds >= _LONG_S:
            told = f"the update of round {bounty.round} to be made, about {task.seconds:.0f} s"
            self._progress.waiting(told)
        with self._progress.timed("train", bounty.round):
            blob, veil = self._answered(task, mapped, asked, seeds, turn)
        links = self._workshop.drafts.put_blob(blob)
        manifest = UpdateManifest(
            chain_id=self._market.chain_id,
            contract=self._market.address,
            bounty=bounty.bounty,
            round=bounty.round,
            mine=self._me,
            model=Cid("dag-cbor", bounty.model_digest),
            key=task.form.fingerprint,
            rows=mapped.rows,
            ciphertexts=task.form.numbers,
            blobs=links,
            veil=veil,
        ).encoded
        digest = self._workshop.drafts.put_manifest(manifest).digest
        return replace(
            self._sealed(part, digest),
            links=links,
            stake_units=bounty.terms.stake_units,
            asset=bounty.terms.asset,
            proof=trainer.proof(task, self._me),
            model=bounty.model_digest,
            since_block=turn.head.number,
            urgent_s=urgent_s(turn),
            reveal_s=turn.ends.reveal_s,
        )

    def _answered(
        self, task: Task, mapped: Prepared, asked: list[mpz], seeds: Seeds | None, turn: Turn
    ) -> tuple[bytes, Veil | None]:
        """The answer to a round's question, as a blob, and what its manifest says of its masks."""
        dataset, question, number = turn.joined.dataset, turn.bounty.model_digest, turn.bounty.round
        if task.form.are_words and seeds is not None:
            return veiled_words(trainer.make_words(task, mapped, asked, dataset), seeds, question, number)
        update, veil = trainer.make_update(task, mapped, asked, self._workshop.pool, dataset), None
        if seeds is not None:
            update, veil = veiled(task.key, task.plan, update, seeds, question, number)
        return task.key.encode_blob(update), veil

    def tell_bits(self, turn: Turn) -> None:
        """Count what capsules may tell of the round's update, on the disk when this returns."""
        self._privacy.tell_bits(turn.joined.dataset, *_round_of(turn))

    def _sealed(self, part: Part, update: Digest) -> Part:
        """The part with its update's digest, and the seal and salt that commit to it."""
        salt = secrets.token_bytes(_SALT_BYTES)
        market = self._market
        seal = seals.seal(market.chain_id, market.address, part.bounty, part.round, self._me, update, salt)
        return replace(part.after(RoundEvent.TRAINED), update=update, salt=salt, seal=seal)

    def _held_up(self, turn: Turn) -> Waiting | None:
        """What an update waits for that would hold up a reveal, or has too few blindings.

        How long it takes is known once its task is.
        """
        task, _ = self._cache.get(turn.joined.bounty, (None, None))
        seconds = task.seconds if task else 0.0
        ends_s = turn.ends.commit_s
        if not self._urgency.can_commit(turn, seconds):
            what = f"the commits of round {turn.bounty.round} to end: an update takes about {seconds:.0f} s"
            return Waiting(what, ends_s)
        if not self._urgency.allows(STORE_CALL_S + seconds):
            what = f"a reveal in another bounty, before an update of about {seconds:.0f} s"
            return Waiting(what, ends_s)
        if task is None or self._asked.get(turn.bounty.bounty) != turn.bounty.model_digest:
            return None  # the round's key is not known yet
        return self._blindings(task, turn)

    def _blindings(self, task: Task, turn: Turn) -> Waiting | None:
        """What an update waits for whose blindings take more than a second to make; the idle loop makes them.

        A shorter wait is not worth a pass: `Pool.take` makes what is missing.
        """
        need = task.blindings
        missing = need - self._workshop.pool.count(task.key)
        seconds = self._workshop.pool.making_s(task.key, missing)
        if missing <= 0 or seconds <= _SHORT_WAIT_S:
            return None
        what = f"{missing} of the {need} blindings that hide the update of round {turn.bounty.round}"
        return Waiting(f"{what}, about {seconds:.0f} s of idle time", turn.ends.commit_s)

    def _task(self, joined: Joined, bounty: BountyState) -> Task:
        if joined.bounty in self._cache:
            return self._cache[joined.bounty][0]
        return trainer.read_task(
            self._market, self._store, bounty, joined.model_digest, joined.key_digest, self._policy
        )

    def _map(self, joined: Joined, task: Task) -> Prepared:
        """(A, b), read once in a process; that the data are still the same is checked in every round."""
        if joined.bounty in self._cache:
            joined.dataset.verify()
            mapped = self._cache[joined.bounty][1]
        else:
            mapped = self._workshop.sums.of(task, joined)
        self._cache[joined.bounty] = (task, mapped)
        return mapped


def _round_of(turn: Turn) -> tuple[str, int, int]:
    """A round's bounty in hex and number, and how many bits capsules may tell of an update in it."""
    veil = turn.joined.veil
    return hex32(turn.joined.bounty), turn.bounty.round, veil.bits_in_all if veil else 0
