"""The demo's own conductor, for tests: quiet, and with a hand on the processes."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.demo.report import Report
from sonar.localchain import anvil
from sonar.telling.progress import Line


class QuietView:
    def stage(self, text: str) -> None:
        pass

    def show(self, line: Line) -> None:
        pass

    def close(self) -> None:
        pass


def has_anvil() -> bool:
    return anvil.find() is not None


def run_demo(home: Path, **settings: object) -> Report:
    return Conductor(Settings(home=home, **settings), QuietView()).run()  # type: ignore[arg-type]


@dataclass
class Killer:
    """Sends SIGKILL to one party's process, again and again, at instants that a seed gives."""

    conductor: Conductor
    party: str
    seed: int
    limit: int
    kills: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        draw = random.Random(self.seed)
        killed = None
        while len(self.kills) < self.limit and not self._stop.wait(0.02):
            pid = self.conductor.record.pids.get(self.party)
            if pid is None or pid == killed:
                continue
            if self._stop.wait(draw.uniform(0.05, 2.5)):
                return
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            killed = pid
            self.kills.append(time.time())
