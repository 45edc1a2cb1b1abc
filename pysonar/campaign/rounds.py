"""The work of one round, from revealed digests to what it is settled with: store and key, and no chain.

Each step writes its record before the next begins, and does nothing if the record is there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from pysonar.bounty.request import Bounty
from pysonar.campaign.collect import Expected, fetch_update
from pysonar.campaign.records import Cohort, Outcome, Publication, Records, Update, Verdict
from pysonar.keys.keys import Key, MineUpdate, RoundUpdates, aggregate_digest
from pysonar.models.linear import LinearModel
from sonar.errors import (
    BlobNotFound,
    DigestMismatch,
    EnvironmentFault,
    LedgerConflict,
    RemoteError,
    StoreUnavailable,
)
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.inspection import ROUND_ONLY
from sonar.families.quadratic.score import shares_of
from sonar.families.registry import family_of
from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.manifests.model import ModelManifest
from sonar.ports import Store
from sonar.protocol.blobs import links_of
from sonar.protocol.cid import Cid
from sonar.protocol.ids import Address, BountyId, Digest, digest_of

_REASON_MAX = 200


@dataclass(frozen=True)
class Place:
    """Where the bounty lives."""

    chain_id: int
    contract: Address
    bounty: BountyId


def course_of(records: Records, design: Design, before: int) -> Course:
    """Return where a campaign's weights had been when round `before` began."""
    course: Course = family_of(design.spec).start(design)
    for number in range(1, before):
        outcome: Outcome | None = records.get(Outcome, number)
        if outcome is not None and outcome.sums:
            verdict: Verdict = records.get(Verdict, number)
            course = course.seen(number, outcome.sums, outcome.rows, verdict.accepted, design.plan).moved(
                Point(tuple(outcome.weights), outcome.as_coefficients(), outcome.loss)
            )
    return course


def model_of(records: Records, bounty: Bounty) -> LinearModel:
    """Return the best model of a campaign so far.

    Raises EnvironmentFault if no round has trained one, JournalError if the records are an older copy.
    """
    records.check_age()
    course = course_of(records, bounty.design, 1 + records.finished())
    if len(course.points) == 1:
        raise EnvironmentFault(
            f"no round of {bounty.settings.name!r} was settled with an update: nothing is trained",
            hint="`pysonar status` shows how each round ended; what no mine was due comes back",
        )
    return LinearModel.of(bounty.design, course)


