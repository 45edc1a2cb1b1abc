"""Start processes, read their progress, and end every one of them, whatever happens.

Each process writes progress as JSON lines on its standard output (`sonar.telling.progress`) and everything
else on its standard error, which goes to a log file of its own.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO

from sonar.errors import ClientMissing, EnvironmentFault, RemoteError, WaitTimeout
from sonar.processes import die_with_parent
from sonar.processes.forkserver import SUPPORTED, Forked, ForkServer
from sonar.processes.patience import STILL_MAX_S, Movement
from sonar.telling import documents
from sonar.telling.progress import Problem
from sonar.telling.versions import DISTRIBUTIONS
from sonar.telling.waiting import interrupts_held

STOP_GRACE_S, STOP_WITHIN_S = 15.0, 60.0
"""After SIGTERM, how long a process may stand still, and how long it may run."""


@dataclass(frozen=True)
class Line:
    """One line that a process wrote on its standard output; `text` is None when the stream ended."""

    party: str
    text: str | None


class ProcessFailed(EnvironmentFault):
    """A process that was started here ended with an error."""


@dataclass
class Child:
    """A running process and where it logs. `quiet`: what it tells goes to its log too, and not to `lines`."""

    party: str
    process: subprocess.Popen[str] | Forked
    log: Path
    _go: IO[str]
    _steps_left: int
    quiet: bool = False

    def __post_init__(self) -> None:
        self.movement = Movement(self.pid)
        self.told = ""  # the last line on its standard output
        self.told_all = threading.Event()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def go_on(self, *, quiet: bool = False) -> None:
        """Let it begin its next step. If it has ended meanwhile, the supervisor notices."""
        self.quiet = quiet
        with suppress(OSError):
            self._go.write("\n")
            self._go.flush()
        self.step()

    def step(self) -> None:
        """Count a step that has begun; after the last one its standard input ends."""
        self._steps_left -= 1
        if not self._steps_left:
            with suppress(OSError):
                self._go.close()

    def last_words(self, lines: int = 12) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def failure(self) -> ProcessFailed:
        """Return the error for a bad end: what the process said last, or the end of its log."""
        self.told_all.wait(1.0)
        ended = f"{self.party} ended with exit code {self.process.returncode}"
        hint = f"its whole log: {self.log}"
        try:
            problem = documents.read(Problem, self.told)
        except RemoteError:
            return ProcessFailed(f"{ended}:\n{self.last_words()}", hint=hint)
        return ProcessFailed(f"{ended}: {problem.error}", hint="; ".join(filter(None, (problem.hint, hint))))


class Supervisor:
    """Owns a set of processes. Use it as a context manager: leaving it ends all of them.

    After `load`, programs are forked from a process that has loaded them, where the system allows it; else
    each is started by itself.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, Child] = {}
        self._forks: ForkServer | None = None
        self.lines: queue.Queue[Line] = queue.Queue()
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def load(self, *modules: str) -> None:
        """Load what the next programs need. `modules` are run once, for what they import.

        It is not waited for. See `sonar.processes.forkserver`.
        """
        if self._forks is None and SUPPORTED:
            with (self._logs / "forkserver.log").open("a") as log, interrupts_held():
                self._forks = ForkServer(log)
        if self._forks is not None:
            self._forks.load(modules)

    def start(self, party: str, *steps: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start a process of `party` that runs `python -m` with each of `steps`, a module and its arguments.

        Between two steps it waits for `Child.go_on`. A second process of the same party appends to its log.
        Raises ClientMissing if a module is one of ours that is not installed.
        """
        for module, *_ in steps:
            if module in DISTRIBUTIONS and find_spec(module) is None:
                hint = f"pip install {DISTRIBUTIONS[module]}"
                raise ClientMissing(f"the program `{module}` is not installed", hint=hint)
        path = self._logs / f"{party}.log"
        heard, go = os.pipe()
        told, tell = os.pipe()
        # Python's own hooks would swallow an interrupt in the middle of a fork, or it would lose the child.
        with path.open("a") as log, interrupts_held():
            process = self._process(steps, dict(env or {}), (heard, tell, log.fileno()))
            child = self._children[party] = Child(party, process, path, os.fdopen(go, "w"), len(steps))
        for end in (heard, tell):
            os.close(end)
        child.step()
        threading.Thread(target=self._read, args=(child, os.fdopen(told)), daemon=True).start()
        return child

    def _process(
        self, steps: Sequence[Sequence[str]], env: dict[str, str], files: tuple[int, int, int]
    ) -> subprocess.Popen[str] | Forked:
        if self._forks is not None and (forked := self._forks.start(steps, env, files)) is not None:
            return forked
        module, *args = steps[0] if len(steps) == 1 else ["sonar.processes.steps", json.dumps(steps)]
        stdin, stdout, stderr = files
        return subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **env},
            text=True,
            # Its own session: Ctrl-C reaches us alone, and we end the children in order.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def _read(self, child: Child, stream: IO[str]) -> None:
        with stream, child.log.open("a") as log:
            for text in stream:
                child.told = text
                if child.quiet:
                    log.write(text)
                    log.flush()
                else:
                    self.lines.put(Line(child.party, text.rstrip("\n")))
        child.told_all.set()
        self.lines.put(Line(child.party, None))

    def child(self, party: str) -> Child:
        """Return the party's newest process."""
        return self._children[party]

    def ended_badly(self) -> list[Child]:
        """Return the processes that ended by a signal or with an error."""
        return [child for child in self._children.values() if child.process.poll() not in (None, 0)]

    def ended_well(self, besides: Collection[str]) -> bool:
        """Tell whether all processes but those of `besides` ended without an error; one killed did not."""
        return all(
            child.process.poll() == 0 for party, child in self._children.items() if party not in besides
        )

    def require_healthy(self) -> None:
        """Raise ProcessFailed when a process has ended badly."""
        for child in self.ended_badly():
            raise child.failure()

    def next_line(self, timeout_s: float = 0.2) -> Line | None:
        """Return the next line from a process; None if none comes in that time."""
        try:
            return self.lines.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def require_movement(self, parties: Iterable[str]) -> None:
        """Raise WaitTimeout if one of these processes has stood still so long that it hangs."""
        for child in (self._children[party] for party in parties):
            if (still_s := child.movement.still_s()) > STILL_MAX_S:
                raise WaitTimeout(
                    f"{child.party} has done nothing for {still_s:.0f} s, and is not ready:\n"
                    f"{child.last_words()}",
                    hint=f"its whole log: {child.log}",
                )

    def stop(self, parties: Sequence[str] | None = None) -> None:
        """End the named parties, or all: SIGTERM first, SIGKILL for one that continues or stands still."""
        children = [c for name, c in self._children.items() if parties is None or name in parties]
        for child in children:
            _signal(child, signal.SIGTERM)
        until_s = time.monotonic() + STOP_WITHIN_S
        for child in children:
            movement = Movement(child.pid)
            while child.process.poll() is None:
                if movement.still_s() > STOP_GRACE_S or time.monotonic() > until_s:
                    _signal(child, signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(0.2)
        if parties is None and self._forks is not None:
            self._forks.stop()
            self._forks = None


def _signal(child: Child, number: signal.Signals) -> None:
    """Signal a child's whole process group: what it started ends with it."""
    if child.process.poll() is None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
