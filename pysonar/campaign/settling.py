"""A round on the scientist's side: it keeps in the store what mines read, and settles.

A round in Settle goes through these; each does nothing if its record is there already:

    cohort -> updates -> verdict -> [the cohort fixed on the chain] -> outcome -> publication
        -> [settler's signature] -> settle transaction
"""

from __future__ import annotations

from functools import cached_property

from pysonar.campaign.means import Means
from pysonar.campaign.opening import Opening, blobs_of, publish
from pysonar.campaign.records import Cohort, Outcome, Posting, Publication
from pysonar.campaign.rounds import RoundWork
from sonar.chain.contract.calls import Award, Call, ordered
from sonar.chain.contract.reveals import Proof, proofs
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action
from sonar.chain.sending.queue import BURIED_BLOCKS
from sonar.errors import BlobNotFound, KeyFileError, MemoryShort
from sonar.home.settlement import Settlement, SettlementAward
from sonar.manifests.model import ModelManifest
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import Address, Digest, digest_of, hex32
from sonar.protocol.phase import NOBODY, BountyState, Deadlines, Status, deadlines_of
from sonar.settling.shares import shares_of
from sonar.settling.verdict import Verdict
from sonar.store.mend import LOOK_S, mend
from sonar.telling.progress import Waiting


def _counts(record: RoundRecord) -> tuple[int, int]:
    """How many committed and revealed, by a record."""
    return len(record.commits), len(record.reveals)


