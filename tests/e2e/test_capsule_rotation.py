"""Capsules whose keys and accounts change at seeded instants of a campaign, also by commands that are killed.

`make chaos-keys` takes twenty instants; `make test` a few. Every campaign ends as if nothing had
happened, no stake is lost, and no capsule told of two sets in a round.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from capsule.wiring import open_capsule
from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.demo.view import SCIENTIST
from sonar.telling.progress import ListSink
from tests.e2e.kit import QuietView, has_anvil
from tests.e2e.test_capsule_chaos import LEDGER, check_told
from tests.e2e.test_chaos import check_the_same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
CHAIN = "anvil" if has_anvil() else "eth-tester"
INSTANTS = int(os.environ.get("SONAR_ROTATION_CHAOS", "2"))
MINES, ROUNDS = 3, 6
KINDS = ("epoch", "account", "epoch, killed", "account, killed", "epoch, and the capsule killed")


class Patient(Conductor):
    """Starts a capsule that was killed again, but not while its operator works in its home."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, QuietView())
        self.working = threading.Lock()

    def _revive(self) -> bool:
        with self.working:
            return super()._revive()


@dataclass
class Rotations:
    """Changes a capsule's keys, again and again; of another capsule each time."""

    conductor: Patient
    home: Path
    seed: int
    limit: int
    done: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._kinds = cycle(self._draw.sample(KINDS, len(KINDS)))

    def _count(self) -> int:
        return self.done.total() - self.done["followed"]

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while self._count() < self.limit and not self._stop.is_set():
            kind, name = next(self._kinds), self._draw.choice(["capsule-1", "capsule-2", "capsule-3"])
            number = self._draw.randrange(1, 14) if kind.endswith(", killed") else 0
            words = ["rotate", *(["--account"] if kind.startswith("account") else [])]
            command = [sys.executable, "-m", "tests.e2e.waiting_command", str(number), str(self.home / name)]
            with subprocess.Popen(
                [*command, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                if self._wait_for(name, process):
                    self._do(kind, name, process)
                else:
                    process.kill()

    def _wait_for(self, name: str, process: subprocess.Popen[str]) -> bool:
        """Wait until the command is loaded and the capsule serves the bounty, and then a while."""
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.stdout.read()
        while not (self._pid(name) and self._serves(name)):
            if self._stop.wait(0.02):
                return False
        return not self._stop.wait(self._draw.uniform(0.0, 1.0))

    def _pid(self, name: str) -> int:
        record = self.conductor.record
        return record.pids.get(name, 0) if name in record.capsules else 0

    def _serves(self, name: str) -> bool:
        """Who lists the old account could not post a new bounty; the test's has begun by then."""
        try:
            with closing(sqlite3.connect(self.home / name / LEDGER)) as ledger:
                return bool(ledger.execute("SELECT 1 FROM bounty").fetchone())
        except sqlite3.Error:
            return False

    def _do(self, kind: str, name: str, process: subprocess.Popen[str]) -> None:
        with self.conductor.working:
            if kind.startswith("account"):
                os.kill(self._pid(name), signal.SIGKILL)
            told, _ = process.communicate("go\n", timeout=120)
        if process.returncode not in (0, -signal.SIGKILL):
            assert self._stop.is_set(), told  # the run is over, and its chain with it
            return
        if kind == KINDS[-1]:
            os.kill(self._pid(name), signal.SIGKILL)
        if kind == "account" and self._followed():
            os.kill(self.conductor.record.pids[SCIENTIST], signal.SIGKILL)  # it goes on with the new file
        self.done[kind] += 1

    def _followed(self) -> bool:
        """Have the scientist's file list the new account, once its capsule serves again."""
        follow = ["capsules", "--follow", "--yes", "--home", str(self.home / SCIENTIST), "--json"]
        while not self._stop.wait(0.2):
            run = subprocess.run([sys.executable, "-m", "sonar", *follow], capture_output=True, text=True)
            if run.returncode == 0 and json.loads(run.stdout.splitlines()[-1])["written"]:
                self.done["followed"] += 1
                return True
        return False


def test_keys_and_accounts_that_change_in_a_campaign_change_nothing_else(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    run = 0
    while done.total() - done["followed"] < INSTANTS:
        run += 1
        assert run <= 2 + INSTANTS, f"only {done} in {run - 1} runs"
        settings = Settings(tmp_path / str(run), mines=MINES, rounds=ROUNDS, chain=CHAIN)
        conductor = Patient(settings)
        rotations = Rotations(
            conductor, settings.home, seed=run, limit=INSTANTS - done.total() + done["followed"]
        )
        thread = rotations.start()
        try:
            report = conductor.run()
        finally:
            rotations.stop()
            thread.join()
        done += rotations.done
        check_the_same(report, sum(rotations.done.values()), ROUNDS)
        assert report.capsules is not None
        signed = Counter(number for row in report.capsules.rows for number in row.signed)
        assert signed == dict.fromkeys(range(1, ROUNDS + 1), 2)
        for name in settings.capsule_names():
            check_told([settings.home / name], report.capsules.bits)
            check_keys(settings.home / name)
    print(dict(done), f"in {run} runs")


def check_keys(home: Path) -> None:
    """Every key opens under the account that signed it, and the newest is the newest account's."""
    capsule = open_capsule(home, ListSink())
    password = capsule.password(None)
    accounts = [*capsule.unlock_former(password), capsule.unlock(password)]
    opened = {epoch for account in accounts for epoch in capsule.keys.load(account)}
    assert sorted(opened) == capsule.keys.epochs()
    assert capsule.keys.public().key.account in capsule.all_accounts
    capsule.close()
