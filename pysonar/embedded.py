"""A whole development network on this machine, as processes started by name that end with the session.

`sonar chain` (a chain, its contract and a store), and mines with a part each of the bundled example. The
folder keeps all of it; with Anvil, a second start there continues where the first one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.chain.rpc import Rpc
from sonar.errors import ConfigError
from sonar.home.parties import (
    EXAMPLE,
    LOADS_OF_CAPSULE,
    LOADS_OF_CHAIN,
    LOADS_OF_MINE,
    MAX_CAPSULES,
    MAX_MINES,
    capsule_at_work,
    capsule_init,
    capsule_names,
    list_capsules,
    mine_at_work,
    mine_init,
    mine_names,
    ready,
)
from sonar.home.settings import NetworkConfig
from sonar.processes.supervisor import Supervisor
from sonar.telling.amounts import parse_wei
from sonar.telling.documents import CapsuleReady, ChainReady, PartyReady
from sonar.telling.progress import Progress

CHAIN = "chain"
_MINE_GIFT_WEI = parse_wei("2 ether")

T = TypeVar("T")


class EmbeddedNetwork:
    """A chain, a store, `capsules` capsules and `mines` mines in `folder`; `network_file` is for all.

    Start it from a thread that lasts: on Linux the processes end with that thread, however it ends. Raises
    ConfigError, ProcessFailed if one of them does not start, WaitTimeout.
    """

    def __init__(self, folder: Path, mines: int, progress: Progress, capsules: int = 0) -> None:
        if not 0 <= mines <= MAX_MINES:
            hint = f"the {EXAMPLE} data are enough for {MAX_MINES} mines"
            raise ConfigError("mines", f"{mines} is not within 0 to {MAX_MINES}", hint=hint)
        if not 0 <= capsules <= MAX_CAPSULES:
            hint = "three are enough: any two of them open a sum"
            raise ConfigError("capsules", f"{capsules} is not within 0 to {MAX_CAPSULES}", hint=hint)
        self._folder, self._progress = folder, progress
        self._supervisor = Supervisor(folder / "logs")
        self.mines: dict[str, str] = {}
        """The mines' names by their addresses."""
        try:
            self.network_file = self._start_chain(*([LOADS_OF_CAPSULE] if capsules else []))
            self._start_capsules(capsule_names(capsules))
            self._start_mines(mine_names(mines))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process. May be called twice."""
        self._supervisor.stop()

    def _start_chain(self, *loads: str) -> Path:
        self._progress.note("starting a chain and a store on this machine")
        self._supervisor.load(LOADS_OF_CHAIN)
        self._supervisor.start(CHAIN, ["sonar", "chain", "--home", str(self._folder / CHAIN), "--json"])
        self._supervisor.load(*loads, LOADS_OF_MINE)
        (told,) = self._ready(ChainReady, [CHAIN])
        return Path(told[1].network)

    def _start_capsules(self, names: Sequence[str]) -> None:
        """Start the capsules, and list them in the network's file before the mines take it over."""
        if not names:
            return
        self._progress.note(f"starting {len(names)} capsules, each with keys of its own")
        for name in names:
            home = self._folder / name
            self._supervisor.start(name, capsule_init(home, self.network_file), capsule_at_work(home))
        for name, _ in self._ready(PartyReady, names):
            self._supervisor.child(name).go_on()
        told = dict(self._ready(CapsuleReady, names))
        for name in names:
            self._supervisor.child(name).quiet = True
        list_capsules(
            self.network_file, [self._folder / name for name in names], [told[name] for name in names]
        )

    def _start_mines(self, names: Sequence[str]) -> None:
        """Start the mines; fund each as soon as it has made its home, and let it begin its work."""
        if not names:
            return
        self._progress.note(f"starting {len(names)} mines, each with data and keys of its own")
        network = NetworkConfig.load(self.network_file)
        for number, name in enumerate(names, start=1):
            home = self._folder / name
            init = mine_init(home, self.network_file, f"{number}/{len(names)}")
            self._supervisor.start(name, init, mine_at_work(home))
        with closing(Rpc(network.rpc_url)) as rpc:
            market = Market.connect(network, rpc)
            for name, told in self._ready(PartyReady, names):
                if market.ether(told.address) < _MINE_GIFT_WEI // 2:
                    fund(network, told.address, _MINE_GIFT_WEI, rpc)
                self._supervisor.child(name).go_on(quiet=True)
                self.mines[told.address] = name
        self._progress.note(f"{len(names)} mines are waiting for a bounty")

    def _ready(self, kind: Callable[..., T], parties: Sequence[str]) -> Iterator[tuple[str, T]]:
        healthy = self._supervisor.require_healthy
        return ready(self._supervisor, kind, parties, self._progress.note, healthy)
