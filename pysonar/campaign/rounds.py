"""The work of one round, from revealed digests to its settlement: with store and key, without chain.

Each step writes its record before the next begins, and does nothing if the record is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pysonar.bounty.base import AnyBounty
from pysonar.campaign.evidence import evidence_of
from pysonar.campaign.gather import Gatherer
from pysonar.campaign.opening import question_of
from pysonar.campaign.records import Cohort, Outcome, Publication, Records
from pysonar.campaign.standing import Standing, course_of
from pysonar.keys.holder import Choice, KeyHolder
from pysonar.keys.job import Job
from sonar.errors import KeyFileError, LedgerConflict, UpdateOutOfRange
from sonar.families.base import ACourse
from sonar.families.registry import family_of
from sonar.manifests.model import KeyManifest, ModelManifest
from sonar.ports import Store
from sonar.protocol.ids import Digest
from sonar.settling.shares import round_shares
from sonar.settling.verdict import Found, Verdict, copied, rows_changed, verdict_of
from sonar.store.mend import put_blob


class RoundWork:
    """Does the work of a bounty's rounds, in order. What it encrypts goes to `copies`, the home's own
    store.
    """

    def __init__(
        self, store: Store, copies: Store, holder: KeyHolder, records: Records, bounty: AnyBounty, job: Job
    ) -> None:
        self._copies, self._holder, self._records, self._job = copies, holder, records, job
        self._design = bounty.design
        self._optimiser, self._family = bounty.optimiser, family_of(bounty.design.spec)
        self._standing = Standing(records, bounty.design)
        self._gatherer = Gatherer(store, holder, records, job, bounty.design.spec)
        self._reminded = False

    def collect(self, number: int, cohort: Cohort, model: Digest, *, last_try: bool) -> list[str]:
        """Fetch the updates that are not there yet, and return the mines that are still missing.

        A mine that withheld an update in an earlier round is not waited for. With `last_try`, what is not to
        be had now is left out. Raises StoreUnavailable if that is why there is no update at all.
        """
        standing = self._standing.before(number)
        missing = self._gatherer.collect(number, cohort, model, standing, last_try=last_try)
        if missing and standing.withheld.issuperset(missing):
            return self._gatherer.collect(number, cohort, model, standing, last_try=True)
        return missing

    def check_key(self, number: int, model: ModelManifest) -> None:
        """Check that the holder knows whose key `model` links, which the round trained on: else every answer
        would seem malformed. Raises KeyFileError.
        """
        if self._holder.key(self._job, number).cid() != model.key:
            raise KeyFileError(
                f"the answers of round {number} are under another key than the key's ledger says: the folder "
                "`keys` is an older copy than the journal",
                hint="put back the newest copy of the whole home",
            )

    def turn(self, number: int) -> bool:
        """Take the newest key for the weights of round `number`; tell whether it is another. See
        `KeyHolder`.
        """
        return self._holder.turn(self._job, number)

    def let_go(self) -> None:
        """Unpin the mines' updates when the bounty is closed; its models and evidence stay."""
        for number in range(1, self._records.finished() + 1):
            self._gatherer.let_go(number)

    # ---- verdict

    def judge(self, number: int) -> Verdict:
        """Decide who is aggregated, and record it.

        A rule that no honest program breaks leaves a mine out for good. A rule that unusual honest data may
        fail, or that a mine fails by coming late, leaves it out of this round.
        """
        verdict: Verdict | None = self._records.get(Verdict, number)
        if verdict is None:
            cohort: Cohort = self._records.get(Cohort, number)
            malformed = {
                mine: update.reason
                for mine in cohort.digests
                if (update := self._records.update(number, mine)) is not None and update.reason
            }
            failed = self._tested(number)
            copies, first = self._copied(cohort)
            there = self._gatherer.updates
            changed = rows_changed({mine: each.rows for mine, each in there.items()}, self._standing.rows)
            twins = self._holder.twins(self._job, number)
            found = Found(list(cohort.digests), malformed, failed, changed, copies, twins)
            holding = verdict_of(found, self._design.plan, there.values())
            choice = self._chosen(number, holding, cohort)
            verdict = verdict_of(found, self._design.plan, there.values(), choice.left)
            self._records.put_verdict(verdict, number, first)
        return verdict

    def _tested(self, number: int) -> dict[str, str]:
        """The mines whose update failed a test, each with the first that it failed."""
        updates = list(self._gatherer.updates.values())
        if not updates:
            return {}
        self._remind(number)
        weights = self._standing.before(number).course.current.weights_int
        reference = self._family.reference(self._design, weights)
        reveals = self._records.get(Cohort, number).digests
        answers = self._holder.holds(self._job, number, weights, updates, reference, reveals)
        return {mine: test for mine, test in answers.items() if test is not None}

    def _remind(self, before: int) -> None:
        """Ask the holder again about rounds that it no longer knows, once after each start."""
        for number in range(1, 1 if self._reminded else before):
            judged = self._records.get(Verdict, number) is not None
            known = not judged or self._holder.knows(self._job, number)
            if updates := [] if known else self._gatherer.again(number):
                weights = course_of(self._records, self._design, number).current.weights_int
                reference = self._family.reference(self._design, weights)
                reveals = self._records.get(Cohort, number).digests
                self._holder.holds(self._job, number, weights, updates, reference, reveals)
        self._reminded = True

    def _copied(self, cohort: Cohort) -> tuple[dict[str, str], dict[str, str]]:
        """The mines that sent another's ciphertexts; of two in one round, the one that committed later.

        And who sent which ciphertexts first, of those that nobody had sent before.
        """
        names = {mine: update.name.hex() for mine, update in self._gatherer.updates.items()}
        senders = {name: mine for name in names.values() if (mine := self._records.sender(name)) is not None}
        return copied(cohort.commit_order, names, senders)

    # ---- the set that is summed

    def choice(self, number: int) -> Choice:
        """Whose answers are summed, with what has to be fixed before. Needs the verdict.

        Of a round with an outcome nothing is asked for, and nothing has to be fixed.
        """
        if self._records.get(Outcome, number) is not None:
            return Choice({}, {}, b"")
        return self._chosen(number, self._records.get(Verdict, number), self._records.get(Cohort, number))

    def _chosen(self, number: int, verdict: Verdict, cohort: Cohort) -> Choice:
        there = self._gatherer.updates
        accepted = [there[mine] for mine in verdict.accepted]
        return self._holder.choose(self._job, number, accepted, cohort.digests)

    # ---- outcome

    def compute(self, number: int) -> Outcome:
        """Aggregate, step, evaluate and score, and record the outcome. Needs the verdict.

        A sum that is out of range changes nothing but the verdict.
        """
        outcome: Outcome | None = self._records.get(Outcome, number)
        if outcome is None:
            verdict: Verdict = self._records.get(Verdict, number)
            cohort: Cohort = self._records.get(Cohort, number)
            course = self._standing.before(number).course
            outcome = self._unchanged(number, course, verdict, cohort)
            choice = self._chosen(number, verdict, cohort)
            opens = choice.weights and not verdict.no_sum
            if opens and choice.weights.keys() == set(verdict.accepted):
                # The holder refuses where its answer and an earlier one would give a single mine away:
                # another cohort at the same weights, or other updates after this journal was restored from
                # a copy.
                with suppress(LedgerConflict):
                    try:
                        outcome = self._trained(number, course, verdict, cohort, choice)
                    except UpdateOutOfRange:
                        verdict = self._without_sum(number, verdict, cohort)
                        outcome = self._unchanged(number, course, verdict, cohort)
            self._records.put(outcome, number)
        return outcome

    def _without_sum(self, number: int, verdict: Verdict, cohort: Cohort) -> Verdict:
        """Record who made a sum out of range. They are left out, and nothing is learnt."""
        spoilers = self._holder.spoilers(self._job, number, cohort.digests)
        verdict = verdict.without_sum(spoilers)
        self._records.put(verdict, number)
        return verdict

    def _trained(
        self, number: int, course: ACourse, verdict: Verdict, cohort: Cohort, choice: Choice
    ) -> Outcome:
        updates = self._gatherer.updates
        accepted = [updates[mine] for mine in verdict.accepted]
        sums = self._holder.open_sum(self._job, number, course.current.weights_int, accepted)
        rows = sum(choice.weights.values())
        seen = self._family.seen(self._design, course, number, sums, rows, verdict.accepted)
        point = self._family.step(self._design, self._optimiser, seen)
        scores = self._scores(number, seen, point, verdict)
        gained = (min(course.best.loss, point.loss), course.best.loss)
        return Outcome(
            sums,
            choice.digest,
            rows,
            list(point.weights_int),
            point.listed(),
            point.loss,
            scores,
            self._shares(number, scores, verdict, cohort, gained),
        )

    def _scores(self, number: int, seen: Any, point: Any, verdict: Verdict) -> dict[str, int]:
        """What each accepted mine has contributed to the way to `point`; zeros where nobody is scored."""
        if not self._family.scored:
            return dict.fromkeys(verdict.accepted, 0)
        vectors = self._family.score_vectors(self._design, self._optimiser, seen, point)
        asked = {past: vector.tolist() for past, vector in vectors.items()}
        return dict(self._holder.score(self._job, number, asked))

    def _unchanged(self, number: int, course: ACourse, verdict: Verdict, cohort: Cohort) -> Outcome:
        """Nothing is opened: model and loss stay, and the accepted mines share the fees."""
        here, best = course.current, course.best.loss
        shares = self._shares(number, dict.fromkeys(verdict.accepted, 0.0), verdict, cohort, (best, best))
        return Outcome([], b"", 0, list(here.weights_int), [], here.loss, {}, shares)

    def _shares(
        self,
        number: int,
        scores: Mapping[str, float],
        verdict: Verdict,
        cohort: Cohort,
        losses: tuple[int, int],
    ) -> dict[str, int]:
        """Each mine's share in basis points, by its score; twins are paid as one. `losses`: after, before."""
        return round_shares(scores, list(cohort.digests), verdict, number, self._job.terms, losses)

    # ---- publication

    def prepare(self, number: int, model: ModelManifest, best_loss: int) -> Publication:
        """Write the next question, write the evidence, and record both. Needs the outcome.

        `model` is the manifest that the round trained on, `best_loss` the contract's.
        """
        publication: Publication | None = self._records.get(Publication, number)
        if publication is None:
            outcome: Outcome = self._records.get(Outcome, number)
            manifest, key_manifest, loss, new_model = b"", b"", best_loss, model
            if outcome.sums:
                new_model, key = self._encrypted(outcome.weights, model, number + 1)
                manifest, loss = new_model.to_bytes(), outcome.loss
                key_manifest = key.encoded if key.digest() != self._job.key_digest else b""
            evidence = evidence_of(
                self._records, self._job, number, (model, new_model), (loss, min(loss, best_loss))
            )
            publication = Publication(new_model.digest(), loss, evidence.to_bytes(), manifest, key_manifest)
            self._records.put(publication, number)
        return publication

    def _encrypted(
        self, weights: list[int], model: ModelManifest, number: int
    ) -> tuple[ModelManifest, KeyManifest]:
        """What round `number` asks, under the key that the holder takes for it."""
        key = self._holder.key(self._job, number)
        blob = question_of(model.family, self._holder, weights, self._job, number)
        links = put_blob(self._copies, blob)
        return model.model_copy(update={"round": number, "blobs": links, "key": key.cid()}), key
