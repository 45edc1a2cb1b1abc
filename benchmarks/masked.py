"""Answers under masks, and a holder that knows no more of them than capsules tell, for simulations.

What is told is the product's. But the masks are drawn and not made from seeds, and the holder makes them: it
opens the answers first. So nothing is hidden here, and nothing has to be sent.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from gmpy2 import mpz

from pysonar.keys.archive import Page
from pysonar.keys.base import Judged
from pysonar.keys.holder import SCORE_BITS, Choice
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.ledger import Aggregated
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.families.quadratic.comparison import Reference
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import VEIL_FREE_BITS, SlotPlan
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.lots import Lots
from sonar.veil.functionals import Measured, class_value, measured, told

CLASSES = 3
"""Of two capsules of three."""
SET = bytes(32)
"""Stands for the digest of what is fixed on the chain."""


@dataclass(frozen=True)
class Masked:
    """An answer under masks: X and K as everybody sees them, and each class's masks and wraps."""

    opened: tuple[mpz, ...]
    wraps: tuple[int, ...]
    masks: tuple[tuple[mpz, ...], ...]
    hidden: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, answers: Answers, values: Sequence[int]) -> Masked:
        """Put an answer under fresh masks."""
        plan, n, lots, classes = answers.plan, answers.n, answers.lots, range(answers.classes)
        plain, size = plan.pack(values), 1 << plan.slot_bits
        masks = tuple(tuple(mpz(lots.randrange(int(n))) for _ in plain) for _ in classes)
        hidden = tuple(tuple(lots.randrange(size) for _ in plain) for _ in classes)
        sums = [p + sum(column) for p, column in zip(plain, zip(*masks, strict=True), strict=True)]
        kappa = [int(sum(column) // n) for column in zip(*masks, strict=True)]
        wraps = tuple(
            (k + sum(column)) % size for k, column in zip(kappa, zip(*hidden, strict=True), strict=True)
        )
        return cls(tuple(x % n for x in sums), wraps, masks, hidden)


@dataclass
class Answers:
    """Every answer of a bounty under masks, by round and mine, and what is heard of them."""

    plan: SlotPlan
    lots: random.Random
    classes: int = CLASSES
    masked: dict[tuple[int, str, tuple[int, ...]], Masked] = field(default_factory=dict)
    known: dict[tuple[object, ...], Measured] = field(default_factory=dict)

    @cached_property
    def n(self) -> mpz:
        """A modulus: nothing here asks for its primes."""
        return mpz(self.lots.getrandbits(self.plan.key_bits) | 1 | 1 << (self.plan.key_bits - 1))

    def heard(self, asked: Asked, values: Sequence[tuple[int, ...]], mine: str) -> Measured:
        """Return what a mine's answers, one for each part, let be heard."""
        parts = [self.put(number, mine, each) for (number, _), each in zip(asked.parts, values, strict=True)]
        key = (asked, mine, *values)
        if key not in self.known:
            vectors = [vector for _, vector in asked.parts]
            moduli = [self.n] * len(vectors)
            classes = [
                class_value(
                    self.plan, moduli, vectors, [p.masks[c] for p in parts], [p.hidden[c] for p in parts]
                )
                for c in range(self.classes)
            ]
            said = [told(value, self.plan.slot_bits, asked.bits) for value in classes]
            opened, wraps = [p.opened for p in parts], [p.wraps for p in parts]
            self.known[key] = measured(self.plan, moduli, vectors, opened, wraps, said, asked.bits)
        return self.known[key]

    def put(self, number: int, mine: str, values: tuple[int, ...]) -> Masked:
        """Return a mine's answer under its masks, which are drawn once."""
        key = (number, mine, values)
        if key not in self.masked:
            self.masked[key] = Masked.of(self, values)
        return self.masked[key]


def answers_of(plan: SlotPlan, seed: int) -> Answers:
    """Return an empty bounty's answers, for the plan with a veil's free bits."""
    return Answers(replace(plan, free_bits=VEIL_FREE_BITS), random.Random(seed))


class BehindCapsules(LocalHolder):
    """Tests and scores by functionals, and sums over the sets that capsules would open, of one bounty."""

    def __init__(self, key: Key, *, least: int = LEAST_COHORT) -> None:
        super().__init__(key, least=least)
        self._answers_of: dict[bytes, Answers] = {}
        self._chosen: dict[int, dict[str, int]] = {}
        self._sums: dict[int, tuple[list[int], int]] = {}

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Reference | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`."""
        page = self._opened(job, round, weights_int, updates)
        rows = {one.mine: one.rows for one in updates}
        lots = Lots("tests", job.bounty, round, reveals or {})
        return self._answers(job, page, updates, lambda: self._told(job, page, rows, reference, lots))

    def _told(
        self, job: Job, page: Page, rows: Mapping[str, int], reference: Reference | None, lots: Lots
    ) -> Judged:
        gone = self._failed_for_good(job, page.round).keys() | page.outside
        pages = {one.round: one for one in [*self._archive.pages(job.bounty, 1, page.round), page]}
        sent = [Sent(n, one.weights, frozenset(one.rows().keys() - gone)) for n, one in pages.items()]
        answers, rules = self._masked(job), job.rules(self.least(job))
        rules = replace(rules, plan=answers.plan)
        family = family_of(job.manifest.family)
        tests = family.veiled_tests(rules, answers.plan, sent, reference, rows, lots.draw)
        failed, same = tests.judged(
            {mine: tuple(self._heard(job, mine, each) for each in asks) for mine, asks in tests.asks.items()}
        )
        failed |= dict.fromkeys(page.names.keys() - failed.keys(), "range")
        return failed, self._over_rounds(job, page.round, same)

    def choose(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        reveals: Mapping[str, bytes] | None = None,
    ) -> Choice:
        """See `KeyHolder`."""
        chosen = self._selected(job, round, updates, self._chosen, reveals or {})
        if chosen.weights:
            self._chosen[round] = dict(chosen.weights)
        return Choice(chosen.weights, chosen.left, SET)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`."""
        weights = self._chosen[round]
        summed = {one.mine: Aggregated(one.name, weights[one.mine]) for one in updates}
        self._record_sum(job, round, weights_int, SET, summed)
        columns = zip(*(one.ciphertexts for one in updates), strict=True)
        factors = [weights[one.mine] for one in updates]
        sums = [self.public.weighted_sum(column, factors) for column in columns]
        total = sum(factors)
        opened = job.plan.unpack(self._key.unsafe_decrypt(sums), weight=total)
        self._sums[round] = opened, total
        return opened

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        sent = {number: self._key.ledger.aggregated(job.bounty, number).keys() for number in vectors}
        mines, family = self._in_sum(job, round), family_of(job.manifest.family)
        wanted = family.veiled_scores(self._masked(job).plan, vectors, sent, mines.keys(), self._sums)
        heard = {
            mine: tuple(self._heard(job, mine, each) for each in asks) for mine, asks in wanted.asks.items()
        }
        scores = wanted.scored(heard, {mine: one.weight for mine, one in mines.items()})
        return self._key.ledger.record_scores(job.bounty, round, SCORE_BITS, dict.fromkeys(mines, 0) | scores)

    def _heard(self, job: Job, mine: str, asked: Asked) -> Measured:
        pages = [self._archive.page(job.bounty, number) for number, _ in asked.parts]
        rows = [None if page is None else page.row(mine) for page in pages]
        return self._masked(job).heard(
            asked, [tuple(map(int, row.tolist())) for row in rows if row is not None], mine
        )

    def _masked(self, job: Job) -> Answers:
        if job.bounty not in self._answers_of:
            self._answers_of[job.bounty] = answers_of(job.plan, int.from_bytes(job.bounty[:8], "big"))
        return self._answers_of[job.bounty]
