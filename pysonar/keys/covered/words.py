"""Answers in words, which everybody's question asks for: opened with the capsules' sums, and without a key.

Nothing of a single answer is ever known here: a masked word is exactly uniform. So there are no tests of
single answers, and no scores; who takes part earns a fee. Two things are asked of single answers all the
same:

- before the set is chosen, a functional of no word at all. It tells nothing, and a capsule that tells it can
  make the mine's masks: one that cannot would stop the whole sum.
- of a sum that is out of range, the first bits of one word of each answer in it: enough to tell whose is
  (`sonar.veil.words`), and asked in such a round alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pysonar.capsules.answers import Reader, Told
from pysonar.keys.archive import Page
from pysonar.keys.covered.base import CoveredHolder, check_all, veil_of
from pysonar.keys.job import Job
from pysonar.keys.updates import MineUpdate
from sonar.errors import UsageError
from sonar.families.veiled import Asked
from sonar.manifests.capsule import Ask, FunctionalRequest, Part
from sonar.protocol.ids import Address, Digest
from sonar.settling.sums import weight_of
from sonar.settling.verdict import VEIL
from sonar.veil.functionals import Measured
from sonar.veil.masks import Words
from sonar.veil.sums import unveiled_words, word_sum
from sonar.veil.words import (
    OutOfRange,
    is_out_of_range,
    measured_words,
    spoiler_bits,
    sum_of,
    write_words,
)

RANGE = "range"
"""The test that an answer fails which spoils a sum."""


class WordsHolder(CoveredHolder):
    """Opens sums of answers in words. The key on this machine opens nothing here: its ledger counts."""

    def knows(self, job: Job, round: int) -> bool:
        """See `KeyHolder`: nothing of an earlier round is needed in a later one."""
        del job, round
        return True

    def holds(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        reference: Any | None = None,
        reveals: Mapping[str, bytes] | None = None,
    ) -> dict[str, str | None]:
        """See `KeyHolder`: all of whose masks enough capsules can tell."""
        del reference, reveals
        self._check(job, weights_int, updates)
        names = {one.mine: one.digest for one in updates}
        page = Page(round, tuple(map(int, weights_int)), names, np.empty((len(names), 0)), frozenset())

        def judged() -> tuple[dict[str, str | None], Any]:
            lot = _Lot(job, round, names, np.zeros(job.plan.weights, np.uint64), 1, {})
            heard = self._measured(lot, "tests")
            return {mine: None if mine in heard else VEIL for mine in names}, lambda _holding: {}

        return self._answers(job, page, updates, judged)

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`. Raises LedgerConflict for another set than was chosen; CapsuleFault for a sum that
        is none, as long as it may be one capsule's lie; UpdateOutOfRange if others tell the same.
        """
        manifest = self._begun(job, round, weights_int, updates)
        weights, words = manifest.weights, {one.mine: one.words(job.plan) for one in updates}
        total = word_sum([(weights[mine], each) for mine, each in words.items()])
        body, heard = self._sum_heard(job, manifest)
        told = ((0, np.array(each, dtype=np.uint64)) for each in heard.by_class())
        plain = unveiled_words(total, told)
        try:
            sums = sum_of(job.plan, plain, weight_of(manifest), veil_of(job).classes.count)
        except OutOfRange as error:
            if fault := self._is_none(body, heard, round):
                raise fault from error
            masked = {mine: int(each[error.word]) for mine, each in words.items()}
            self._told.spoil(job.bounty, round, error.word, masked)
            raise
        return self._opened_sum(job, manifest, sums)

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        """See `KeyHolder`: all in the sum are asked for the first bits of the word that is out of range."""
        del reveals
        mines, spoilt = self._in_sum(job, round), self._told.spoilt(job.bounty, round)
        if spoilt is None:
            raise UsageError(f"the sum of round {round} is not known to be none", hint="open it first")
        word, masked = spoilt
        vector = np.zeros(job.plan.weights, np.uint64)
        vector[word] = 1
        bits = spoiler_bits(job.plan, veil_of(job).classes.count)
        names = {mine: one.ciphertexts for mine, one in mines.items()}
        lot = _Lot(job, round, names, vector, bits, {mine: masked[mine] for mine in names})
        heard = self._measured(lot, "spoilers")
        check_all(names, heard, "which word is out of range")
        bad = {mine: RANGE for mine, (found,) in heard.items() if is_out_of_range(job.plan, found)}
        return self._void(job, round, bad)

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """Raise UsageError: nobody is scored where only fees are paid."""
        del job, round, vectors
        raise UsageError("answers in words have no scores", hint="share the fees of a round equally")

    def _sums(self, job: Job, round: int, body: bytes) -> Reader:
        del round
        return self._place.word_sums(body, job.plan.weights)


@dataclass(frozen=True)
class _Lot:
    """One functional, of the same vector uint64[words], of several mines' answers.

    `names`: the digests of their updates; `masked`: <vector, answer> of each; 0 where nobody looks at it.
    """

    job: Job
    round: int
    names: Mapping[str, bytes]
    vector: Words
    bits: int
    masked: Mapping[str, int]

    @property
    def asks(self) -> dict[str, tuple[Asked, ...]]:
        """One for each mine."""
        return {mine: (Asked((), self.bits),) for mine in self.names}

    def lines(self) -> list[tuple[str, Asked]]:
        """All of them, in order."""
        return [(mine, ask) for mine, (ask,) in self.asks.items()]

    def without(self, mines: set[str]) -> _Lot:
        """The same for fewer mines."""
        left = {mine: name for mine, name in self.names.items() if mine not in mines}
        return _Lot(self.job, self.round, left, self.vector, self.bits, self.masked)

    def body(self) -> bytes:
        """The request."""
        job = self.job
        return FunctionalRequest(
            chain_id=job.chain_id,
            contract=job.contract,
            bounty=job.bounty,
            round=self.round,
            vectors=(write_words(self.vector),),
            asks=tuple(self._ask(mine, name) for mine, name in self.names.items()),
        ).to_bytes()

    def _ask(self, mine: str, name: bytes) -> Ask:
        part = Part(round=self.round, update=Digest(name), vector=0)
        return Ask(mine=Address(mine), bits=self.bits, parts=(part,))

    def values(self, classes: Sequence[Told]) -> dict[str, tuple[Measured, ...]]:
        """What the functionals are."""
        one = np.ones(1, np.uint64)
        columns = zip(self.names, zip(*classes, strict=True), strict=True)
        return {
            mine: (measured_words([(one, np.array([self.masked.get(mine, 0)], np.uint64))], told, self.bits),)
            for mine, told in columns
        }
