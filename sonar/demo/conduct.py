"""The run itself: start everybody, watch, restart whoever was killed, read the result from the chain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.demo import budgets, launch, plot
from sonar.demo.launch import CHAIN, Settings
from sonar.demo.read import Record, read_report
from sonar.demo.report import Report
from sonar.demo.view import SCIENTIST, View
from sonar.errors import RemoteError
from sonar.home.parties import list_capsules, ready
from sonar.home.settings import NetworkConfig
from sonar.processes.supervisor import Line, Supervisor
from sonar.telling.documents import CampaignRound, CapsuleReady, ChainReady, PartyReady
from sonar.telling.progress import Line as ProgressLine
from sonar.telling.progress import Round, Timing, parse_line

T = TypeVar("T")
RESTARTS_MAX = 30
_ETHER = 10**18
ALLOWANCE_WEI = {SCIENTIST: 20 * _ETHER}
MINE_ALLOWANCE_WEI = 2 * _ETHER


class Conductor:
    """One run of the demo. Everything it starts ends with `run`, however that ends."""

    def __init__(self, settings: Settings, view: View, supervisor: Supervisor | None = None) -> None:
        self._settings, self._view = settings, view
        self.record = Record()
        self._supervisor = supervisor or launch.supervise(settings)

    def run(self) -> Report:
        """Run the demo to its end. Raises ProcessFailed, WaitTimeout, and what starting the chain raises."""
        start = time.perf_counter()
        with self._supervisor, self._told_end():
            with self.record.timed("start: chain and contract"):
                market, network = self._start_chain()
            with self.record.timed("start: keystores and processes"):
                self._start_parties(network)
            with self.record.timed("training: from the first commit to the last withdrawal"):
                self._watch()
            if self._settings.epsilon is not None:
                self._ask_budgets()
            self._view.stage("reading the record from the chain")
            return read_report(
                self._settings, market, network, self.record, wall_seconds=time.perf_counter() - start
            )

    @contextmanager
    def _told_end(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._view.stage("ending every process")
            raise

    def _start_chain(self) -> tuple[Market, NetworkConfig]:
        self._view.stage("starting the chain and deploying the contract")
        launch.start_chain(self._settings, self._supervisor)
        import eth_account  # noqa: F401 - funding needs it, and while the chain starts there is time

        for _ in self._ready(ChainReady, [CHAIN]):
            pass
        network = NetworkConfig.load(self._settings.network)
        return Market.connect(network), network

    def _start_parties(self, network: NetworkConfig) -> None:
        """Start every party; fund it as soon as it has made its keystore, and let it begin its work.

        Capsules go first. The others make their homes meanwhile; before they go on, their copies of the
        network's file must list the capsules.
        """
        capsules, others = self._settings.capsule_names(), [SCIENTIST, *self._settings.parties()]
        self._view.stage(f"starting {len(capsules + others)} parties, each with a keystore of its own")
        launch.start_parties(self._settings, self._supervisor)
        listed = self._start_capsules(capsules) if capsules else None
        for party, document in self._ready(PartyReady, others):
            self.record.addresses[party] = document.address
            fund(network, document.address, ALLOWANCE_WEI.get(party, MINE_ALLOWANCE_WEI))
            if listed is not None:
                listed.save(self._settings.home / party / self._settings.network.name)
            self._let_go_on(party)

    def _start_capsules(self, capsules: Sequence[str]) -> NetworkConfig:
        """Let capsules serve, and return the network as it lists them then."""
        for party, document in self._ready(PartyReady, capsules):
            self.record.addresses[party] = document.address
            self._let_go_on(party)
        self.record.capsules |= self._ready(CapsuleReady, capsules)
        homes = [self._settings.home / party for party in capsules]
        return list_capsules(self._settings.network, homes, map(self.record.capsules.__getitem__, capsules))

    def _ready(self, kind: Callable[..., T], parties: Sequence[str]) -> Iterator[tuple[str, T]]:
        return ready(self._supervisor, kind, parties, self._view.stage, self._revive)

    def _let_go_on(self, party: str) -> None:
        child = self._supervisor.child(party)
        self.record.pids[party] = child.pid
        child.go_on()

    def _watch(self) -> None:
        """Follow the parties until the scientist and every mine have ended well."""
        self._view.stage("training on encrypted weights")
        for line in self._lines():
            if line.text is not None:
                self._told(line.party, line.text)
            elif self._supervisor.ended_well(besides=[CHAIN, *self._settings.capsule_names()]):
                return

    def _ask_budgets(self) -> None:
        """Have each mine tell what its data have spent."""
        self._view.stage("asking the mines what their data have spent")
        waiting = self._settings.parties()
        for party in waiting:
            self._supervisor.start(party, budgets.command_of(self._settings.home / party))
        while len(self.record.budgets) < len(waiting):
            line = self._supervisor.next_line()
            if line is None:
                self._supervisor.require_healthy()
                self._supervisor.require_movement(waiting)
            elif line.party in waiting and line.text is not None:
                self.record.budgets.append(budgets.read(line.party, line.text))
        self.record.budgets.sort(key=lambda row: row.name)

    def _told(self, party: str, text: str) -> None:
        try:
            line = parse_line(text)
        except RemoteError:
            return  # a start-up document, not progress
        event = line.event
        if isinstance(event, Timing):
            self.record.seconds[f"{self._group(party)}: {event.part}"] += event.seconds
        elif isinstance(event, Round) and isinstance(event.summary, CampaignRound):
            if not self.record.rounds:  # before, all cores are busy with starts
                threading.Thread(target=plot.load, daemon=True).start()
            self.record.rounds[event.round] = event.summary
        self._view.show(ProgressLine(party, line.at_s, event))

    def _group(self, party: str) -> str:
        if party == SCIENTIST:
            return party
        return "capsules" if party in self._settings.capsule_names() else "mines"

    def _lines(self) -> Iterator[Line]:
        """Yield what the processes write. A killed party is started again; a failed one ends the run."""
        while True:
            line = self._supervisor.next_line()
            if line is not None:
                yield line
            elif not self._revive():
                yield Line(CHAIN, None)  # let the reader look again who is still running

    def _revive(self) -> bool:
        """Start every party again that was killed by a signal. Returns whether there was one.

        Raises ProcessFailed for a process that ended with an error, or was killed too often.
        """
        bad = self._supervisor.ended_badly()
        for child in bad:
            party = child.party
            killed = party != CHAIN and (child.process.poll() or 0) < 0
            if not killed or self.record.restarts[party] >= RESTARTS_MAX:
                raise child.failure()
            self.record.restarts[party] += 1
            if party in self.record.pids:
                self._view.stage(f"{party} was killed; starting it again from its journal")
                known = self.record.capsules.get(party)
                work = launch.party_at_work(self._settings, party, known.url if known else "")
                self.record.pids[party] = self._supervisor.start(party, work).pid
            else:
                self._view.stage(f"{party} was killed before it was ready; starting it again")
                launch.start_party(self._settings, self._supervisor, party)
        return bool(bad)
