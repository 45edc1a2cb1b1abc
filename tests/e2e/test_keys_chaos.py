"""`pysonar rotate` beside a running bounty, itself killed -9, and the campaign too, at seeded instants.

`make chaos-keys` takes twenty instants; `make test` a few. Real processes, with audited capsules and without:
losses are what they are without a change to the last bit, and nobody loses a stake.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pysonar.rotating import keys_of
from pysonar.wiring import open_scientist
from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.demo.view import SCIENTIST
from sonar.telling.progress import NullSink
from tests.e2e.kit import QuietView, has_anvil
from tests.e2e.test_chaos import check_the_same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
CHAIN = "anvil" if has_anvil() else "eth-tester"
INSTANTS = int(os.environ.get("SONAR_KEYS_CHAOS", "1"))
MINES, ROUNDS = 3, 15


@dataclass
class Changes:
    """Changes the key of a running bounty, and kills -9 the command, and at times the campaign."""

    conductor: Conductor
    home: Path
    seed: int
    limit: int
    killed: int = 0
    asked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        options = ["--home", str(self.home), "--password-file", str(self.home / "password"), "--json"]
        self._command = [sys.executable, "-m", "pysonar", "rotate", *options]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self.killed < self.limit and not self._stop.wait(0.05):
            if not list((self.home / "keys").glob("*.opened")):  # the campaign has not begun
                continue
            child = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._draw.random() < 0.5:
                self._kill_campaign()
            self._stop.wait(self._draw.uniform(0.3, 3.0))
            self.killed += child.poll() is None
            child.send_signal(signal.SIGKILL)
            child.wait()
            whole = subprocess.run(self._command, capture_output=True, check=False)
            assert b"Traceback" not in whole.stderr, whole.stderr
            self.asked += whole.returncode == 0  # refused in the last round, and after it

    def _kill_campaign(self) -> None:
        pid = self.conductor.record.pids.get(SCIENTIST, 0)
        if pid and not self._stop.is_set():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def test_the_key_changes_under_kills_and_no_loss_does(tmp_path: Path) -> None:
    killed, counted, run = 0, 0, 0
    while killed < INSTANTS or not counted:
        run += 1
        assert run <= 4 + INSTANTS, f"only {killed} kills in {run - 1} runs"
        capsules = 3 if run % 2 else 0
        settings = Settings(tmp_path / str(run), mines=MINES, rounds=ROUNDS, chain=CHAIN, capsules=capsules)
        conductor = Conductor(settings, QuietView())
        home = settings.home / SCIENTIST
        changes = Changes(conductor, home, seed=run, limit=max(INSTANTS - killed, 1))
        changes.start()
        try:
            report = conductor.run()
        finally:
            changes.stop()
        killed += changes.killed
        check_the_same(report, changes.killed, ROUNDS)
        keys = keys_of(open_scientist(home, NullSink()), "diabetes")
        counted += sum(key.first_round > 1 for key in keys)
    print(f"{killed} commands killed, {counted} changes of the key, in {run} runs")
