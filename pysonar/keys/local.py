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

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys.archive import Archive, Page, values_of
from pysonar.keys.holder import SCORE_BITS
from pysonar.keys.job import LEAST_COHORT, Job
from pysonar.keys.key import Key, Tell
from pysonar.keys.ledger import Aggregated, Revealed
from pysonar.keys.past import Remembered
from pysonar.keys.updates import MineUpdate, weights_digest
from sonar.errors import LedgerConflict, UpdateOutOfRange, UsageError
from sonar.families.quadratic.comparison import Reference
from sonar.families.quadratic.inspection import ROUND_ONLY, Opened, inspect, same
from sonar.paillier.cohort import aggregate_digest, digest_of_parts, grouped, weights_of
from sonar.paillier.slots import SlotPlan

_SCORE_MAX = (1 << (SCORE_BITS - 1)) - 1


class LocalHolder:
    """A key with its ledger and its archive. `least` is its policy: no sum of fewer updates.

    The archive lies beside the ledger; of a key that is not saved, in a temporary file.
    """

    def __init__(self, key: Key, *, least: int = LEAST_COHORT) -> None:
        self._key, self.public, self._least = key, key.public, max(least, LEAST_COHORT)
        path = key.ledger.path
        self._archive = Archive(path and path.with_suffix(".opened"), key.unsafe_derive(b"archive"))
        self._past: dict[bytes, Remembered] = {}

    @property
    def proof(self) -> bytes:
        """See `KeyHolder`."""
        return self._key.proof

    def on_progress(self, tell: Tell | None) -> None:
        """See `KeyHolder`."""
        self._key.on_progress(tell)

    def close(self) -> None:
        """Close ledger and archive, and let go of the key."""
        self._archive.close()
        self._key.close()

    def encrypt(self, numbers: Sequence[int]) -> list[mpz]:
        """See `KeyHolder`."""
        return self._key.encrypt_weights(numbers)

    def revealed(self, job: Job) -> dict[str, Revealed]:
        """See `KeyHolder`."""
        return self._key.ledger.totals(job.bounty)

    def least(self, job: Job) -> int:
        """See `KeyHolder`."""
        return max(job.least, self._least)

    def knows(self, job: Job, round: int) -> bool:
        """See `KeyHolder`."""
        return self._archive.has(job.bounty, round)

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Reference | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        page = self._opened(job, round, weights_int, updates)
        names = {one.mine: one.name for one in updates}
        given = self._key.ledger.held(job.bounty, round)
        if not given.keys() >= set(names.items()):
            self._test(job, page, {one.mine: one.rows for one in updates}, reference)
            given = self._key.ledger.held(job.bounty, round)
        return {mine: given[mine, name] for mine, name in names.items()}

    def _test(self, job: Job, page: Page, rows: Mapping[str, int], reference: Reference | None) -> None:
        """Test a round's updates, and record the answers."""
        ledger, round = self._key.ledger, page.round
        left_out: dict[str, str] = {}
        for mine, test in ledger.failed_before(job.bounty, round):
            if test not in ROUND_ONLY:
                left_out.setdefault(mine, test)
        values = {mine: page.row(mine) for mine in page.names}
        now = Opened(
            page.weights,
            {mine: None if row is None else tuple(row.tolist()) for mine, row in values.items()},
        )
        past, rules = self._remembered(job).before(round), job.rules(self.least(job))
        failed = inspect(rules, past, now, lambda mine: mine not in left_out, reference)
        given = ledger.held(job.bounty, round)
        told = {
            mine: given.get((mine, page.names[mine]), left_out.get(mine, test))
            for mine, test in failed.items()
        }
        new = [(mine, test) for mine, test in told.items() if test and mine not in left_out]
        ledger.record_failed_tests(job.bounty, round, new)
        holding = {mine: rows[mine] for mine, test in told.items() if test is None}
        ledger.record_twins(job.bounty, round, same(rules, now, holding, reference))
        ledger.record_held(job.bounty, round, {(mine, page.names[mine]): test for mine, test in told.items()})

    def twins(self, job: Job, round: int) -> dict[str, str]:
        """See `KeyHolder`."""
        return self._key.ledger.twins(job.bounty, round)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`."""
        self._check(job, weights_int, updates)
        least, plan, twins = self.least(job), job.plan, self.twins(job, round)
        if (distinct := len(grouped([one.mine for one in updates], twins))) < least:
            once = ", twins counted once" if distinct < len(updates) else ""
            raise UsageError(f"{distinct} updates{once}; a sum takes at least {least}")
        if len(updates) > plan.mines_max:
            raise UsageError(f"{len(updates)} updates; the slot plan has room for {plan.mines_max}")
        weights = weights_of(plan, updates, twins)
        self._key.ledger.record_aggregate(
            job.bounty,
            round,
            aggregate_digest(self.public, plan, updates, twins),
            weights=weights_digest(plan, weights_int),
            cohort=digest_of_parts(*sorted(f"{mine} {weight}".encode() for mine, weight in weights.items())),
            updates={one.mine: Aggregated(one.name, weights[one.mine]) for one in updates},
        )
        columns = zip(*(one.ciphertexts for one in updates), strict=True)
        sums = [self.public.weighted_sum(column, list(weights.values())) for column in columns]
        return plan.unpack(self._key.unsafe_decrypt(sums), weight=sum(weights.values()))

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        ledger = self._key.ledger
        if (given := ledger.scores(job.bounty, round)) is not None:
            return given
        mines = ledger.aggregated(job.bounty, round)
        if not mines:
            raise LedgerConflict(
                f"no sum of round {round} of bounty {job.bounty.hex()} was opened, so it has no scores",
                hint="open the round's sum first; a mine is scored by what it gave to it",
            )
        totals = {mine: [0.0] for mine in mines}
        for number, vector in vectors.items():
            if number > round:
                raise UsageError(f"round {number} comes after round {round}, whose scores were asked for")
            for mine, value in self._products(job, number, vector).items():
                if mine in totals:
                    totals[mine].append(value)
        scores = _scaled({mine: math.fsum(parts) for mine, parts in totals.items()})
        return ledger.record_scores(job.bounty, round, SCORE_BITS, scores)

    def _products(self, job: Job, round: int, vector: Sequence[float]) -> dict[str, float]:
        """n_i <vector, u_i> for each update in the sum of a round."""
        factors: NDArray[np.float64] = np.asarray(vector, dtype=np.float64)
        if factors.shape != (job.plan.weights,) or not np.isfinite(factors).all():
            raise UsageError(f"the coefficients of round {round} are not {job.plan.weights} finite numbers")
        given = self._key.ledger.aggregated(job.bounty, round)
        page = self._archive.page(job.bounty, round)
        if page is None:
            raise UsageError(f"round {round} is not known any more", hint="ask which of its updates hold")
        products = page.values.astype(np.float64) / (1 << job.plan.scale_bits) @ factors
        found = {}
        for (mine, name), value in zip(page.names.items(), products.tolist(), strict=True):
            if mine in given and mine not in page.outside:
                if given[mine].ciphertexts != name:
                    raise LedgerConflict(
                        f"the update of {mine} in round {round} is not the one that its sum was made of",
                        hint="ask again which of the round's updates hold, with those of its sum",
                    )
                found[mine] = given[mine].weight * value
        return found

    def _opened(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> Page:
        """The round's page: what is on it already is not decrypted again."""
        names, weights = {one.mine: one.name for one in updates}, tuple(int(w) for w in weights_int)
        known = self._archive.page(job.bounty, round)
        if known is not None and (known.names, known.weights) == (names, weights):
            return known
        plain = self._key.unsafe_decrypt([c for one in updates for c in one.ciphertexts])
        step = job.plan.ciphertexts
        rows = [_unpacked(job.plan, plain[i * step : (i + 1) * step]) for i in range(len(updates))]
        outside = frozenset(one.mine for one, row in zip(updates, rows, strict=True) if row is None)
        page = Page(round, weights, names, values_of(rows, job.plan), outside)
        self._archive.put(job.bounty, page)
        return page

    def _remembered(self, job: Job) -> Remembered:
        if job.bounty not in self._past:
            self._past[job.bounty] = Remembered(self._archive, job.bounty, job.plan, secrets.randbits)
        return self._past[job.bounty]

    def _check(self, job: Job, weights_int: Sequence[int], updates: Sequence[MineUpdate]) -> None:
        job.check(self.public)
        if len(weights_int) != job.plan.weights:
            raise UsageError(f"{len(weights_int)} weights; the slot plan has {job.plan.weights}")
        if len({one.mine for one in updates}) != len(updates):
            raise UsageError("a mine occurs twice in one round")
        for one in updates:
            one.check(self.public, job.plan)
            if one.rows < 1:
                raise UsageError(f"{one.mine}: {one.rows} rows; an update is of at least 1")


def _unpacked(plan: SlotPlan, plain: Sequence[int]) -> list[int] | None:
    with suppress(UpdateOutOfRange):
        return plan.unpack(plain, weight=1)
    return None


def _scaled(values: Mapping[str, float]) -> dict[str, int]:
    """All values times one factor, so that the largest magnitude is 32767; positive ones stay positive."""
    if not all(math.isfinite(value) for value in values.values()):
        raise UsageError("a score is not a finite number")
    largest = max((abs(value) for value in values.values()), default=0.0)
    scale = _SCORE_MAX / largest if largest else 0.0
    return {mine: _rounded(value * scale, value > 0) for mine, value in values.items()}


def _rounded(score: float, positive: bool) -> int:
    nearest = math.floor(score + 0.5)
    return max(nearest, 1) if positive else nearest
