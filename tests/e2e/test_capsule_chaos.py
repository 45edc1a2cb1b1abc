"""One of three capsules killed -9, paused, and put back from an older backup, at seeded instants.

`make chaos-capsules` takes a hundred instants; `make test` a few. Every campaign ends as if nothing had
happened, and no ledger that the capsule ever had, together with the others, tells more than one ledger may.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from tests.e2e.kit import QuietView, has_anvil
from tests.e2e.test_chaos import check_the_same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
CHAIN = "anvil" if has_anvil() else "eth-tester"
INSTANTS = int(os.environ.get("SONAR_CAPSULE_CHAOS", "3"))
MINES, ROUNDS = 3, 6
LEDGER = "ledger.sqlite"


@dataclass
class Chaos:
    """Does something to one capsule's process, again and again. `lost` are its ledgers that were replaced."""

    conductor: Conductor
    home: Path
    seed: int
    limit: int
    done: Counter[str] = field(default_factory=Counter)
    lost: list[Path] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self.victim = self._draw.choice(["capsule-1", "capsule-2", "capsule-3"])
        self._backup = self.home / "backup"
        self._kinds = cycle(self._draw.sample(["kill", "pause", "restore"], 3))

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        record, gone = self.conductor.record, 0
        while sum(self.done.values()) < self.limit and not self._stop.wait(0.05):
            pid = record.pids.get(self.victim, 0)
            if self.victim not in record.capsules or pid in (0, gone):  # not at work yet, or not again
                continue
            if self._stop.wait(self._draw.uniform(0.05, 1.5)):
                return
            try:
                if not self._backup.exists():  # made at once: it is older than whatever is lost
                    self._do("copy", pid)
                    continue
                what = next(self._kinds)
                gone = self._do(what, pid)
            except ProcessLookupError:
                continue
            self.done[what] += 1

    def _do(self, what: str, pid: int) -> int:
        """Return the process that is gone, 0 for none."""
        if what == "kill":
            os.kill(pid, signal.SIGKILL)
            return pid
        os.kill(pid, signal.SIGSTOP)
        try:
            if what == "pause":
                self._stop.wait(self._draw.uniform(0.2, 4.0))
                return 0
            if what == "copy":
                self._copy(self._backup)
                return 0
            self._put_back()
            os.kill(pid, signal.SIGKILL)
            return pid
        finally:
            os.kill(pid, signal.SIGCONT)

    def _files(self) -> list[Path]:
        return sorted((self.home / self.victim).glob(f"{LEDGER}*"))

    def _copy(self, folder: Path) -> None:
        folder.mkdir()
        for file in self._files():
            shutil.copy(file, folder)

    def _put_back(self) -> None:
        """As an operator who stops the capsule and restores the ledger; what it had stays beside, for us."""
        lost = self.home / f"lost-{len(self.lost)}"
        self._copy(lost)
        self.lost.append(lost)
        for file in self._files():
            file.unlink()
        for file in self._backup.iterdir():
            shutil.copy(file, self.home / self.victim)


def test_one_of_three_capsules_in_trouble_changes_nothing(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    run = 0
    while sum(done.values()) < INSTANTS:
        run += 1
        assert run <= 2 + INSTANTS, f"only {done} in {run - 1} runs"
        settings = Settings(tmp_path / str(run), mines=MINES, rounds=ROUNDS, chain=CHAIN)
        conductor = Conductor(settings, QuietView())
        chaos = Chaos(conductor, settings.home, seed=run, limit=INSTANTS - sum(done.values()))
        thread = chaos.start()
        try:
            report = conductor.run()
        finally:
            chaos.stop()
            thread.join()
        done += chaos.done
        check_the_same(report, sum(chaos.done.values()), ROUNDS)
        assert report.capsules is not None
        signed = Counter(number for row in report.capsules.rows for number in row.signed)
        assert signed == dict.fromkeys(range(1, ROUNDS + 1), 2)
        for name in settings.capsule_names():
            lost = chaos.lost if name == chaos.victim else []
            check_told([settings.home / name, *lost], report.capsules.bits)
    print(dict(done), f"in {run} runs")


def check_told(folders: list[Path], bits: int) -> None:
    """All that one capsule ever told: one set a round, one answer an ask, and no more bits than it may."""
    asks: dict[tuple[object, ...], tuple[int, str]] = {}
    sets: dict[tuple[object, ...], bytes] = {}
    for folder in folders:
        with closing(sqlite3.connect(folder / LEDGER)) as ledger:
            for *place, size, told in ledger.execute("SELECT bounty, round, mine, ask, bits, told FROM ask"):
                assert asks.setdefault(tuple(place), (size, told)) == (size, told)
            for *place, digest in ledger.execute("SELECT bounty, round, digest FROM cohort WHERE opened"):
                assert sets.setdefault(tuple(place), digest) == digest
    assert sets
    assert all(count <= bits for count in counted(asks))


def counted(asks: dict[tuple[object, ...], tuple[int, str]]) -> Iterator[int]:
    """The bits told of each mine in each round."""
    found: Counter[tuple[object, ...]] = Counter()
    for place, (size, _) in asks.items():
        found[place[:3]] += size
    yield from found.values()


def test_two_sets_and_too_many_bits_would_be_found(tmp_path: Path) -> None:
    for name, digest in (("a", b"1"), ("b", b"2")):
        (tmp_path / name).mkdir()
        with closing(sqlite3.connect(tmp_path / name / LEDGER)) as ledger, ledger:
            ledger.execute("CREATE TABLE ask (bounty, round, mine, ask, bits, told)")
            ledger.execute("CREATE TABLE cohort (bounty, round, digest, opened)")
            ledger.execute("INSERT INTO ask VALUES ('x', 1, 'm', ?, 200, '[1]')", [digest])
            ledger.execute("INSERT INTO cohort VALUES ('x', ?, ?, 1)", [1 if name == "b" else 2, digest])
    check_told([tmp_path / "a"], 256)
    with pytest.raises(AssertionError):
        check_told([tmp_path / "a", tmp_path / "b"], 256)  # 400 bits of one mine in a round
    with closing(sqlite3.connect(tmp_path / "a" / LEDGER)) as ledger, ledger:
        ledger.execute("UPDATE cohort SET round = 1")
    with pytest.raises(AssertionError):
        check_told([tmp_path / "a", tmp_path / "b"], 512)  # two sets of round 1
