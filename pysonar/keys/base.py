"""What every holder does that has the key on this machine, whatever covers the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys import keyfile
from pysonar.keys.archive import Archive, Page
from pysonar.keys.holder import SCORE_BITS
from pysonar.keys.job import Job
from pysonar.keys.key import Key, Tell
from pysonar.keys.ledger import Aggregated, Revealed
from pysonar.keys.updates import MineUpdate, weights_digest
from sonar.errors import KeyFileError, LedgerConflict, UsageError
from sonar.manifests.model import KeyManifest
from sonar.paillier.cohort import digest_of_parts, grouped
from sonar.paillier.public import PublicKey
from sonar.protocol.phase import LEAST_COHORT
from sonar.settling.lots import Lots
from sonar.settling.selection import Opened, Selection, select
from sonar.settling.verdict import PASSING, twins_of

Failed = Mapping[str, str | None]
Twins = Mapping[str, str]
TwinsOf = Callable[[Mapping[str, int]], Twins]
Judged = tuple[Failed, TwinsOf]
"""What tests found of a round's updates: the first that each mine failed; and of those that hold, with their
rows, who are twins.
"""
Judge = Callable[[], Judged]
SCORE_MAX = (1 << (SCORE_BITS - 1)) - 1


class Keyring:
    """The keys of one bounty: a scientist may change hers while it runs.

    `base` is the key that the bounty is posted with. `files` are those of all its keys, oldest first: they
    are looked at again each time, and opened with the `passphrase` when they are needed. All keys use the
    ledger of the first, since what two sums tell together does not depend on the keys that opened them.
    """

    def __init__(self, base: Key, files: Callable[[], Sequence[Path]] = tuple, passphrase: str = "") -> None:
        self.base, self._files, self._passphrase = base, files, passphrase
        self._open = {base.public.fingerprint: base}

    def of(self, fingerprint: bytes) -> Key:
        """Return a key. Raises KeyFileError if it is not there, or not to be opened."""
        if fingerprint not in self._open:
            path = next((one for one in self._files() if keyfile.named(one).fingerprint == fingerprint), None)
            if path is None:
                raise KeyFileError(
                    f"the key {fingerprint.hex()[:16]} is missing, and the bounty has rounds under it",
                    hint="put its file back from your copy of the folder `keys`",
                )
            self._open[fingerprint] = self._opened(path)
        return self._open[fingerprint]

    def newest(self) -> Key:
        """Return the key that was added last. Raises KeyFileError, MemoryShort."""
        files = self._files()
        return self.of(keyfile.named(files[-1]).fingerprint) if files else self.base

    def close(self) -> None:
        """Close the ledger, and let go of all keys."""
        for key in self._open.values():
            key.close()

    def _opened(self, path: Path) -> Key:
        key = Key.load(path, self._passphrase, self.base.ledger)
        if key.public.bits != (bits := self.base.public.bits):
            raise KeyFileError(
                f"{path} has {key.public.bits} bits, and the bounty's keys have {bits}",
                hint=f"move it away, and make one of {bits} bits: `pysonar rotate`",
            )
        return key


class BaseHolder:
    """A bounty's keys with their ledger and archive. `least` is its policy: no sum of fewer updates.

    The archive lies beside the ledger; of a key that is not saved, in a temporary file.
    """

    def __init__(self, keys: Key | Keyring, *, least: int = LEAST_COHORT) -> None:
        self._ring = keys if isinstance(keys, Keyring) else Keyring(keys)
        self._key, self._least = self._ring.base, max(least, LEAST_COHORT)
        self.public, self._ledger = self._key.public, self._key.ledger
        self._tell: Tell | None = None
        path = self._ledger.path
        self._archive = Archive(
            path and path.with_suffix(".opened"),
            self._key.unsafe_derive(b"archive"),
            lambda name: self._ring.of(name).unsafe_derive(b"archive"),
        )

    def on_progress(self, tell: Tell | None) -> None:
        """See `KeyHolder`."""
        self._tell = tell

    def close(self) -> None:
        """Close ledger and archive, and let go of the keys."""
        self._archive.close()
        self._ring.close()

    # ---- which key

    def key(self, job: Job | None = None, round: int = 1) -> KeyManifest:
        """See `KeyHolder`."""
        key = self._key_of(job, round)
        return KeyManifest(bits=key.public.bits, n=key.public.to_bytes(), proof=key.proof)

    def public_of(self, job: Job, round: int) -> PublicKey:
        """See `KeyHolder`."""
        return self._key_of(job, round).public

    def turn(self, job: Job, round: int) -> bool:
        """See `KeyHolder`."""
        before = self._key_of(job, round - 1)
        newest = self._ring.newest()
        if newest is not before:
            self._ledger.record_turn(job.bounty, round, newest.public.fingerprint)
        return self._key_of(job, round) is not before

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        """See `KeyHolder`."""
        return self._key_of(job, round).encrypt_weights(numbers)

    def _key_of(self, job: Job | None, round: int) -> Key:
        """The key of a round's answers."""
        turns = self._ledger.turns(job.bounty) if job is not None else {}
        since = max((number for number in turns if number <= round), default=0)
        key = self._ring.of(turns[since]) if since else self._key
        key.on_progress(self._tell)
        return key

    def _keep(self, job: Job, page: Page) -> None:
        """Put a page into the archive, under the key of its round."""
        name = self._key_of(job, page.round).public.fingerprint
        self._archive.put(job.bounty, page, b"" if name == self.public.fingerprint else name)

    def look(self, job: Job, round: int) -> None:
        """See `KeyHolder`: without capsules, nobody audits."""

    def revealed(self, job: Job) -> dict[str, Revealed]:
        """See `KeyHolder`."""
        return self._ledger.totals(job.bounty)

    def least(self, job: Job) -> int:
        """See `KeyHolder`."""
        return max(job.least, self._least)

    def knows(self, job: Job, round: int) -> bool:
        """See `KeyHolder`."""
        return self._archive.has(job.bounty, round)

    def twins(self, job: Job, round: int) -> dict[str, str]:
        """See `KeyHolder`."""
        return self._ledger.twins(job.bounty, round)

    def spoilers(self, job: Job, round: int, reveals: Mapping[str, bytes]) -> dict[str, str]:
        """See `KeyHolder`: no update spoils a sum that was opened before it."""
        del job, round, reveals
        return {}

    # ---- what is common to the answers

    def _failed_for_good(self, job: Job, round: int) -> dict[str, str]:
        """The exact test that a mine failed in a round before `round`, if it did."""
        left_out: dict[str, str] = {}
        for mine, test in self._ledger.failed_before(job.bounty, round):
            if test not in PASSING:
                left_out.setdefault(mine, test)
        return left_out

    def _answers(
        self, job: Job, page: Page, updates: Sequence[MineUpdate], judge: Judge
    ) -> dict[str, str | None]:
        """Answer about the updates of a page: what is on record, else what `judge` finds, which is
        recorded.
        """
        ledger, bounty, round = self._ledger, job.bounty, page.round
        given = ledger.held(bounty, round)
        if not given.keys() >= set(page.names.items()):
            failed, same = judge()
            left_out = self._failed_for_good(job, round)
            told = {
                mine: given.get((mine, page.names[mine]), left_out.get(mine, test))
                for mine, test in failed.items()
            }
            new = [(mine, test) for mine, test in told.items() if test and mine not in left_out]
            ledger.record_failed_tests(bounty, round, new)
            holding = {one.mine: one.rows for one in updates if told[one.mine] is None}
            ledger.record_twins(bounty, round, same(holding))
            ledger.record_held(bounty, round, {(mine, page.names[mine]): test for mine, test in told.items()})
            given = ledger.held(bounty, round)
        return {mine: given[mine, name] for mine, name in page.names.items()}

    def _over_rounds(self, job: Job, round: int, same: Twins) -> TwinsOf:
        """Return what tells who are twins by all rounds; `same` is what this one found.

        Under masks, what is the same is only heard, and data are frozen: twins stay twins.
        """
        earlier = [self.twins(job, number) for number in range(1, round)]
        return lambda holding: twins_of([*earlier, same], holding)

    def _selected(
        self,
        job: Job,
        round: int,
        updates: Sequence[MineUpdate],
        opened: Mapping[int, Mapping[str, int]],
        reveals: Mapping[str, bytes],
    ) -> Selection:
        """Return a largest set that capsules will open. `opened`: the weights in sums, by round."""
        earlier = Opened.of([opened[number] for number in sorted(opened) if number < round])
        lots = Lots("set", job.bounty, round, reveals)
        return select(job.plan, updates, self.twins(job, round), earlier, self.least(job), lots.below)

    def _check_count(self, job: Job, round: int, updates: Sequence[MineUpdate]) -> None:
        """Check how many updates a sum is of. Raises UsageError."""
        least, most = self.least(job), job.plan.mines_max
        distinct = len(grouped([one.mine for one in updates], self.twins(job, round)))
        if distinct < least:
            once = ", twins counted once" if distinct < len(updates) else ""
            raise UsageError(f"{distinct} updates{once}; a sum takes at least {least}")
        if len(updates) > most:
            raise UsageError(f"{len(updates)} updates; the slot plan has room for {most}")

    def _record_sum(
        self,
        job: Job,
        round: int,
        weights_int: Sequence[int],
        digest: bytes,
        summed: Mapping[str, Aggregated],
    ) -> None:
        """Record that a sum is opened, before it is. Raises LedgerConflict."""
        weighed = (f"{mine} {one.weight}".encode() for mine, one in summed.items())
        self._ledger.record_aggregate(
            job.bounty,
            round,
            digest,
            weights=weights_digest(job.plan, weights_int),
            cohort=digest_of_parts(*sorted(weighed)),
            updates=summed,
        )

    def _in_sum(self, job: Job, round: int) -> dict[str, Aggregated]:
        """What a round's sum was made of. Raises LedgerConflict if none was opened."""
        mines = self._ledger.aggregated(job.bounty, round)
        if not mines:
            raise LedgerConflict(
                f"no sum of round {round} of bounty {job.bounty.hex()} was opened, so it has no scores",
                hint="open the round's sum first; a mine is scored by what it gave to it",
            )
        return mines

    def _vector(
        self, job: Job, round: int, number: int, vector: Sequence[float]
    ) -> tuple[NDArray[np.float64], Page]:
        """A round's vector for scores of `round`, and its page. Raises UsageError."""
        if number > round:
            raise UsageError(f"round {number} comes after round {round}, whose scores were asked for")
        factors: NDArray[np.float64] = np.asarray(vector, dtype=np.float64)
        if factors.shape != (job.plan.weights,) or not np.isfinite(factors).all():
            raise UsageError(f"the coefficients of round {number} are not {job.plan.weights} finite numbers")
        page = self._archive.page(job.bounty, number)
        if page is None:
            raise UsageError(f"round {number} is not known any more", hint="ask which of its updates hold")
        return factors, page

    def _of_sum(self, job: Job, page: Page) -> dict[str, Aggregated]:
        """The updates on a page that were in its round's sum. Raises LedgerConflict for other ones."""
        given = self._ledger.aggregated(job.bounty, page.round)
        found = {mine: given[mine] for mine in page.names if mine in given and mine not in page.outside}
        for mine, one in found.items():
            if one.ciphertexts != page.names[mine]:
                raise LedgerConflict(
                    f"the update of {mine} in round {page.round} is not the one that its sum was made of",
                    hint="ask again which of the round's updates hold, with those of its sum",
                )
        return found

    def _check(self, job: Job, weights_int: Sequence[int], updates: Sequence[MineUpdate]) -> None:
        """Check what a question is about. Raises UsageError, CiphertextError."""
        job.check(self.public)
        if len(weights_int) != job.numbers:
            raise UsageError(f"{len(weights_int)} numbers; a question of the bounty has {job.numbers}")
        if len({one.mine for one in updates}) != len(updates):
            raise UsageError("a mine occurs twice in one round")
        for one in updates:
            one.check(job.form(self.public))
            if one.rows < 1:
                raise UsageError(f"{one.mine}: {one.rows} rows; an update is of at least 1")


def scaled(values: Mapping[str, float]) -> dict[str, int]:
    """Return scores of 16 bits: the largest magnitude becomes 32767, and a positive one stays at least 1.

    Raises UsageError for what is no number.
    """
    if not all(math.isfinite(value) for value in values.values()):
        raise UsageError("a score is not a finite number")
    largest = max((abs(value) for value in values.values()), default=0.0)
    scale = SCORE_MAX / largest if largest else 0.0
    return {mine: _rounded(value * scale, value > 0) for mine, value in values.items()}


def _rounded(score: float, positive: bool) -> int:
    nearest = math.floor(score + 0.5)
    return max(nearest, 1) if positive else nearest
