"""A whole network in this process, in which everybody hears of the chain from a node that lies."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from mine.consent import Policy
from mine.data.dataset import register_example
from mine.node import Node, Options
from mine.work.state import Book
from mine.work.workshop import Workshop
from pysonar.bounty.request import Bounty
from pysonar.campaign.lifecycle import Campaign
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.chain.deploying.deploy import deploy
from sonar.chain.sending.outbox import Outbox
from sonar.errors import InsufficientFunds, MarketError
from sonar.home.journal import Journal
from sonar.localchain.tester import TesterChain
from sonar.protocol.events import BountyClosed, Committed, Event, MinePaid, Revealed, RoundSettled
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status, status_of
from sonar.store.folder import FolderStore
from sonar.store.memory import MemoryStore
from sonar.telling.progress import Done, ListSink, Progress, Waiting
from sonar.telling.waiting import PASSING_FAULTS
from tests.chain_kit import Clock, NobodySigns
from tests.integration.liar import NAMES, Liar, Lie

ETHER = 10**18
START_S = 1_800_000_000
WINDOW_S = 60
LONGEST_STEP_S = 8
LIES_EACH = 4
"""So many lies are told in each run."""


@cache
def scientist_key() -> Key:
    return Key.generate(1024, insecure=True)


@dataclass
class Lied:
    """When a lie begins: at the first pass in this round and status; and to whom it is told (-1: to her)."""

    round: int
    status: Status
    kind: str
    seconds: float
    rate: float
    to: tuple[int, ...]
    begun: bool = False


class World:
    """`mines` real mines, a real campaign, and the lies of `plan`. Everybody may be started anew."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        plan: list[Lied],
        *,
        confirmations: int = 1,
        mines: int = 3,
        cap: int = 3,
    ) -> None:
        self.folder, self.plan, self.confirmations, self.mines = folder, plan, confirmations, mines
        self.rng, self.clock = random.Random(seed), Clock(START_S)
        self.accounts: list[LocalAccount] = [Account.create() for _ in range(mines)]
        self.scientist, self.deployer = Account.create(), Account.create()
        everybody = [*self.accounts, self.scientist, self.deployer]
        fund = {Address(account.address): 100 * ETHER for account in everybody}
        self.chain = TesterChain(fund, clock=self.clock)
        self.deployment = deploy(self.chain.rpc(), self.deployer, min_window_s=1)
        self.market = self.deployment.market(self.chain.rpc())
        self.store = MemoryStore()
        otherwise = self.rng.random() < 0.6
        self.liars = {
            who: Liar(self.chain, seed * 100 + who, hashes_otherwise=otherwise) for who in range(-1, mines)
        }
        self.sinks = {who: ListSink() for who in range(-1, mines)}
        windows = dict.fromkeys(("commit_window_s", "reveal_window_s", "settle_window_s"), WINDOW_S)
        money: dict[str, Any] = {"stake": "0.1 ether", "fee": "0.01 ether", "reward": "1 ether"}
        self.bounty = Bounty.example(
            "diabetes",
            rounds=2,
            patience=0,
            cohort=cap,
            min_mines=2,
            key_bits=1024,
            insecure_key=True,
            **windows,
            **money,
        )
        self.parties: dict[int, Node | Campaign] = {}
        for who in range(-1, mines):
            self.start(who)

    # ---- the parties

    def start(self, who: int) -> None:
        """Make a party from its home, as a process that was just started does."""
        self.parties[who] = self._campaign() if who < 0 else self._mine(who)

    def home(self, who: int) -> Path:
        home = self.folder / ("pysonar" if who < 0 else f"mine-{who}")
        home.mkdir(parents=True, exist_ok=True)
        return home

    def journal(self, who: int) -> Journal:
        return Journal(self.home(who) / "journal.sqlite")

    def _outbox(self, who: int, market: Any, journal: Journal, account: LocalAccount) -> Outbox:
        return Outbox(
            market,
            account,
            journal,
            confirmations=self.confirmations,
            monotonic=self.clock,
            sleep=lambda _s: None,
            progress=Progress(self.sinks[who]),
        )

    def _mine(self, who: int) -> Node:
        journal, account = self.journal(who), self.accounts[who]
        market = self.deployment.market(self.liars[who].rpc())
        book = Book(journal)
        if not book.datasets():
            book.register(register_example("diabetes", f"{who + 1}/{max(self.mines, 5)}"))
        return Node(
            market,
            self.store,
            Address(account.address),
            self._outbox(who, market, journal, account),
            book,
            Workshop.at(self.home(who)),
            Policy(insecure_keys=True),
            Progress(self.sinks[who]),
            Options(join_all=True, exit_when_done=True, claim=True),
            monotonic=self.clock,
        )

    def _campaign(self) -> Campaign:
        journal = self.journal(-1)
        market = self.deployment.market(self.liars[-1].rpc())
        return Campaign(
            market,
            self.store,
            FolderStore(self.home(-1) / "copies"),
            LocalHolder(scientist_key()),
            NobodySigns(),
            self._outbox(-1, market, journal, self.scientist),
            journal,
            self.bounty,
            progress=Progress(self.sinks[-1]),
            confirmations=self.confirmations,
            monotonic=self.clock,
        )

    # ---- running

    def run(self, passes: int = 1_500, restarts: Callable[[int], bool] = lambda who: False) -> None:
        """Let everybody act in turn, time going on all the while, until all are done."""
        running, step_s = set(self.parties), 1
        for _ in range(passes):
            self._begin_lies()
            before = self.chain._head().hash
            for who in sorted(running):
                if restarts(who):
                    self._restart(who)
                if isinstance(self._tick(who), Done):
                    running.discard(who)
            if not running:
                return
            lying = any(
                self.chain.now_s < lie.until_s + 5 for liar in self.liars.values() for lie in liar.lies
            )
            step_s = 1 if lying or self.chain._head().hash != before else min(2 * step_s, LONGEST_STEP_S)
            self.clock.now_s = max(self.clock.now_s, self.chain.now_s) + step_s
            self.chain.mine_at(int(self.clock.now_s))
        raise AssertionError(f"still running after {passes} passes: {self.told(running)}")

    def _restart(self, who: int) -> None:
        lies, self.liars[who].lies = self.liars[who].lies, []
        self.start(who)
        self.liars[who].lies = lies

    def _tick(self, who: int) -> Waiting | Done:
        try:
            return self.parties[who].tick()
        except PASSING_FAULTS as fault:  # as `drive` does
            Progress(self.sinks[who]).waiting(f"{type(fault).__name__}: {fault}")
        except (InsufficientFunds, MarketError):
            if who >= 0 or self.journal(-1).items("campaign/diabetes/posted"):
                raise
            self.start(who)  # nothing is at stake before the post: she is told, and runs it again
        return Waiting("a fault to pass")

    def _begin_lies(self) -> None:
        campaign = self.parties[-1]
        assert isinstance(campaign, Campaign)
        if campaign.id is None:
            place = (0, Status.NONE)
        else:
            try:
                state = self.market.bounty(campaign.id)
            except Exception:
                place = (0, Status.NONE)
            else:
                place = (state.round, status_of(state, self.chain.now_s))
        for lied in self.plan:
            if not lied.begun and (lied.round, lied.status) == place:
                lied.begun, now_s = True, self.chain.now_s
                for who in lied.to:
                    self.liars[who].lies.append(Lie(lied.kind, now_s, now_s + lied.seconds, lied.rate))

    # ---- what came of it

    @property
    def events(self) -> list[Event]:
        return self.market.events(0)

    def told(self, parties: Any) -> str:
        lines = []
        for who in sorted(parties):
            lines += [f"--- {who}", *(str(event)[:300] for event in self.sinks[who].events[-6:])]
        return "\n".join(lines)

    def check(self) -> None:
        """No stake is lost, everybody was in every round and was paid, and the journals say what is true."""
        events = self.events
        committed = {(e.round, e.mine) for e in events if isinstance(e, Committed)}
        revealed = {(e.round, e.mine) for e in events if isinstance(e, Revealed)}
        paid = {(e.round, e.mine): e for e in events if isinstance(e, MinePaid)}
        settled = {e.round: e for e in events if isinstance(e, RoundSettled)}
        assert committed == revealed, f"stakes were lost: {committed - revealed}"
        assert [e for e in events if isinstance(e, BountyClosed)]
        rounds = range(1, 1 + max(settled, default=0))
        mines = {Address(account.address): who for who, account in enumerate(self.accounts)}
        assert rounds, "nothing was settled"
        assert revealed == {(n, mine) for n in rounds for mine in mines}, "a mine missed a round"
        assert set(settled) == set(rounds)
        campaign = self.parties[-1]
        assert isinstance(campaign, Campaign)
        for n in rounds:
            assert sum(e.share_bps for (m, _), e in paid.items() if m == n) == 10_000
            for mine, who in mines.items():
                part = Book(self.journal(who)).parts()[n - 1]
                assert part.paid["share_bps"] == paid[n, mine].share_bps
                assert part.state.value == ("paid" if paid[n, mine].share_bps else "no share"), part
            line = campaign.history()[n - 1]
            assert line["ended"] == "settled"
            assert sorted(line["accepted"]) == sorted(mines), line["left_out"]
            assert line["loss"] == settled[n].new_loss
            assert {m for (k, m) in paid if k == n} == set(line["cohort"])


def plan_of(seed: int, mines: int = 3, kinds: Sequence[str] = NAMES) -> list[Lied]:
    """Some lies, each shorter than a quarter of a window, to some of the parties; every kind in turn."""
    rng = random.Random(seed)
    places = [(0, Status.NONE)] + [
        (n, s) for n in (1, 2) for s in (Status.COMMIT, Status.REVEAL, Status.SETTLE)
    ]
    places.append((2, Status.CLOSED))
    found = []
    for index in range(LIES_EACH):
        kind = kinds[(seed * LIES_EACH + index) % len(kinds)]
        to = rng.choice([(-1,), (rng.randrange(mines),), tuple(range(mines)), tuple(range(-1, mines))])
        round_, status = rng.choice(places)
        seconds = rng.choice([2, 5, 9, 14])
        found.append(Lied(round_, status, kind, seconds, rng.choice([0.3, 1.0, 1.0]), to))
    return found
