"""The key on this machine behind capsules: it opens masked answers, which are uniform numbers, and asks
capsules for what the sums and the tests of them take.

Theory of operation. An update opens to X = P + masks, which says nothing of P; X and how often the masks wrap
go to the archive. What is wanted of single answers is put as functionals: the capsules tell the first bits of
the masks' part, the rest is computed here from X (`sonar.veil.functionals`). A sum takes the masks' own sums,
over the set that is fixed on the chain. Each answer of a capsule is checked and recorded before it is used,
and read from the record after a restart: a question is made of what is on record only, so it is the same.

What the bounty's capsules do not tell, nobody can get from this class or from software of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gmpy2 import mpz

from pysonar.capsules.answers import Place, Reader
from pysonar.capsules.members import Wanted
from pysonar.capsules.panel import Members, Panel, too_few
from pysonar.keys.ahead import OpenedAhead
from pysonar.keys.archive import Page, table_of
from pysonar.keys.base import Failed, Judged, Keyring
from pysonar.keys.covered.base import CoveredHolder, check_all, digests_of
from pysonar.keys.holder import SCORE_BITS
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.told import Lot, looking
from pysonar.keys.updates import MineUpdate
from sonar.errors import (
    CapsuleRefused,
    ManifestError,
    UpdateOutOfRange,
    UsageError,
)
from sonar.families.registry import family_of
from sonar.families.veiled import Asked, Sent
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import VeilCover
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.lots import Lots
from sonar.settling.sums import values_of, weight_of
from sonar.settling.verdict import VEIL
from sonar.veil.functionals import Measured
from sonar.veil.masks import read_wraps
from sonar.veil.sums import unveiled


class VeiledHolder(CoveredHolder):
    """The keys of a bounty that is covered by capsules: those of `panel`, as `wanted` for a new bounty."""

    def __init__(
        self, keys: Key | Keyring, panel: Panel, place: Place, wanted: Wanted, *, least: int = LEAST_COHORT
    ) -> None:
        super().__init__(keys, panel, place, wanted, least=least)
        self._ahead = OpenedAhead()

    def unsafe_open(self, job: Job, round: int, ciphertexts: Sequence[mpz]) -> list[tuple[int, int]]:
        """Plaintext and randomness of each, under a round's key, for auditors: an answer's are masked."""
        return self._ahead.open(self._key_of(job, round), ciphertexts)

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        """See `KeyHolder`."""
        encrypted = super().encrypt(numbers, job, round)
        if self._wanted.audit is not None:
            self._ahead.begin(self._key_of(job, round), [encrypted], numbers)
        return encrypted

    # ---- tests

    def look(self, job: Job, round: int) -> None:
        """See `KeyHolder`: a capsule looks when it is first asked, and nobody's answer is asked about."""
        cover = job.manifest.cover
        if not isinstance(cover, VeilCover) or cover.audit is None:
            return
        body = looking(job, round)
        heard = self._panel.ask(Members.of(cover), "functional", body, self._place.functionals(body, [1]), {})
        refused = (fault for fault in heard.faults.values() if isinstance(fault, CapsuleRefused))
        if any(fault.code == "depth" for fault in refused):
            raise too_few(heard, f"that they have looked for the updates of round {round}")

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
        page, plain = self._opened(job, round, weights_int, updates)
        rows = {one.mine: one.rows for one in updates}
        lots = Lots("tests", job.bounty, round, reveals if reveals is not None else digests_of(updates))
        told = self._answers(job, page, updates, lambda: self._judged(job, page, rows, reference, lots))
        if plain and self._wanted.audit is not None:  # not before: capsules on this machine need the cores
            self._ahead.begin(self._key_of(job, round), [one.ciphertexts for one in updates], plain)
        return told

    def _judged(
        self, job: Job, page: Page, rows: Mapping[str, int], reference: Any | None, lots: Lots
    ) -> Judged:
        gone = self._failed_for_good(job, page.round).keys()
        pages = [*self._archive.pages(job.bounty, 1, page.round), page]
        sent = [Sent(one.round, one.weights, frozenset(one.names.keys() - gone)) for one in pages]
        spec, plan = job.manifest.family, job.plan
        family = family_of(spec)
        tests = family.veiled_tests(job.rules(self.least(job)), plan, sent, reference, rows, lots.draw)
        heard = self._heard(job, page.round, "tests", tests.asks, {one.round: one for one in pages})
        failed, twins = tests.judged(heard)
        told: Failed = {mine: failed.get(mine) if mine in heard else VEIL for mine in page.names}
        return told, self._over_rounds(job, page.round, twins)

    # ---- sums

    def open_sum(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> list[int]:
        """See `KeyHolder`. Raises LedgerConflict for another set than was chosen; CapsuleFault for a sum that
        is none, as long as it may be one capsule's lie; UpdateOutOfRange if others tell the same.
        """
        manifest = self._begun(job, round, weights_int, updates)
        weights = manifest.weights
        columns, key = zip(*(one.ciphertexts for one in updates), strict=True), self._key_of(job, round)
        factors = [weights[one.mine] for one in updates]
        masked = key.unsafe_decrypt([key.public.weighted_sum(c, factors) for c in columns])
        return self._unmasked(job, manifest, masked)

    def _unmasked(self, job: Job, manifest: CohortManifest, masked: Sequence[int]) -> list[int]:
        n, plan = self.public_of(job, manifest.round).n, job.plan
        body, heard = self._sum_heard(job, manifest)
        classes = [[mpz(number) for number in told] for told in heard.by_class()]
        plain = unveiled(n, [mpz(x) % n for x in masked], classes)
        try:
            sums = values_of(plan, plain, weight_of(manifest))
        except UpdateOutOfRange as error:
            if fault := self._is_none(body, heard, manifest.round):
                raise fault from error
            raise
        return self._opened_sum(job, manifest, sums)

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        """See `KeyHolder`: all in the sum are asked once more for what lies where nothing may be."""
        mines, page = self._in_sum(job, round), self._archive.page(job.bounty, round)
        if page is None:
            raise UsageError(f"round {round} is not known any more", hint="ask which of its updates hold")
        lots = Lots("spoilers", job.bounty, round, reveals)
        asked = family_of(job.manifest.family).veiled_spoilers(job.plan, round, sorted(mines), lots.draw)
        heard = self._heard(job, round, "spoilers", asked.asks, {round: page})
        check_all(asked.asks, heard, "what lies beside the values")
        failed, _ = asked.judged(heard)
        return self._void(job, round, failed)

    # ---- scores

    def score(self, job: Job, round: int, vectors: Mapping[int, Sequence[float]]) -> dict[str, int]:
        """See `KeyHolder`."""
        ledger = self._ledger
        if (given := ledger.scores(job.bounty, round)) is not None:
            return given
        mines = self._in_sum(job, round)
        factors, pages, sent = {}, {}, {}
        for number, vector in vectors.items():
            checked, pages[number] = self._vector(job, round, number, vector)
            factors[number] = checked.tolist()
            sent[number] = self._of_sum(job, pages[number]).keys()
        family = family_of(job.manifest.family)
        wanted = family.veiled_scores(job.plan, factors, sent, mines.keys(), self._told.sums(job.bounty))
        heard = self._heard(job, round, "scores", wanted.asks, pages)
        check_all(wanted.asks, heard, "the scores")
        scores = wanted.scored(heard, {mine: one.weight for mine, one in mines.items()})
        return ledger.record_scores(job.bounty, round, SCORE_BITS, dict.fromkeys(mines, 0) | scores)

    # ---- asking

    def _heard(
        self,
        job: Job,
        round: int,
        purpose: str,
        asks: Mapping[str, Sequence[Asked]],
        pages: Mapping[int, Page],
    ) -> dict[str, tuple[Measured, ...]]:
        """What capsules and archive together say of functionals, by mine: without the mines of whose masks
        too few capsules can tell anything. Raises CapsuleUnavailable, CapsulesDiffer.
        """
        found: dict[str, tuple[Measured, ...]] = {}
        moduli = {number: self.public_of(job, number).n for number in pages}
        todo = [mine for mine in sorted(asks) if asks[mine]]
        found |= {mine: () for mine in asks if not asks[mine]}
        while todo:
            lot = Lot(job, round, pages, moduli)
            while todo and lot.add(todo[0], asks[todo[0]]):
                todo.pop(0)
            found |= self._measured(lot, purpose)
        return found

    def _sums(self, job: Job, round: int, body: bytes) -> Reader:
        return self._place.sums(body, job.plan.ciphertexts, self.public_of(job, round).n)

    def _opened(
        self, job: Job, round: int, weights_int: Sequence[int], updates: Sequence[MineUpdate]
    ) -> tuple[Page, list[int]]:
        """The round's page, of X and K, and what was decrypted for it: nothing, if it is there already."""
        names, weights = digests_of(updates), tuple(int(w) for w in weights_int)
        known = self._archive.page(job.bounty, round)
        if known is not None and (known.names, known.weights) == (names, weights):
            return known, []
        key = self._key_of(job, round)
        plain = key.unsafe_decrypt([c for one in updates for c in one.ciphertexts])
        n, step = int(key.public.n), job.plan.ciphertexts
        rows = [
            [*(int(x) % n for x in plain[i * step : (i + 1) * step]), *_wraps(job, one)]
            for i, one in enumerate(updates)
        ]
        page = Page(round, weights, names, table_of(rows, 2 * step), frozenset())
        self._keep(job, page)
        return page, plain


def _wraps(job: Job, update: MineUpdate) -> list[int]:
    """K of each ciphertext. Raises UsageError for an update without masks."""
    if update.veil is None:
        raise UsageError(f"the update of {update.mine} has no masks, but its bounty has capsules")
    try:
        return read_wraps(job.plan, update.veil.wraps)
    except ManifestError as error:
        raise UsageError(f"the update of {update.mine}: {error}") from error
