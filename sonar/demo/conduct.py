"""The run itself: start everybody, watch, restart whoever was killed, read the result from the chain."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.demo import launch
from sonar.demo.launch import CHAIN, Settings
from sonar.demo.read import Record, read_report
from sonar.demo.report import Report
from sonar.demo.view import SCIENTIST, View
from sonar.errors import RemoteError, WaitTimeout
from sonar.home.parties import told
from sonar.home.settings import NetworkConfig
from sonar.processes import Line, Supervisor
from sonar.telling.documents import CampaignRound, ChainReady, PartyReady
from sonar.telling.progress import Line as ProgressLine
from sonar.telling.progress import Round, Timing, parse_line

START_LIMIT_S = 60.0
RESTARTS_MAX = 30
_ETHER = 10**18
ALLOWANCE_WEI = {SCIENTIST: 20 * _ETHER}
MINE_ALLOWANCE_WEI = 2 * _ETHER


class Conductor:
    """One run of the demo. Everything it starts ends with `run`, however that ends."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings, self._view = settings, view
        self.record = Record()
        self._supervisor = Supervisor(settings.home / "logs")

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
        for line in self._lines(until=time.monotonic() + START_LIMIT_S, what="the chain to start"):
            if told(ChainReady, line.text):
                break
        network = NetworkConfig.load(self._settings.network)
        return Market.connect(network), network

    def _start_parties(self, network: NetworkConfig) -> None:
        """Make every party's keystore, fund it, and start it as soon as it is ready."""
        parties = [SCIENTIST, *self._settings.parties()]
        self._view.stage(f"making keystores for {len(parties)} parties")
        for party in parties:
            launch.init_party(self._settings, self._supervisor, party)
        for line in self._lines(until=time.monotonic() + START_LIMIT_S, what="every party's keystore"):
            ready = told(PartyReady, line.text)
            if line.party not in parties or ready is None:
                continue
            address = ready.address
            self.record.addresses[line.party] = address
            fund(network, address, ALLOWANCE_WEI.get(line.party, MINE_ALLOWANCE_WEI))
            self._supervisor.wait(line.party)
            self.record.pids[line.party] = launch.run_party(self._settings, self._supervisor, line.party)
            if len(self.record.addresses) == len(parties):
                return

    def _watch(self) -> None:
        """Follow the parties until the scientist and every mine have ended well."""
        self._view.stage("training on encrypted weights")
        for line in self._lines(until=None, what="the campaign"):
            if line.text is not None:
                self._told(line.party, line.text)
            elif self._supervisor.ended_well(besides=CHAIN):
                return

    def _told(self, party: str, text: str) -> None:
        try:
            line = parse_line(text)
        except RemoteError:
            return  # a start-up document, not progress
        event = line.event
        if isinstance(event, Timing):
            self.record.seconds[f"{'mines' if party != SCIENTIST else party}: {event.part}"] += event.seconds
        elif isinstance(event, Round) and isinstance(event.summary, CampaignRound):
            self.record.rounds[event.round] = event.summary
        self._view.show(ProgressLine(party, line.at_s, event))

    def _lines(self, *, until: float | None, what: str) -> Iterator[Line]:
        """Yield what the processes write. A killed party is started again; a failed one ends the run."""
        while True:
            try:
                yield self._supervisor.lines.get(timeout=0.2)
            except queue.Empty:
                if until is not None and time.monotonic() > until:
                    raise WaitTimeout(f"waited {START_LIMIT_S:.0f} s for {what}") from None
                if not self._revive():
                    yield Line(CHAIN, None)  # let the reader look again who is still running

    def _revive(self) -> bool:
        """Start every party again that was killed by a signal. Returns whether there was one.

        Raises ProcessFailed for a process that ended with an error, or was killed too often.
        """
        bad = self._supervisor.ended_badly()
        for child in bad:
            party = child.party
            known = party != CHAIN and party in self.record.pids
            if not known or child.popen.returncode > 0 or self.record.restarts[party] >= RESTARTS_MAX:
                raise child.failure()
            self.record.restarts[party] += 1
            self._view.stage(f"{party} was killed; starting it again from its journal")
            self.record.pids[party] = launch.run_party(self._settings, self._supervisor, party)
        return bool(bad)
