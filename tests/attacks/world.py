"""A whole network in this process: the real contract, nodes and campaign, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from mine.data.dataset import DataSet, register_example
from mine.node import Node, Options
from mine.work.state import Book
from mine.work.workshop import Workshop
from pysonar.bounty.request import Bounty
from pysonar.campaign.lifecycle import Campaign
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import deploy
from sonar.chain.sending.outbox import Outbox
from sonar.home.journal import Journal
from sonar.protocol.events import BountyClosed, BountyPosted, Event, MinePaid, Revealed, RoundSettled
from sonar.protocol.ids import Address
from sonar.store.folder import FolderStore
from sonar.store.memory import MemoryStore
from sonar.telling.progress import Done, ListSink, Progress, Waiting
from tests.attacks.hostile import POLICY, HostileMine
from tests.chain_kit import Clock, NobodySigns
from tests.quick_chain import chain_of

ETHER = 10**18
START_S = 1_800_000_000
LONGEST_STEP_S = 8


class Party(Protocol):
    def tick(self) -> Waiting | Done: ...


@dataclass
class World:
    """`mines` shards of the diabetes rows; `hostile` maps a shard's index to the factory of a cheat.

    More mines than shards share the last one.
    """

    folder: Path
    mines: int
    rounds: int
    min_mines: int = 2
    hostile: dict[int, Any] = field(default_factory=dict)
    shards: int = 10
    absent: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.clock = Clock(START_S)
        self.accounts: list[LocalAccount] = [Account.create() for _ in range(self.mines)]
        scientist, deployer = Account.create(), Account.create()
        funded = [*self.accounts, scientist, deployer]
        self.chain = chain_of({Address(a.address): 100 * ETHER for a in funded}, self.clock)
        self.market: Market = deploy(self.chain.rpc(), deployer, min_window_s=1).market(self.chain.rpc())
        self.store = MemoryStore()
        self.parties: dict[int, Party] = {}
        for index, account in enumerate(self.accounts):
            if index not in self.absent:
                self.parties[index] = self._mine(index, account)
        self.sink = ListSink()
        self.campaign = self._campaign(scientist)
        self.scientist = Address(scientist.address)

    def address(self, index: int) -> Address:
        return Address(self.accounts[index].address)

    def _mine(self, index: int, account: LocalAccount) -> Party:
        home = self.folder / f"mine-{index}"
        home.mkdir(parents=True)
        journal = Journal(home / "journal.sqlite")
        outbox = self._outbox(account, journal)
        dataset: DataSet = register_example("diabetes", f"{min(index + 1, self.shards)}/{self.shards}")
        if index in self.hostile:
            cheat: HostileMine = self.hostile[index](self.market, self.store, outbox, dataset)
            return cheat
        book = Book(journal)
        book.register(dataset)
        return Node(
            self.market,
            self.store,
            Address(account.address),
            outbox,
            book,
            Workshop.at(home),
            POLICY,
            Progress(),
            Options(join_all=True, exit_when_done=True, claim=True),
            monotonic=self.clock,
        )

    def _outbox(self, account: LocalAccount, journal: Journal) -> Outbox:
        return Outbox(self.market, account, journal, monotonic=self.clock, sleep=lambda _s: None)

    def _campaign(self, account: LocalAccount) -> Campaign:
        home = self.folder / "pysonar"
        home.mkdir()
        journal = Journal(home / "journal.sqlite")
        bounty = Bounty.example(
            "diabetes",
            rounds=self.rounds,
            patience=0,
            cohort=self.mines - len(self.absent),
            min_mines=self.min_mines,
            key_bits=2048,
            stake="0.1 ether",
            fee="0.01 ether",
            reward="1 ether",
            settle_window_s=180,
        )
        return Campaign(
            self.market,
            self.store,
            FolderStore(home / "copies"),
            LocalHolder(Key.generate(2048)),
            NobodySigns(),
            self._outbox(account, journal),
            journal,
            bounty,
            progress=Progress(self.sink),
        )

    # ---- running

    def run(self, passes: int = 3_000) -> None:
        """Let everybody act in turn; when nobody does anything, time goes on, in growing steps."""
        running: dict[int, Party] = {-1: self.campaign, **self.parties}
        step_s = 1
        for _ in range(passes):
            before = self.market.head()
            running = {i: party for i, party in running.items() if not isinstance(party.tick(), Done)}
            if not running:
                return
            if self.market.head() != before:
                step_s = 1
                continue
            self.clock.now_s = max(self.clock.now_s, self.chain.now_s) + step_s
            self.chain.mine_at(int(self.clock.now_s))
            step_s = min(2 * step_s, LONGEST_STEP_S)
        raise AssertionError(f"still running after {passes} passes: {sorted(running)}")

    # ---- what came of it

    @property
    def events(self) -> list[Event]:
        return self.market.events(0)

    def paid(self, index: int) -> list[MinePaid]:
        return [e for e in self.events if isinstance(e, MinePaid) and e.mine == self.address(index)]

    def earned_wei(self, index: int) -> int:
        """Fees and rewards of one mine: what it got beyond its own stake and others' forfeits."""
        return sum(e.fee_units + e.reward_units for e in self.paid(index))

    def final_loss(self) -> int:
        return min(e.best_loss for e in self.events if isinstance(e, RoundSettled))

    def check_money(self) -> None:
        """Escrow in = paid + refunded (+ forfeits that nobody could get), and the contract is empty."""
        posted = next(e for e in self.events if isinstance(e, BountyPosted))
        closed = next(e for e in self.events if isinstance(e, BountyClosed))
        paid = sum(e.fee_units + e.reward_units for e in self.events if isinstance(e, MinePaid))
        assert paid + closed.refund_units - self._dust() == posted.escrow_units
        owed = sum(self.market.withdrawable(Address(a.address)) for a in self.accounts)
        owed += self.market.withdrawable(self.scientist)
        assert self.market.ether(self.market.address) == owed

    def _dust(self) -> int:
        """Stakes that were forfeited and went into the escrow: remainders, or all where nobody revealed."""
        posted = next(e for e in self.events if isinstance(e, BountyPosted))
        stake = posted.terms.stake_units
        committed = sum(type(e).__name__ == "Committed" for e in self.events)
        revealed = sum(isinstance(e, Revealed) for e in self.events)
        shared = sum(e.forfeit_units for e in self.events if isinstance(e, MinePaid))
        return (committed - revealed) * stake - shared


def shares(world: World, indices: Iterable[int]) -> list[int]:
    return [sum(e.share_bps for e in world.paid(i)) for i in indices]
