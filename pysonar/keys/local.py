"""The key on this machine as a `KeyHolder`: what it opens stays inside, its ledger counts what leaves.

It does not protect against the key's owner, who can write another class, or deceive this one: an update
under new randomness is a new one to the ledger, the weights of a round are her word, and `holds` answers
whatever updates she makes up.

Each update is decrypted once, when its round is tested. Its values go to the archive
(`pysonar.keys.archive`), where later rounds' tests and scores find them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from pysonar.keys.archive import Page, Remembered, values_of
from pysonar.keys.base import BaseHolder, Judged, Keyring, scaled
from pysonar.keys.holder import SCORE_BITS, Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.ledger import Aggregated
from pysonar.keys.updates import MineUpdate
from sonar.errors import LedgerConflict, UpdateOutOfRange
from sonar.families.opened import Opened
from sonar.manifests.model import CoverSpec, PaillierCover
from sonar.paillier.cohort import aggregate_digest, grouped, weights_of
from sonar.paillier.slots import SlotPlan
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.selection import Opened as Earlier


class LocalHolder(BaseHolder):
    """A bounty's keys with their ledger and archive. `least` is its policy: no sum of fewer updates."""

    def __init__(self, keys: Key | Keyring, *, least: int = LEAST_COHORT) -> None:
        super().__init__(keys, least=least)
        self._past: dict[bytes, Remembered] = {}

    def cover(self) -> CoverSpec:
        """See `KeyHolder`: the key alone hides answers."""
        return PaillierCover()

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Any | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        page = self._opened(job, round, weights_int, updates)
        rows = {one.mine: one.rows for one in updates}
        return self._answers(job, page, updates, lambda: self._judged(job, page, rows, reference))

    def _judged(self, job: Job, page: Page, rows: Mapping[str, int], reference: Any | None) -> Judged:
        left_out = self._failed_for_good(job, page.round)
        values = {mine: page.row(mine) for mine in page.names}
        now = Opened(
            page.weights,
            {mine: None if row is None else tuple(row.tolist()) for mine, row in values.items()},
            rows,
        )
        past, rules = self._remembered(job).before(page.round), job.rules(self.least(job))
        failed = job.family.inspect(rules, past, now, lambda mine: mine not in left_out, reference)
        return failed, lambda holding: job.family.same(rules, now, holding, reference)

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        """See `KeyHolder`: all of them, if they are enough. Nothing has to be fixed.

        Of a visible question, answers hold the same numbers from round to round: a largest set whose sum,
        compared with earlier ones, singles out no fewer mines than a sum takes.
        """
        twins = self.twins(job, round)
        if job.family.visible:
            names = {one.mine: one.name for one in updates}
            chosen = self._selected(job, round, updates, self._sets(job, round), reveals or names)
            left, updates = chosen.left, [one for one in updates if one.mine in chosen.weights]
            key = self.public_of(job, round)
            digest = aggregate_digest(key, job.plan, updates, twins) if updates else b""
            return Choice(chosen.weights, left, digest)
        if len(grouped([one.mine for one in updates], twins)) < self.least(job):
            return Choice({}, {}, b"")
        digest = aggregate_digest(self.public_of(job, round), job.plan, updates, twins)
        return Choice(weights_of(job.plan, updates, twins), {}, digest)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        self._check_count(job, round, updates)
        plan, twins, key = job.plan, self.twins(job, round), self._key_of(job, round)
        weights = weights_of(plan, updates, twins)
        if job.family.visible:
            self._check_set(job, round, weights)
        summed = {one.mine: Aggregated(one.name, weights[one.mine]) for one in updates}
        self._record_sum(job, round, weights_int, aggregate_digest(key.public, plan, updates, twins), summed)
        columns = zip(*(one.ciphertexts for one in updates), strict=True)
        sums = [key.public.weighted_sum(column, list(weights.values())) for column in columns]
        return plan.unpack(key.unsafe_decrypt(sums), weight=sum(weights.values()))

    def _sets(self, job: Job, round: int) -> dict[int, dict[str, int]]:
        """What the sums before a round were made of: by round the weights of the mines."""
        found = {number: self._ledger.aggregated(job.bounty, number) for number in range(1, round)}
        return {
            number: {mine: one.weight for mine, one in sum_.items()} for number, sum_ in found.items() if sum_
        }

    def _check_set(self, job: Job, round: int, weights: Mapping[str, int]) -> None:
        """Check what a sum and earlier ones tell together. Raises LedgerConflict."""
        earlier = Earlier.of(self._sets(job, round).values())
        if fault := earlier.fault(weights, self.least(job)):
            raise LedgerConflict(
                f"the sum of round {round} of bounty {job.bounty.hex()} is not opened: {fault}",
                hint="it is opened once the mines of the earlier rounds answer again",
            )

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        ledger = self._ledger
        if (given := ledger.scores(job.bounty, round)) is not None:
            return given
        totals = {mine: [0.0] for mine in self._in_sum(job, round)}
        for number, vector in vectors.items():
            for mine, value in self._products(job, round, number, vector).items():
                if mine in totals:
                    totals[mine].append(value)
        scores = scaled({mine: math.fsum(parts) for mine, parts in totals.items()})
        return ledger.record_scores(job.bounty, round, SCORE_BITS, scores)

    def _products(self, job: Job, round: int, number: int, vector: Sequence[float]) -> dict[str, float]:
        """n_i <vector, u_i> for each update in the sum of round `number`."""
        factors, page = self._vector(job, round, number, vector)
        given = self._of_sum(job, page)
        products = page.values.astype(np.float64) / (1 << job.plan.scale_bits) @ factors
        values = dict(zip(page.names, products.tolist(), strict=True))
        return {mine: one.weight * values[mine] for mine, one in given.items()}

    def _opened(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> Page:
        """The round's page: what is on it already is not decrypted again."""
        names, weights = {one.mine: one.name for one in updates}, tuple(int(w) for w in weights_int)
        known = self._archive.page(job.bounty, round)
        if known is not None and (known.names, known.weights) == (names, weights):
            return known
        plain = self._key_of(job, round).unsafe_decrypt([c for one in updates for c in one.ciphertexts])
        step = job.plan.ciphertexts
        rows = [_unpacked(job.plan, plain[i * step : (i + 1) * step]) for i in range(len(updates))]
        outside = frozenset(one.mine for one, row in zip(updates, rows, strict=True) if row is None)
        page = Page(round, weights, names, values_of(rows, job.plan), outside)
        self._keep(job, page)
        return page

    def _remembered(self, job: Job) -> Remembered:
        if job.bounty not in self._past:
            self._past[job.bounty] = Remembered(self._archive, job.bounty, job.plan, secrets.randbits)
        return self._past[job.bounty]


def _unpacked(plan: SlotPlan, plain: Sequence[int]) -> list[int] | None:
    with suppress(UpdateOutOfRange):
        return plan.unpack(plain, weight=1)
    return None
