"""A chain on this machine for development: Anvil if it is installed, else eth-tester behind JSON-RPC."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from sonar.errors import ClientMissing, ConfigError
from sonar.localchain import anvil
from sonar.protocol.ids import Address

CLIENTS = ("auto", "anvil", "eth-tester")


@dataclass
class LocalChain:
    """A running chain. `pid` is the client's process; eth-tester runs in ours. `stop` may be called twice."""

    url: str
    client: str
    chain_id: int
    pid: int
    notes: list[str] = field(default_factory=list)
    _stop: Callable[[], None] = lambda: None
    _alive: Callable[[], bool] = lambda: True

    def stop(self) -> None:
        """End the chain."""
        stop, self._stop = self._stop, lambda: None
        stop()

    def alive(self) -> bool:
        """Tell whether the client still runs."""
        return self._alive()

    def __enter__(self) -> LocalChain:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    client: str = "auto",
    *,
    port: int = 0,
    host: str = anvil.LOOPBACK,
    state_dir: Path | None = None,
    fund: Mapping[Address, int] | None = None,
    clock: Callable[[], float] = time.time,
) -> LocalChain:
    """Start a chain that listens at `host`; return when it answers. Accounts in `fund` hold that many wei.

    A development chain obeys whoever reaches it, so a `host` other than this machine's 127.0.0.1 must be
    asked for, and only Anvil accepts one. `port` 0 takes any. Anvil keeps its state in `state_dir`;
    eth-tester keeps nothing, and takes its time from `clock`. Raises ConfigError (unknown client, host),
    ClientMissing, PortInUse, ChainUnavailable.
    """
    if client not in CLIENTS:
        raise ConfigError("client", f"{client!r} is not one of {', '.join(CLIENTS)}")
    if client == "auto":
        client = "anvil" if anvil.find() else "eth-tester"
    if client == "anvil":
        process = anvil.Anvil(port=port, state_dir=state_dir, fund=fund or {}, host=host)
        return LocalChain(
            process.url, client, anvil.CHAIN_ID, process.pid, process.notes, process.stop, process.alive
        )
    if host != anvil.LOOPBACK:
        raise ConfigError("host", f"eth-tester listens on {anvil.LOOPBACK} only", hint="use --client anvil")
    if find_spec("eth_tester") is None or find_spec("eth") is None:
        raise ClientMissing(
            "neither Anvil nor eth-tester is installed", hint="pip install 'sonar-network[embedded]'"
        )
    from sonar.localchain.jsonrpc import Server
    from sonar.localchain.tester import CHAIN_ID, TesterChain

    chain = TesterChain(fund or {}, clock=clock, heartbeat=True)
    try:
        server = Server(chain.methods, port)
    except BaseException:
        chain.stop()
        raise

    def stop() -> None:
        server.stop()
        chain.stop()

    return LocalChain(server.url, client, CHAIN_ID, os.getpid(), [], stop)
