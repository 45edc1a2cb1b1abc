"""A round's updates: fetched and decoded once, and kept in memory while the round is worked on."""

from __future__ import annotations

from dataclasses import replace

from pysonar.campaign.collect import fetch_again, fetch_update
from pysonar.campaign.records import Cohort, Outcome, Records, Update
from pysonar.campaign.standing import Standing
from pysonar.keys.holder import KeyHolder
from pysonar.keys.job import Job
from pysonar.keys.updates import MineUpdate
from sonar.errors import BlobNotFound, DigestMismatch, RemoteError, StoreUnavailable
from sonar.families.registry import FamilySpec
from sonar.ports import Store
from sonar.protocol.ids import Address, Cid, Digest
from sonar.settling.updates import Expected, malformed
from sonar.settling.verdict import WITHHELD, Verdict


class Gatherer:
    """Gets the updates that a bounty's mines revealed. Their bytes stay in the store, pinned."""

    def __init__(self, store: Store, holder: KeyHolder, records: Records, job: Job, spec: FamilySpec) -> None:
        self._store, self._holder, self._records = store, holder, records
        self._job, self._spec = job, spec
        self._number = 0
        self._there: dict[str, MineUpdate] = {}
        self._known: dict[str, Update] = {}

    @property
    def updates(self) -> dict[str, MineUpdate]:
        """The well-formed updates of the round that was collected last."""
        return self._there

    def collect(
        self, number: int, cohort: Cohort, model: Digest, standing: Standing, *, last_try: bool
    ) -> list[str]:
        """Fetch what is not there yet and still needed, and return the mines that are missing.

        With `last_try`, missing updates are left out. Raises StoreUnavailable if that is why there
        is no update at all; if the store gives others but not one, that is its mine's problem.
        """
        if number != self._number:
            self._number, self._there, self._known = number, {}, {}
        missing = self._missing(number, cohort, model, standing)
        if last_try and missing:
            self._holder.look(self._job, number)
            missing = self._missing(number, cohort, model, standing)
            for mine in missing:
                self._withheld(number, mine)
            return []
        return missing

    def _missing(self, number: int, cohort: Cohort, model: Digest, standing: Standing) -> list[str]:
        """Fetch what is not there yet, and return the mines whose updates are not to be had."""
        expected = self._expected(number, model)
        missing, fault = [], None
        for mine in self._needed(number, cohort):
            try:
                found = self._one(expected, mine, cohort.digests[mine], standing.gone.get(mine))
            except StoreUnavailable as error:
                found, fault = False, error
            if not found:
                missing.append(mine)
        if fault is not None and not self._there:
            raise fault
        return missing

    def again(self, number: int) -> list[MineUpdate]:
        """Fetch the updates of an earlier round again, except those that are lost. Raises
        StoreUnavailable.
        """
        cohort: Cohort | None = self._records.get(Cohort, number)
        digests, found = cohort.digests if cohort else {}, []
        for mine in digests:
            update = self._records.update(number, mine)
            if update is not None and update.links:
                try:
                    found.append(self._fetched(number, digests[mine]))
                except (BlobNotFound, DigestMismatch):  # it counts as withheld where it is still needed
                    continue
        return found

    def let_go(self, number: int) -> None:
        """Unpin the updates of a round."""
        cohort: Cohort | None = self._records.get(Cohort, number)
        for mine, digest in (cohort.digests if cohort else {}).items():
            update = self._records.update(number, mine)
            if update is not None and update.links:
                for link in (Cid("dag-cbor", Digest(digest)), *_links(update)):
                    self._store.unpin(link)

    def _expected(self, number: int, model: Digest) -> Expected:
        job = self._job
        place = job.chain_id, job.contract, job.bounty
        key = self._holder.public_of(job, number)
        return Expected(*place, number, model, key, self._spec, job.plan, job.manifest.cover)

    def _needed(self, number: int, cohort: Cohort) -> list[str]:
        """The mines whose updates must still be examined; decided ones need no bytes any more."""
        verdict: Verdict | None = self._records.get(Verdict, number)
        if self._records.get(Outcome, number) is not None:
            return []
        return list(cohort.digests) if verdict is None else list(verdict.accepted)

    def _one(self, expected: Expected, mine: str, digest: bytes, gone: str | None) -> bool:
        """Try to get a mine's update; tell whether it is decided what to do with it."""
        if mine not in self._known:
            recorded = self._records.update(expected.round, mine)
            if recorded is None and gone is not None:
                recorded = Update(reason=gone)
                self._records.put_update(expected.round, mine, recorded)
            if recorded is not None:
                self._known[mine] = recorded
        try:
            if mine not in self._known:
                self._known[mine] = self._first(expected, mine, digest)
            elif self._known[mine].links and mine not in self._there:
                self._there[mine] = self._fetched(expected.round, digest)
        except (BlobNotFound, DigestMismatch):  # a damaged copy is the store's fault, and may be repaired
            return False
        return True

    def _first(self, expected: Expected, mine: str, digest: bytes) -> Update:
        """Fetch and check an update for the first time, and record it."""
        try:
            fetched, links = fetch_update(self._store, expected, Address(mine), Digest(digest))
            update = Update(fetched.rows, [str(link) for link in links])
            self._there[mine] = fetched
        except (BlobNotFound, DigestMismatch):
            raise
        except RemoteError as error:
            update = Update(reason=malformed(error))
        self._records.put_update(expected.round, mine, update)
        return update

    def _fetched(self, number: int, digest: bytes) -> MineUpdate:
        form = self._job.form(self._holder.public_of(self._job, number))
        return fetch_again(self._store, form, Digest(digest))

    def _withheld(self, number: int, mine: str) -> None:
        """Record that a mine's update is missing; if there is a verdict, that the mine is left out now."""
        self._known[mine] = Update(reason=WITHHELD)
        self._records.put_update(number, mine, self._known[mine])
        verdict: Verdict | None = self._records.get(Verdict, number)
        if verdict is not None:
            accepted = [each for each in verdict.accepted if each != mine]
            left_out = {**verdict.left_out, mine: WITHHELD}
            self._records.put(replace(verdict, accepted=accepted, left_out=left_out), number)


def _links(update: Update) -> list[Cid]:
    return [Cid.parse(link) for link in update.links]