class RoundWork:
    """Does the work of a bounty's rounds, in order."""

    def __init__(self, store: Store, key: Key, records: Records, bounty: Bounty, place: Place) -> None:
        self._store, self._key, self._records = store, key, records
        self._bounty, self._place = bounty, place
        self._design = bounty.design
        self._optimiser = bounty.optimiser
        self._family = family_of(bounty.design.spec)

    def course(self, before: int) -> Course:
        """Return where the weights had been when round `before` began."""
        return course_of(self._records, self._design, before)

    def left_out_for_good(self, before: int) -> dict[str, str]:
        """Return the mines that rounds before `before` left out of the bounty, each with its reason."""
        found: dict[str, str] = {}
        for number in range(1, before):
            verdict: Verdict | None = self._records.get(Verdict, number)
            for mine, reason in (verdict.for_good if verdict else {}).items():
                found.setdefault(mine, f"left out since round {number}: {reason}"[:_REASON_MAX])
        return found

    def withheld_before(self, mine: str, before: int) -> bool:
        """Tell whether a mine's update could not be had in a round before `before`."""
        earlier = (self._records.update(number, mine) for number in range(1, before))
        return any(update is not None and update.reason == WITHHELD for update in earlier)

    # ---- updates

    def collect(self, number: int, cohort: Cohort, model: Digest, *, last_try: bool) -> list[str]:
        """Fetch what is not there yet, and return the mines that are still missing.

        With `last_try`, what is not to be had now is left out. Raises StoreUnavailable if that is why there
        is no update at all; one that the store cannot give, while it gives others, is its mine's affair.
        """
        gone = self.left_out_for_good(number)
        expected = Expected(
            self._place.chain_id,
            self._place.contract,
            self._place.bounty,
            number,
            model,
            self._key.public,
            self._design.spec,
            self._design.plan,
        )
        missing, fault = [], None
        for mine, digest in cohort.digests.items():
            if self._records.update(number, mine) is not None:
                continue
            try:
                update = (
                    Update(reason=gone[mine])
                    if mine in gone
                    else self._fetch(expected, Address(mine), digest)
                )
            except StoreUnavailable as error:
                update, fault = None, error
            if update is None:
                missing.append(mine)
            else:
                self._records.put_update(number, mine, update)
        if fault is not None and not self._updates(number):
            raise fault
        if last_try:
            for mine in missing:
                self._records.put_update(number, mine, Update(reason=WITHHELD))
            return []
        return missing

    def _fetch(self, expected: Expected, mine: Address, digest: bytes) -> Update | None:
        try:
            fetched = fetch_update(self._store, expected, mine, Digest(digest))
        except (BlobNotFound, DigestMismatch):  # a damaged copy is the store's fault, and may be mended
            return None
        except RemoteError as error:
            return Update(reason=_reason(f"malformed: {error}"))
        return Update(fetched.rows, self._key.public.encode_blob(fetched.ciphertexts))

    def _update(self, number: int, mine: str) -> MineUpdate | None:
        """Return a mine's update, if it was well-formed."""
        update = self._records.update(number, mine)
        if update is None or not update.blob:
            return None
        count = self._design.plan.ciphertexts
        return MineUpdate(mine, update.rows, tuple(self._key.public.decode_blob(update.blob, count)))

    def _updates(self, number: int) -> dict[str, MineUpdate]:
        cohort: Cohort | None = self._records.get(Cohort, number)
        found = {mine: self._update(number, mine) for mine in (cohort.digests if cohort else ())}
        return {mine: update for mine, update in found.items() if update is not None}

    def _weighted(self, number: int) -> dict[str, MineUpdate]:
        """Return the accepted updates of a round, with the rows that each is weighted by.

        Row counts are the mines' own word, and their weight is worth money: none weighs more than
        `plan.weight_rows`, a constant of the bounty.
        """
        verdict: Verdict = self._records.get(Verdict, number)
        updates = self._updates(number)
        accepted = {mine: updates[mine] for mine in verdict.accepted}
        most = self._design.plan.weight_rows
        return {mine: replace(update, rows=min(update.rows, most)) for mine, update in accepted.items()}

    def let_go(self) -> None:
        """Unpin the mines' updates when the bounty is closed; its models and evidence stay."""
        for number in range(1, self._records.finished() + 1):
            cohort: Cohort | None = self._records.get(Cohort, number)
            for mine, digest in (cohort.digests if cohort else {}).items():
                update = self._records.update(number, mine)
                if update is not None and update.blob:
                    self._store.unpin(Cid("dag-cbor", Digest(digest)))
                    for link in links_of(update.blob):
                        self._store.unpin(link)

    # ---- verdict

    def judge(self, number: int) -> Verdict:
        """Decide who is aggregated, and write it down.

        A rule that no honest program breaks leaves a mine out for good; one that an odd shard of honest data
        may fail, or that a mine fails by coming late, for this round.
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
            for_good = {mine: f"test {test}" for mine, test in failed.items() if test not in ROUND_ONLY}
            for_good |= self._rows_changed(number, cohort) | self._copied(number, cohort)
            left_out = {mine: f"test {test}" for mine, test in failed.items()} | for_good | malformed
            accepted = [mine for mine in cohort.digests if mine not in left_out]
            verdict = Verdict(accepted, left_out, for_good)
            self._records.put(verdict, number)
        return verdict

    def _copied(self, number: int, cohort: Cohort) -> dict[str, str]:
        """The mines that sent another's ciphertexts; of two in one round, the one that committed later."""
        owners: dict[bytes, str] = {}
        for past in range(1, number):
            for mine, update in self._updates(past).items():
                owners.setdefault(self._name(update), mine)
        updates, copies = self._updates(number), {}
        for mine in cohort.commit_order:
            if mine in updates and owners.setdefault(self._name(updates[mine]), mine) != mine:
                copies[mine] = "copy: the same ciphertexts as another mine's"
        return copies

    def _name(self, update: MineUpdate) -> bytes:
        return digest_of(self._key.public.encode_blob(update.ciphertexts))

    def _rows_changed(self, number: int, cohort: Cohort) -> dict[str, str]:
        changed = {}
        for mine in cohort.digests:
            now = self._update(number, mine)
            earlier = (self._update(past, mine) for past in range(1, number))
            rows = next((update.rows for update in earlier if update is not None), None)
            if now is not None and rows is not None and now.rows != rows:
                changed[mine] = f"rows: {now.rows} rows, and {rows} before; data are frozen per bounty"
        return changed

    def _tested(self, number: int) -> dict[str, str]:
        history = [
            RoundUpdates(past, self.course(past).current.weights_int, updates)
            for past in range(1, number + 1)
            if (updates := self._updates(past)) or past == number
        ]
        results = self._key.inspect(
            bounty=self._place.bounty,
            round=number,
            plan=self._design.plan,
            history=history,
            unit=self._family.tests(self._design.spec, self._design.plan, 2, int).unit,
            min_mines=self._bounty.terms.min_mines,
        )
        return {mine: result.failed for mine, result in results.items() if result.failed is not None}

    # ---- outcome

    def compute(self, number: int) -> Outcome:
        """Aggregate, step, evaluate and score, and write it down. Needs the verdict."""
        outcome: Outcome | None = self._records.get(Outcome, number)
        if outcome is None:
            verdict: Verdict = self._records.get(Verdict, number)
            cohort: Cohort = self._records.get(Cohort, number)
            outcome = self._unchanged(number, verdict, cohort)
            if len(verdict.accepted) >= self._bounty.terms.min_mines:
                # The key refuses where its answer and an earlier one would give a single mine away: another
                # cohort at the same weights, or other updates after this journal was restored from a copy.
                with suppress(LedgerConflict):
                    outcome = self._trained(number, verdict, cohort)
            self._records.put(outcome, number)
        return outcome

    def _trained(self, number: int, verdict: Verdict, cohort: Cohort) -> Outcome:
        plan, accepted = self._design.plan, list(self._weighted(number).values())
        sums = self._key.decrypt_aggregate(
            bounty=self._place.bounty,
            round=number,
            plan=plan,
            weights_int=self.course(number).current.weights_int,
            updates=accepted,
            min_mines=self._bounty.terms.min_mines,
        )
        rows = sum(update.rows for update in accepted)
        course = self.course(number).seen(number, sums, rows, verdict.accepted, plan)
        point = self._family.step(self._design, self._optimiser, course)
        scores = self._scores(number, verdict, course, point)
        return Outcome(
            sums,
            aggregate_digest(self._key.public, plan, accepted),
            rows,
            list(point.weights_int),
            point.coefficients.listed(),
            point.loss,
            scores,
            shares_of(scores, cohort.digests),
        )

    def _unchanged(self, number: int, verdict: Verdict, cohort: Cohort) -> Outcome:
        """Nothing is decrypted: model and loss stay, and who was accepted shares the fees."""
        here = self.course(number).current
        shares = shares_of(dict.fromkeys(verdict.accepted, 0.0), cohort.digests)
        return Outcome([], b"", 0, list(here.weights_int), [], here.loss, {}, shares)

    def _scores(self, number: int, verdict: Verdict, course: Course, point: Point) -> dict[str, int]:
        vectors = self._family.score_vectors(self._design, self._optimiser, course, point)
        weighted = {past: self._weighted(past) for past in vectors}
        terms = {
            mine: [
                (update, (update.rows * vectors[past]).tolist())
                for past, updates in weighted.items()
                if (update := updates.get(mine)) is not None
            ]
            for mine in verdict.accepted
        }
        return self._key.score(bounty=self._place.bounty, round=number, plan=self._design.plan, terms=terms)

    # ---- publication

    def prepare(self, number: int, model: ModelManifest, best_loss: int) -> Publication:
        """Encrypt the new weights, write the evidence, and write both down. Needs the outcome.

        `model` is the manifest that the round trained on, `best_loss` the contract's.
        """
        publication: Publication | None = self._records.get(Publication, number)
        if publication is None:
            outcome: Outcome = self._records.get(Outcome, number)
            manifest, blob, loss = b"", b"", best_loss
            new_model = model
            if outcome.sums:
                blob = self._key.public.encode_blob(self._key.encrypt_weights(outcome.weights))
                new_model = model.model_copy(update={"round": number + 1, "blobs": links_of(blob)})
                manifest, loss = new_model.to_bytes(), outcome.loss
            evidence = self._evidence(number, model, new_model, loss, min(loss, best_loss))
            publication = Publication(new_model.digest(), loss, evidence.to_bytes(), manifest, blob)
            self._records.put(publication, number)
        return publication

    def _evidence(
        self, number: int, model: ModelManifest, new_model: ModelManifest, loss: int, best_loss: int
    ) -> EvidenceManifest:
        verdict: Verdict = self._records.get(Verdict, number)
        outcome: Outcome = self._records.get(Outcome, number)
        cohort: Cohort = self._records.get(Cohort, number)
        members = [
            CohortMember(
                mine=Address(mine),
                update=Digest(digest),
                rows=update.rows if (update := self._records.update(number, mine)) else 0,
                accepted=mine in verdict.accepted,
                reason=verdict.left_out.get(mine, ""),
                share_bps=outcome.shares_bps[mine],
            )
            for mine, digest in cohort.digests.items()
        ]
        return EvidenceManifest(
            chain_id=self._place.chain_id,
            contract=self._place.contract,
            bounty=self._place.bounty,
            round=number,
            model=model.cid(),
            new_model=new_model.cid(),
            loss=loss,
            best_loss=best_loss,
            accepted_rows=sum(member.rows for member in members if member.accepted),
            aggregate=Digest(outcome.aggregate_digest) if outcome.sums else None,
            cohort=tuple(members),
        )


WITHHELD = "withheld: revealed, and not to be had from the store"


def _reason(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:_REASON_MAX]
