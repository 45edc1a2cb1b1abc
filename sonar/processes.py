"""Start processes, read their progress, and end every one of them, whatever happens.

Each process writes progress as JSON lines on its standard output (`sonar.telling.progress`) and everything
else on its standard error, which goes to a log file of its own.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO

from sonar.errors import ClientMissing, EnvironmentFault
from sonar.telling.versions import DISTRIBUTIONS
from sonar.telling.waiting import interrupts_held

STOP_GRACE_S = 5.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


@dataclass(frozen=True)
class Line:
    """One line that a process wrote on its standard output; `text` is None when the stream ended."""

    party: str
    text: str | None


class ProcessFailed(EnvironmentFault):
    """A process that was started here ended with an error."""


def die_with_parent() -> None:
    """As Popen's `preexec_fn`: have the system end the child when its parent is gone, even by kill -9.

    Linux only; elsewhere it does nothing. The parent is the thread that started the child: start children
    from a thread that lasts.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """A running process and where it logs."""

    party: str
    popen: subprocess.Popen[str]
    log: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    def last_words(self, lines: int = 12) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def failure(self) -> ProcessFailed:
        """Return what to raise when it has ended badly."""
        return ProcessFailed(
            f"{self.party} ended with exit code {self.popen.returncode}:\n{self.last_words()}",
            hint=f"its whole log: {self.log}",
        )


class Supervisor:
    """Owns a set of processes. Use it as a context manager: leaving it ends all of them."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, Child] = {}
        self.lines: queue.Queue[Line] = queue.Queue()
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        party: str,
        module: str,
        args: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        quiet: bool = False,
    ) -> Child:
        """Start `python -m module args` as `party`; a second process of the same party appends to its log.

        With `quiet`, its standard output goes to its log too, and not to `lines`. Raises ClientMissing if the
        module is one of ours that is not installed.
        """
        if module in DISTRIBUTIONS and find_spec(module) is None:
            hint = f"pip install {DISTRIBUTIONS[module]}"
            raise ClientMissing(f"the program `{module}` is not installed", hint=hint)
        path = self._logs / f"{party}.log"
        # An interrupt in the middle of a fork would be swallowed by Python's own hooks, or lose us the child.
        with path.open("a") as log, interrupts_held():
            popen = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                stdin=subprocess.DEVNULL,
                stdout=log if quiet else subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(env or {})},
                text=True,
                # Its own session: Ctrl-C reaches us alone, and we end the children in order.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            child = self._children[party] = Child(party, popen, path)
        if popen.stdout is not None:
            threading.Thread(target=self._read, args=(party, popen.stdout), daemon=True).start()
        return child

    def _read(self, party: str, stream: IO[str]) -> None:
        with stream:
            for text in stream:
                self.lines.put(Line(party, text.rstrip("\n")))
        self.lines.put(Line(party, None))

    def ended_badly(self) -> list[Child]:
        """Return the processes that ended by a signal or with an error."""
        return [child for child in self._children.values() if child.popen.poll() not in (None, 0)]

    def ended_well(self, besides: str) -> bool:
        """Tell whether all processes but one party's ended without an error; one that was killed did not."""
        return all(child.popen.poll() == 0 for party, child in self._children.items() if party != besides)

    def wait(self, party: str) -> None:
        """Wait until the party's process has ended, and check that it ended well. Raises ProcessFailed."""
        child = self._children[party]
        if child.popen.wait():
            raise child.failure()

    def require_healthy(self) -> None:
        """Raise ProcessFailed when a process has ended badly."""
        for child in self.ended_badly():
            raise child.failure()

    def stop(self, parties: Sequence[str] | None = None) -> None:
        """End the named parties, or all: SIGTERM first, SIGKILL after a grace period."""
        children = [c for name, c in self._children.items() if parties is None or name in parties]
        for child in children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        for child in children:
            try:
                child.popen.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.popen.wait()


def _signal(child: Child, number: signal.Signals) -> None:
    """Signal a child's whole process group: what it started ends with it."""
    if child.popen.poll() is None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
