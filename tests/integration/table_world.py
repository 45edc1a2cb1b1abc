"""A whole network in this process on any table: real nodes with CSV files, the real campaign and contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from numpy.typing import NDArray

from mine.consent import Policy
from mine.data.dataset import register_csv
from mine.node import Node, Options
from mine.work.state import Book
from mine.work.workshop import Workshop
from pysonar.bounty.request import Bounty
from pysonar.campaign.lifecycle import Campaign
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.chain.deploying.deploy import deploy
from sonar.chain.sending.outbox import Outbox
from sonar.home.journal import Journal
from sonar.protocol.ids import Address
from sonar.store.folder import FolderStore
from sonar.store.memory import MemoryStore
from sonar.telling.progress import Done, ListSink, Problem, Progress, Waiting
from tests.chain_kit import NobodySigns
from tests.family_kit import map_of
from tests.quick_chain import chain_of

ETHER = 10**18
Array = NDArray[np.float64]


@cache
def primes() -> tuple[int, int]:
    """Of one 1024-bit key: these tests are about data, not about the key."""
    return Key.generate(1024, insecure=True).unsafe_primes()


@dataclass
class TableWorld:
    """`parts` are the mines' row ranges of x [n, f] and y [n], numbers or texts; `bounty` is posted."""

    folder: Path
    bounty: Bounty
    x: Array
    y: NDArray[Any]
    parts: Sequence[slice]
    now_s: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        scientist, *mines = [Account.create() for _ in range(1 + len(self.parts))]
        fund = {Address(one.address): 100 * ETHER for one in (scientist, *mines)}
        self.chain = chain_of(fund, lambda: self.now_s)
        self.market = deploy(self.chain.rpc(), scientist, min_window_s=1).market(self.chain.rpc())
        self.store, self.told = MemoryStore(), ListSink()
        journal = Journal(self.folder / "pysonar.sqlite")
        self.campaign = Campaign(
            self.market,
            self.store,
            FolderStore(self.folder / "copies"),
            LocalHolder(Key(*primes())),
            NobodySigns(),
            Outbox(self.market, scientist, journal, sleep=lambda _s: None),
            journal,
            self.bounty,
            progress=Progress(self.told, "pysonar"),
        )
        self.nodes: list[Node] = [
            self._node(i, account, part)
            for i, (account, part) in enumerate(zip(mines, self.parts, strict=True))
        ]

    def _node(self, index: int, account: Any, part: slice) -> Node:
        home = self.folder / f"mine-{index}"
        home.mkdir()
        names = self.bounty.held_out.columns
        own = self.y[part].reshape(len(self.x[part]), -1)
        rows = [[*x, *y] for x, y in zip(self.x[part].tolist(), own.tolist(), strict=True)]
        lines = [",".join(names)]
        lines += [",".join(one if isinstance(one, str) else repr(one) for one in row) for row in rows]
        (home / "data.csv").write_text("\n".join(lines) + "\n")
        journal = Journal(home / "journal.sqlite")
        book = Book(journal)
        book.register(register_csv(home / "data.csv"))
        return Node(
            self.market,
            self.store,
            Address(account.address),
            Outbox(self.market, account, journal, sleep=lambda _s: None),
            book,
            Workshop.at(home),
            Policy(insecure_keys=True),
            Progress(self.told, f"mine-{index}"),
            Options(join_all=True, claim=True),
            monotonic=lambda: self.now_s,
        )

    def run(self, passes: int = 2000) -> float:
        """Let everybody act until the campaign is done; return the best loss."""
        result: Waiting | Done | None = None
        for _ in range(passes):
            before = self.market.head()
            result = self.campaign.tick()
            if isinstance(result, Done):
                return self.campaign.model.loss
            for node in self.nodes:
                node.tick()
            if self.market.head() == before:
                self.now_s = max(self.now_s, self.chain.now_s) + 1
                self.chain.mine_at(int(self.now_s))
        raise AssertionError(f"still waiting for {result}")

    def problems(self) -> list[str]:
        return [event.error for event in self.told.events if isinstance(event, Problem)]

    def pooled(self) -> float:
        """The holdout loss of the least-squares weights on all mines' rows, through the same feature map."""
        design = self.bounty.design
        rows = np.concatenate([np.arange(len(self.y))[part] for part in self.parts])
        own = map_of(design.spec, self.x[rows], self.y[rows], 40)
        a, b = own.a_int.astype(float), own.b_int.astype(float)
        return design.holdout.loss(np.linalg.lstsq(a, b, rcond=None)[0].T.ravel(), design.metric)
