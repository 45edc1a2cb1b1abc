"""A process that has loaded our programs and starts them by forking itself, so Python starts only once.

Eleven programs that are started one by one load the same 900 modules eleven times, a second of a core each.
A forked one needs a hundredth of that, and is still a separate process, with its own memory, signals, files
and exit code. The server has one thread and holds no secret. Linux only: elsewhere, libraries do not survive
a fork.

The server is asked through a socket, one JSON object a packet: {"load": [module]}, or {"steps", "env"}
with the files that become standard input, output and error. It answers {"pid"} to the latter, in order,
and tells {"pid", "code"} when a program has ended. It ends with the process that uses it, and its programs
end with it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import queue
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from sonar.processes import die_with_parent, steps
from sonar.starting import start_lightly

SUPPORTED = sys.platform == "linux"
_MAX_BYTES = 1 << 16


class Forked:
    """A program that a fork server has started: as much of `subprocess.Popen` as is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        """Return the exit code, minus the signal's number if one has ended it; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def end(self, code: int) -> None:
        """Record that it has ended."""
        self.returncode = code
        self._ended.set()


class ForkServer:
    """The asking side. What the server tells goes to `log`. Use it from one thread."""

    def __init__(self, log: IO[Any]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "sonar.processes.forkserver", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                # Matrices are small here, and a process with threads must not be forked.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._pids: queue.Queue[int | None] = queue.Queue()
        self._children: dict[int, Forked] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def load(self, modules: Sequence[str]) -> None:
        """Have the server run modules for what they import, without waiting."""
        with suppress(OSError):
            self._socket.send(json.dumps({"load": list(modules)}).encode())

    def start(
        self, programs: Sequence[Sequence[str]], env: Mapping[str, str], files: Sequence[int]
    ) -> Forked | None:
        """Start a process with these steps; `files` become its standard input, output and error.

        None if the server is gone.
        """
        request = json.dumps({"steps": programs, "env": dict(env)})
        try:
            socket.send_fds(self._socket, [request.encode()], list(files))
        except OSError:
            return None
        pid = self._pids.get()
        return None if pid is None else self._children[pid]

    def stop(self) -> None:
        """End the server, and what it has started."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._server.wait()
        self._listener.join()  # it reads from the socket until then
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while packet := self._socket.recv(_MAX_BYTES):
                told = json.loads(packet)
                if "code" in told:
                    self._children[told["pid"]].end(told["code"])
                else:
                    self._children[told["pid"]] = Forked(told["pid"])
                    self._pids.put(told["pid"])
        self._pids.put(None)
        for child in self._children.values():
            if child.poll() is None:  # they end with the server
                child.end(-signal.SIGTERM)


# ---- the server


def serve(asked: socket.socket) -> list[list[str]]:
    """Serve until nobody asks any more; in a forked process, return its steps."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(asked, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, _MAX_BYTES)
                _reap(asked)
            if asked not in ready:
                continue
            packet, files, _, _ = socket.recv_fds(asked, _MAX_BYTES, 3)
            if not packet:
                return []
            request = json.loads(packet)
            if "load" in request:
                _load(request["load"])
            elif (pid := _fork(asked, files)) == 0:
                break
            else:
                asked.send(json.dumps({"pid": pid}).encode())
    asked.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in (woken, wake):
        os.close(each)
    _become(request["env"], files)
    return list(request["steps"])


def _load(modules: Sequence[str]) -> None:
    """Run modules for what they import."""
    for module in modules:
        try:
            runpy.run_module(module)
        except ImportError as error:  # starting a program that is not installed reports that
            print(f"{module} cannot be loaded: {error}", file=sys.stderr)
    gc.collect()
    gc.freeze()  # what is here stays: no child need look through it, nor copy it by doing so


def _fork(asked: socket.socket, files: Sequence[int]) -> int:
    pid = os.fork()
    if pid:
        for each in files:
            os.close(each)
        with suppress(OSError):  # on both sides, so that nobody sees it without; the child may have ended
            os.setpgid(pid, pid)
    return pid


def _become(env: Mapping[str, str], files: Sequence[int]) -> None:
    """Make a forked process what it would be if it had been started normally."""
    os.setpgid(0, 0)
    die_with_parent()
    for target, each in enumerate(files):
        os.dup2(each, target)
        os.close(each)
    # Anew, as Python makes them at its start: the old ones know what kind of files they stood for.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.update(env)
    # Python's own randomness and OpenSSL's notice a fork. numpy's does not: all would draw the same numbers.
    if (random := sys.modules.get("numpy.random")) is not None:
        random.seed()


def _reap(asked: socket.socket) -> None:
    """Report which programs have ended."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            with suppress(OSError):
                asked.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def main() -> int:
    """Serve on the socket whose number is the first argument, or live as the process that was asked for."""
    start_lightly()  # as our programs do by themselves, where they are too late for it
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        programs = serve(asked)
    if programs:
        _leave(steps.run(programs))
    return 0


def _leave(code: int) -> None:
    """End as forked processes do: to take apart what was loaded takes longer than many a program."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
