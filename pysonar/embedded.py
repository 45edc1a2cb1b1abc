"""A whole development network on this machine, as processes started by name that end with the session.

`sonar chain` (a chain, its contract and a store), and mines with a part each of the bundled example. The
folder keeps all of it; where the chain is Anvil, a second start there goes on from where the first one ended.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.errors import ConfigError, WaitTimeout
from sonar.home.parties import EXAMPLE, MAX_MINES, init_mine, mine_names, run_mine, told
from sonar.home.settings import NetworkConfig
from sonar.processes import Supervisor
from sonar.telling.amounts import parse_wei
from sonar.telling.documents import ChainReady, PartyReady
from sonar.telling.progress import Progress

CHAIN = "chain"
START_LIMIT_S = 120.0
_MINE_GIFT_WEI = parse_wei("2 ether")

T = TypeVar("T")


class EmbeddedNetwork:
    """A chain, a store and `mines` mines in `folder`; `network_file` is for all who take part.

    Start it from a thread that lasts: on Linux the processes end with that thread, however it ends. Raises
    ConfigError, ProcessFailed if one of them does not start, WaitTimeout.
    """

    def __init__(self, folder: Path, mines: int, progress: Progress) -> None:
        if not 0 <= mines <= MAX_MINES:
            hint = f"the {EXAMPLE} data are enough for {MAX_MINES} mines"
            raise ConfigError("mines", f"{mines} is not within 0 to {MAX_MINES}", hint=hint)
        self._folder, self._progress = folder, progress
        self._supervisor = Supervisor(folder / "logs")
        self.mines: dict[str, str] = {}
        """The mines' names by their addresses."""
        try:
            self.network_file = self._start_chain()
            self._start_mines(mine_names(mines))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process. May be called twice."""
        self._supervisor.stop()

    def _start_chain(self) -> Path:
        self._progress.note("starting a chain and a store on this machine")
        self._supervisor.start(CHAIN, "sonar", ["chain", "--home", str(self._folder / CHAIN), "--json"])
        for _, ready in self._documents(ChainReady, [CHAIN]):
            return Path(ready.network)
        raise AssertionError("unreachable")

    def _start_mines(self, names: Sequence[str]) -> None:
        """Make each mine's home, fund it, and start it as soon as it is ready."""
        if not names:
            return
        self._progress.note(f"starting {len(names)} mines, each with data and keys of its own")
        network = NetworkConfig.load(self.network_file)
        market = Market.connect(network)
        for number, name in enumerate(names, start=1):
            init_mine(self._supervisor, self._folder / name, self.network_file, f"{number}/{len(names)}")
        for name, ready in self._documents(PartyReady, names):
            address = ready.address
            if market.ether(address) < _MINE_GIFT_WEI // 2:
                fund(network, address, _MINE_GIFT_WEI)
            self._supervisor.wait(name)
            run_mine(self._supervisor, self._folder / name, quiet=True)
            self.mines[address] = name
        self._progress.note(f"{len(names)} mines are waiting for a bounty")

    def _documents(self, kind: type[T], parties: Sequence[str]) -> Iterator[tuple[str, T]]:
        """Yield what each of the parties tells when it is ready, in the order in which they are."""
        limit, left = time.monotonic() + START_LIMIT_S, set(parties)
        while left:
            try:
                line = self._supervisor.lines.get(timeout=0.2)
            except queue.Empty:
                self._supervisor.require_healthy()
                if time.monotonic() > limit:
                    what = ", ".join(sorted(left))
                    raise WaitTimeout(f"waited {START_LIMIT_S:.0f} s for {what} to start") from None
                continue
            ready = told(kind, line.text)
            if line.party in left and ready is not None:
                left.remove(line.party)
                yield line.party, ready
