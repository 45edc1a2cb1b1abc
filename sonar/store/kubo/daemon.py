"""The party's own Kubo node: started, watched, restarted when it dies, and ended with us.

Theory of operation. The node lives in a thread: that thread attaches to the repository's daemon if one
answers (a command beside a running mine), else starts one; then it looks every moment whether the daemon is
there, and brings it back after a growing pause if not. Only the thread starts processes, because the system
ends a child together with the thread that made it. The API keeps its port for the life of the object, so that
a store that was made for it stays good.
"""

from __future__ import annotations

import atexit
import fcntl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sonar.errors import SonarError, StoreRefused, StoreUnavailable
from sonar.processes import die_with_parent
from sonar.store.kubo.repo import Repo, Swarm, find_ipfs
from sonar.store.kubo.rpc import KuboRpc
from sonar.telling.progress import Progress

START_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
_POLL_S = 0.1
_LOOK_S = 2.0
"""How often to look at the API: for a daemon that another process started, and for peers."""
_ALONE_S = 10.0
_CONNECT_ANEW_S = 3.0
_STEADY_S = 60.0
_PAUSES_S = (0.2, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_PORT_S = 2.0
_LOG_BYTES = 1 << 20


class KuboNode:
    """A node on `repo` in the given swarm; a context manager. It runs when `start` returns.

    `progress` is told when the daemon dies, when it is back, and when no peer can be reached.
    """

    def __init__(self, repo: Path, swarm: Swarm, progress: Progress | None = None) -> None:
        self.repo = Repo(repo)
        self._swarm, self._progress = swarm, progress or Progress()
        self._process: subprocess.Popen[bytes] | None = None
        self._rpc: KuboRpc | None = None
        self._api_port = 0
        self._ready, self._stopping = threading.Event(), threading.Event()
        self._fault: SonarError | None = None
        self._up_s = 0.0
        self._log_from = 0
        self._thread = threading.Thread(target=self._live, name="kubo", daemon=True)

    def start(self) -> KuboNode:
        """Return when the node's API answers. Raises StoreUnavailable, ClientMissing, ConfigError."""
        atexit.register(self.stop)
        try:
            self._thread.start()
            self._ready.wait()
            if self._fault is not None:
                raise self._fault
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the daemon, if it is ours, and the watch over it. May be called twice."""
        atexit.unregister(self.stop)
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._rpc is not None:
            self._rpc.close()

    def __enter__(self) -> KuboNode:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def api_url(self) -> str:
        """The API's address, with name and password."""
        url = self.repo.api_url()
        if url is None:
            raise StoreUnavailable(f"the IPFS node in {self.repo.path} is not running")
        return url

    @property
    def pid(self) -> int | None:
        """The daemon's process, if this object started it."""
        return self._process.pid if self._process is not None else None

    def peer_id(self) -> str:
        """Return the node's identity in the swarm."""
        return self.repo.peer_id()

    def addresses(self) -> list[str]:
        """Return where peers may connect to, each with the identity: what others name as a bootstrap peer."""
        return [str(address) for address in self._call("id").get("Addresses") or []]

    def peers(self) -> list[str]:
        """Return the identities of the peers that it is connected to."""
        return [str(peer["Peer"]) for peer in self._call("swarm/peers").get("Peers") or []]

    def connect(self, peer: str) -> None:
        """Connect to `peer`, an address with an identity. Raises StoreUnavailable if that fails."""
        try:
            self._call("swarm/connect", arg=peer, timeout="10s")
        except StoreRefused as refusal:
            raise StoreUnavailable(
                f"no connection to the peer {peer}: {refusal.told.splitlines()[-1].strip()}", hint=_PEER_HINT
            ) from refusal

    def _call(self, command: str, **options: str | bool) -> dict[str, Any]:
        if self._rpc is None:
            raise StoreUnavailable(f"the IPFS node in {self.repo.path} is not running")
        return self._rpc.call(command, timeout_s=None, **options)

    # ---- the thread

    def _live(self) -> None:
        try:
            self._open()
        except SonarError as error:
            self._fault = error
        self._ready.set()
        failures = -1
        while self._fault is None and not self._stopping.is_set():
            self._stay()
            failures = 0 if time.monotonic() - self._up_s > _STEADY_S else failures + 1
            if not self._stopping.is_set():
                self._bring_back(failures)
        self._end()

    def _bring_back(self, failures: int) -> None:
        ended = self._process.returncode if self._process is not None else "its other owner"
        self._progress.problem(
            f"the IPFS node ended ({ended}); starting it again", f"its log: {self.repo.log}"
        )
        told = ""
        while not self._stopping.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)]):
            try:
                self._open()
            except SonarError as error:
                failures += 1
                if str(error) != told:
                    self._progress.problem(error)
                told = str(error)
            else:
                self._progress.note("the IPFS node runs again")
                return

    def _open(self) -> None:
        """Attach to the daemon of this repository or start it; return when it answers. Raises SonarError."""
        self._end()
        self._process = None
        program = find_ipfs()
        deadline_s = time.monotonic() + START_WITHIN_S
        with self._alone(deadline_s):
            self.repo.make(program)
            while not self._attach():
                self._launch(program)
                if self._wait_until_up(deadline_s):
                    self._connect_anew()
                    break
                self._stopping.wait(_POLL_S)  # a daemon that is about to end still has the repository
        self._up_s = time.monotonic()

    def _connect_anew(self) -> None:
        """Close the connections that are older than the daemon's exchange of blocks, and open them again.

        Kubo 0.42 connects to its peers before that exchange listens for connections, which then never asks
        these peers for a block: https://github.com/ipfs/boxo/pull/1201.
        """
        early = self.peers()
        for peer in early:
            with suppress(StoreUnavailable):
                self._call("swarm/disconnect", arg=f"/p2p/{peer}")
        until_s = time.monotonic() + _CONNECT_ANEW_S
        for peer in early:
            if time.monotonic() > until_s:
                return  # the others are asked for by routing, or come back by themselves
            with suppress(StoreUnavailable):
                self._call("swarm/connect", arg=f"/p2p/{peer}", timeout=f"{_CONNECT_ANEW_S:g}s")

    @contextmanager
    def _alone(self, deadline_s: float) -> Iterator[None]:
        """Keep two processes from preparing the same repository at once."""
        self.repo.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.repo.path.with_name(f"{self.repo.path.name}.lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if self._stopping.wait(_POLL_S) or time.monotonic() > deadline_s:
                        raise StoreUnavailable(
                            f"another process is busy with {self.repo.path}", hint="wait for it, or end it"
                        ) from error
            yield

    def _attach(self) -> bool:
        """Tell whether this repository's daemon answers, and remember how to speak to it."""
        url = self.repo.api_url()
        if url is None:
            return False
        rpc = KuboRpc(url)
        try:
            if rpc.call("id", timeout_s=2.0).get("ID") == self.repo.peer_id():
                self._rpc, self._api_port = rpc, urlsplit(url).port or 0
                return True
        except StoreUnavailable:
            pass
        rpc.close()
        return False

    def _launch(self, program: Path) -> None:
        if self._stopping.is_set():
            raise StoreUnavailable("the IPFS node is being stopped")
        self._prepare()
        with self.repo.log.open("ab") as log:
            if log.tell() > _LOG_BYTES:
                log.truncate(0)
            self._log_from = log.tell()
            self._process = subprocess.Popen(
                [str(program), "daemon", "--migrate=false", "--enable-gc"],
                env=self.repo.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us, and we end it in order
                preexec_fn=die_with_parent,
            )

    def _prepare(self) -> None:
        """Write the settings; a daemon that is about to end may have the port for a moment."""
        deadline_s = time.monotonic() + _PORT_S
        while True:
            try:
                return self.repo.prepare(self._swarm, self._api_port)
            except StoreUnavailable:
                if time.monotonic() > deadline_s or self._stopping.wait(_POLL_S):
                    raise

    def _wait_until_up(self, deadline_s: float) -> bool:
        """Wait until the process answers; False if another has the repository. Raises StoreUnavailable."""
        assert self._process is not None
        while not self._stopping.is_set():
            if self._attach():
                return True
            if self._process.poll() is not None:
                told = self._said()
                if "lock" in told and time.monotonic() < deadline_s:
                    return False
                raise _why(told, self.repo.path)
            if time.monotonic() > deadline_s:
                raise StoreUnavailable(
                    f"the IPFS node did not come up in {START_WITHIN_S:.0f} s",
                    hint=f"its log: {self.repo.log}",
                )
            time.sleep(_POLL_S)
        raise StoreUnavailable("the IPFS node is being stopped")

    def _said(self) -> str:
        data = self.repo.log.read_bytes()[self._log_from :]
        return data[-2000:].decode(errors="replace").strip()

    def _stay(self) -> None:
        """Return when the daemon is gone, or we are told to stop. Tells when no peer can be reached."""
        alone_since_s, told = time.monotonic(), False
        look_s = time.monotonic() + _LOOK_S
        while not self._stopping.wait(_POLL_S):
            ours = self._process
            if ours is not None and ours.poll() is not None:
                return
            if time.monotonic() < look_s:
                continue
            look_s = time.monotonic() + _LOOK_S
            try:
                connected = bool(self.peers())
            except StoreUnavailable:
                if ours is None:
                    return
                continue  # busy; it is our child, and lives
            if connected or not self._expects_peers():
                alone_since_s = time.monotonic()
                if told:
                    self._progress.note("the IPFS node reaches its swarm again")
                told = False
            elif not told and time.monotonic() - alone_since_s > _ALONE_S:
                told = True
                self._progress.problem("the IPFS node reaches no peer of its swarm", _PEER_HINT)

    def _expects_peers(self) -> bool:
        return any(not peer.endswith(f"/p2p/{self.peer_id()}") for peer in self._swarm.bootstrap)

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _why(told: str, repo: Path) -> StoreUnavailable:
    """Return what kept a daemon from starting, as an error with a hint."""
    hints = {
        "no space left": "free some disk space",
        "needs to be migrated": f"it is an older Kubo's: run `IPFS_PATH={repo} ipfs repo migrate`",
        "lock": f"another daemon runs on {repo}; end it",
        "lower than your repos": "it is a newer Kubo's: install that one",
        "private network": "give it the network's swarm key",
    }
    hint = next((hint for words, hint in hints.items() if words in told), f"its log: {repo}/daemon.log")
    last = next((line for line in reversed(told.splitlines()) if line.startswith("Error")), told[-300:])
    return StoreUnavailable(f"the IPFS node in {repo} did not start: {last}", hint=hint)


_PEER_HINT = "is it running, is its port open to this machine, and is the swarm key the network's?"