class Settling:
    """Settles rounds, once each."""

    def __init__(self, means: Means, opening: Opening) -> None:
        self._means, self._opening, self._records = means, opening, means.records
        self._looked_s = self._published = 0
        self._looked_at = (0, "")
        self._late_at: dict[int, str] = {}
        self._told_first: tuple[dict[Address, Digest], int] = ({}, 0)

    @cached_property
    def rounds(self) -> RoundWork:
        """The rounds' own work, of a bounty that is posted."""
        means = self._means
        return RoundWork(
            means.store, means.copies, means.holder, means.records, means.bounty, self._opening.job()
        )

    def keep_in_store(self, number: int, head: Head) -> None:
        """Restore from time to time what mines read in a round, if the store has lost or damaged it."""
        self._looked_s = min(self._looked_s, head.timestamp_s)
        if head.timestamp_s < self._looked_s + LOOK_S:
            return
        means, lost = self._means, 0
        first, newest = self._records.get(Posting), self._records.trained_on(number)
        for posted in (first,) if newest is first else (first, newest):
            try:
                blobs = blobs_of(posted, means.copies, means.store)
                lost += sum(mend(means.store, data, codec) for data, codec in blobs)
            except BlobNotFound as gone:
                means.progress.problem(gone, "no mine can train on this model without it")
        if lost:
            means.progress.note(
                f"the store had lost or damaged {lost} blobs of this bounty: stored them again"
            )
        self._looked_s = head.timestamp_s

    def settle(self, state: BountyState, head: Head, ends: Deadlines) -> Waiting | None:
        """Take the next step of a round in Settle; None when its settlement is mined."""
        means, n = self._means, state.round
        cohort = self._cohort(state, head)
        if cohort is None:
            return Waiting(f"the reveals of round {n} to be confirmed", ends.settle_s)
        means.watch.end_idle(n)
        if (waiting := self._collect(state, head, ends, cohort)) is not None:
            return waiting
        if (waiting := self._fix(state, head, ends)) is not None:
            return waiting
        if self._records.get(Publication, n) is None:
            self._tell_asking(f"capsules to open the sum of round {n}", ends)
        publication, shares = self._worked_out(state)
        intent, call = means.intent(Action.SETTLE, n), None
        if not means.outbox.wanted(intent) and self._is_open(n, head):
            means.lacks(intent, head)
        if means.outbox.wanted(intent):
            self._publish(n, publication)
            there = self.revealed(state, head)
            if len(there) != state.revealed:
                return Waiting(f"the reveals of round {n} to be in the chain's record", ends.settle_s)
            if set(there) != set(shares):
                # A reorganisation changed what was confirmed; what was opened cannot be undone.
                shares = shares_of({mine: shares[mine] for mine in there if shares.get(mine)}, there)
            made = self._call(state, publication, shares, ends)
            if isinstance(made, Waiting):
                return made
            call = made
        with means.watch.timed(n, "settle"):
            return means.transact(intent, call, f"the settlement of round {n}", ends.settle_s)

    def _fix(self, state: BountyState, head: Head, ends: Deadlines) -> Waiting | None:
        """Judge the updates, and fix on the chain whose answers are summed, if the holder wants that; None
        when it is as deep as the network's confirmations.
        """
        means, n = self._means, state.round
        if self._records.get(Verdict, n) is None:
            self._tell_asking(f"capsules to tell what tests of round {n} take", ends)
        with means.watch.timed(n, "check"):
            self.rounds.judge(n)
            choice = self.rounds.choice(n)
        if not choice.manifest or means.market.bounty(means.id, means.deep(head)).cohort_fixed:
            return None
        intent, call = means.intent(Action.FIX_COHORT, n), None
        if not means.outbox.wanted(intent):
            means.lacks(intent, head)
        with means.watch.timed(n, "fix"):
            if means.outbox.wanted(intent):
                means.store.pin(means.store.put(choice.manifest, "dag-cbor"))
                call = means.market.fix_cohort(means.id, n, choice.digest)
            waiting = means.transact(intent, call, f"the cohort of round {n} to be fixed", ends.settle_s)
        if waiting is None and self._is_fixed(n):  # mined at once: a poll would cost as much as the round
            return None
        return waiting or Waiting(f"the cohort of round {n}, which is fixed, to be confirmed", ends.settle_s)

    def _tell_asking(self, what: str, ends: Deadlines) -> None:
        """Tell what capsules are asked: one that hangs is waited for."""
        if self._means.bounty.settings.capsules is not None:
            self._means.progress.waiting(what, ends.settle_s)

    def _is_fixed(self, number: int) -> bool:
        """Tell whether the newest confirmed block has the round open, and its cohort fixed."""
        market = self._means.market
        there = market.bounty(self._means.id, self._means.deep(market.head()))
        return there.round == number and there.cohort_fixed

    def _publish(self, number: int, publication: Publication) -> None:
        """Put what a round is settled with into the store, once: a settler may take its time."""
        if self._published != number:
            with self._means.watch.timed(number, "publish"):
                publish(publication, self._means.copies, self._means.store)
            self._published = number

    def revealed(self, state: BountyState, head: Head) -> tuple[Address, ...]:
        """The mines that have revealed in the open round, by the chain's record at `head`."""
        enough = lambda found: len(found.reveals) == state.revealed  # noqa: E731
        return self._means.record(state.round, head.number, enough).cohort

    def _is_open(self, number: int, head: Head) -> bool:
        """Tell whether the round is still to be settled in the confirmed block, by the contract itself."""
        market, deep = self._means.market, self._means.deep(head)
        still = market.bounty(self._means.id, deep).round == number
        return still and market.status(self._means.id, deep) is Status.SETTLE

    def _worked_out(self, state: BountyState) -> tuple[Publication, dict[str, int]]:
        """What the round is settled with, and each mine's share in basis points."""
        n, timed = state.round, self._means.watch.timed
        known = self._records.get(Outcome, n) is not None
        with timed(n, "aggregate"):
            outcome = self.rounds.compute(n)
        verdict: Verdict = self._records.get(Verdict, n)
        if verdict.no_sum and not known:
            self._means.progress.note(
                f"the answers of round {n} add up to none that mines can have: nothing is learnt in it, and "
                f"{len(verdict.accepted)} mines share its fees"
            )
        elif not (outcome.sums or known) and len(verdict.accepted) >= state.terms.least:
            self._means.progress.note(
                f"the answers of round {n} are not opened: compared with earlier sums, theirs would single "
                f"out fewer than {state.terms.least} mines; the {len(verdict.accepted)} share its fees"
            )
        with timed(n, "encrypt"):
            last = n == self._means.bounty.terms.rounds
            if outcome.sums and not last and self._records.get(Publication, n) is None:
                self._turn(n + 1)
            publication = self.rounds.prepare(n, self._model_manifest(n), state.best_loss)
        return publication, outcome.shares_bps

    def _turn(self, number: int) -> None:
        """Change the key with the model of round `number`, if that was asked for.

        A new key that does not open holds up nobody: the bounty stays under the one that it has.
        """
        try:
            if self.rounds.turn(number):
                self._means.progress.note(f"round {number} begins under another key, as was asked for")
        except (KeyFileError, MemoryShort) as fault:
            told = f"round {number} keeps the key that it has; the next one is asked again. {fault.hint}"
            self._means.tell_once("a change of the key", fault, told.strip())

    def _call(
        self, state: BountyState, publication: Publication, shares: dict[str, int], ends: Deadlines
    ) -> Call | Waiting:
        """The transaction that settles a round; until its settler has signed, what to wait for."""
        means, n, settler = self._means, state.round, state.terms.settler
        awards = [Award(Address(mine), share_bps) for mine, share_bps in shares.items()]
        model, evidence = Digest(publication.model_digest), digest_of(publication.evidence)
        settlement = (means.id, n, model, publication.loss, awards, evidence)
        if settler == NOBODY:
            return means.market.settle(*settlement)
        request = Settlement(
            chain_id=means.market.chain_id,
            contract=means.market.address,
            bounty=hex32(means.id),
            round=n,
            new_model_digest=hex32(model),
            new_loss=publication.loss,
            awards=[SettlementAward(*line) for line in ordered(awards)],
            evidence_digest=hex32(evidence),
            digest=hex32(means.market.settlement_digest(*settlement)),
            settler=settler,
            until_s=ends.settle_s,
        )
        signature = means.signing.signature(request)
        if signature is None:
            what = f"the signature of the settler {settler} of round {n}: {means.signing.place(request)}"
            return Waiting(what, ends.settle_s)
        return means.market.settle(*settlement, signature)

    def _cohort(self, state: BountyState, head: Head) -> Cohort | None:
        """Who revealed what in this round, once all of it is confirmed. Before the verdict, on which the one
        sum of the round rests, it is held against each newer block.
        """
        n = state.round
        cohort: Cohort | None = self._records.get(Cohort, n)
        if cohort is not None and self._records.get(Verdict, n) is not None:
            return cohort
        if self._looked_at == (n, head.hash) and cohort is not None:
            return cohort
        found = self._confirmed(state, head)
        if found is None:
            return None
        if cohort is None or (found.digests, found.commit_order) != (cohort.digests, cohort.commit_order):
            self._records.put(found, n)
            cohort = found
        self._looked_at = (n, head.hash)
        return cohort

    def _confirmed(self, state: BountyState, head: Head) -> Cohort | None:
        """The cohort in the confirmed block; None as long as the contract, its clock and its record do not
        agree there, and every digest opens the seal that the contract holds.
        """
        means, n = self._means, state.round
        deep = means.deep(head)
        there = means.market.bounty(means.id, deep)
        counts = (there.round, there.committed, there.revealed)
        if counts != (n, state.committed, state.revealed):
            return None
        if means.market.status(means.id, deep) is not Status.SETTLE:
            return None
        record = means.record(n, deep.number, lambda found: _counts(found) == counts[1:])
        if _counts(record) != counts[1:]:
            return None
        if not self._proven(record, deep):
            return None
        digests = {str(mine): bytes(record.reveals[mine].update_digest) for mine in record.cohort}
        seen_s = min(max(head.timestamp_s, state.opened_s), deadlines_of(state).settle_s)
        return Cohort(digests, [str(mine) for mine in record.commits], seen_s)

    def _proven(self, record: RoundRecord, deep: Head) -> bool:
        """Tell whether the digests of a round's reveals can be believed. What cannot be proven, and is not
        wrong, is believed if the record has said so for some blocks: no mine may hold up the others.
        """
        found = set(proofs(self._means.market, record.reveals, deep).values())
        told = {mine: reveal.update_digest for mine, reveal in record.reveals.items()}
        if self._told_first[0] != told:
            self._told_first = (told, deep.number)
        lasts = deep.number - self._told_first[1] >= BURIED_BLOCKS
        return found <= {Proof.OPENS} or (Proof.WRONG not in found and lasts)

    def _collect(self, state: BountyState, head: Head, ends: Deadlines, cohort: Cohort) -> Waiting | None:
        """Fetch the updates; those missing after half a settle window are left out, to settle in time."""
        n, window = state.round, state.terms.settle_window_s
        give_up_s = min(cohort.seen_s + window // 2, ends.settle_s - window // 4)
        late = self._late(n, head) if head.timestamp_s >= give_up_s else False
        with self._means.watch.timed(n, "collect"):
            self.rounds.check_key(n, self._model_manifest(n))
            missing = self.rounds.collect(n, cohort, state.model_digest, last_try=late)
        if missing:
            return Waiting(f"the updates of {', '.join(missing[:3])} to be in the store", give_up_s)
        return None

    def _late(self, number: int, head: Head) -> bool:
        """Tell whether a second block confirms that it is too late to wait."""
        self._late_at.setdefault(number, head.hash)
        return self._late_at[number] != head.hash

    def _model_manifest(self, number: int) -> ModelManifest:
        """The manifest that round `number` trained on."""
        return ModelManifest.from_bytes(self._records.trained_on(number).model_manifest)
