"""Real Kubo nodes for tests: private swarms on this machine, skipped by name where there is no `ipfs`."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sonar.errors import StoreUnavailable
from sonar.store.kubo.daemon import KuboNode
from sonar.store.kubo.repo import LOOPBACK, Swarm
from sonar.telling.progress import ListSink, Progress

needs_kubo = pytest.mark.skipif(
    not (os.environ.get("SONAR_IPFS") or shutil.which("ipfs")),
    reason="Kubo is not installed: no `ipfs` on PATH, and SONAR_IPFS names none",
)


def swarm_key() -> bytes:
    return f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n".encode()


class Nodes:
    """Starts nodes, and ends them all; `told[name]` is what a node's progress told."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.key, self._stack = folder, swarm_key(), stack
        self.told: dict[str, ListSink] = {}

    def start(self, name: str, *bootstrap: str, key: bytes | None = None, listen: str = LOOPBACK) -> KuboNode:
        self.told[name] = ListSink()
        swarm = Swarm(key or self.key, bootstrap, listen)
        node = KuboNode(self.folder / name / "ipfs", swarm, Progress(self.told[name], name))
        return self._stack.enter_context(node)


@contextmanager
def swarm_in(folder: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(folder, stack)


def eventually(check: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait until `check` is true; a store that does not answer is not yet."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            if check():
                return
        except StoreUnavailable:
            pass
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(0.05)
