"""Builds a mine from its home folder: with `sonar.wiring`, the only place where adapters are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mine.consent import Policy
from sonar.errors import KeyFileError
from sonar.home.folder import Home, default_home
from sonar.protocol.ids import ETHER, Address, BountyId
from sonar.telling.amounts import Unit
from sonar.telling.progress import Sink
from sonar.wiring import Party, voice

if TYPE_CHECKING:
    from mine.node import Node, Options
    from mine.privacy.accounts import Privacy
    from mine.work.state import Book
    from mine.work.trainer import Sums
    from mine.work.workshop import Workshop
    from sonar.chain.sending.outbox import Outbox
    from sonar.errors import JournalError

ROLE = "mine"


@dataclass
class Mine(Party):
    """What the commands work with."""

    _units: dict[Address, Unit] = field(default_factory=dict)

    @cached_property
    def policy(self) -> Policy:
        """What the operator allows, and whose capsules are trusted if none is named. Raises ConfigError."""
        return Policy.load(self.home.path).trusting(one.account for one in self.network.capsules)

    @cached_property
    def book(self) -> Book:
        """The typed view of the journal."""
        from mine.work.state import Book, tell

        return Book(self.journal, tell(self.progress))

    def unit(self, asset: Address) -> Unit:
        """What amounts of an asset are shown in. A token that the operator has not allowed is not asked."""
        from sonar.chain.contract.token import unit_of

        if asset != ETHER and asset not in self.policy.tokens:
            return Unit(asset)
        if asset not in self._units:
            self._units[asset] = unit_of(self.market, asset)
        return self._units[asset]

    def tokens(self) -> list[Address]:
        """The tokens that the operator allows, and those that were staked in."""
        return sorted({*self.policy.tokens, *self.book.assets()} - {ETHER})

    def workshop(self, renewed: Callable[[JournalError], None] | None = None) -> Workshop:
        """The blindings, drafts and sums in the home. `renewed`: see `Pool`; it takes the home's lock."""
        from mine.work.workshop import Workshop

        return Workshop.at(self.home.path, renewed, self.policy.privacy.ledger_at(self.home.path))

    @property
    def sums(self) -> Sums:
        """The sums in the home."""
        from mine.work.workshop import sums_at

        return sums_at(self.home.path, self.policy.privacy.ledger_at(self.home.path))

    @property
    def privacy(self) -> Privacy:
        """What the data sets may still tell."""
        from mine.privacy.accounts import Privacy
        from mine.privacy.ledger import Ledger

        policy = self.policy
        ledger = Ledger(policy.privacy.ledger_at(self.home.path))
        return Privacy(ledger, self.book.journal, policy.privacy, policy.max_bits_all)

    def account_in(self, bounty: BountyId) -> Address:
        """The account that works, or would work, in a bounty. Raises KeyFileError, JournalError."""
        return self.account_of(bounty.hex())

    def begun(self) -> set[str]:
        """The ids in hex of all bounties that were joined here, those that were left included."""
        joined = {one.bounty for one in self.book.joined()}
        return {bounty.hex() for bounty in joined.union(part.bounty for part in self.book.parts())}

    def _former_outboxes(self, password: str, former: Iterable[Address]) -> Iterator[Outbox]:
        """Those of former accounts; one whose key is lost ends nothing, and stops nobody else."""
        for address in former:
            try:
                yield self.outbox(self.unlock(password, address))
            except KeyFileError as fault:
                self.progress.problem(fault)

    def node(self, password: str, policy: Policy, options: Options) -> Node:
        """The mine at work, with the accounts that have something to do. Raises KeyFileError."""
        from mine.node import Node
        from sonar.store.choose import LazyStore

        bounties = [one.bounty for one in self.book.joined() if not one.over]
        former = {self.account_in(bounty) for bounty in bounties} - {self.address}
        account = self.unlock(password)
        lost = "it was deleted, and another one made: all that is lost is idle time"
        return Node(
            self.market,
            LazyStore(lambda: self.store),
            self.address,
            self.outbox(account),
            self.book,
            self.workshop(lambda fault: self.progress.problem(fault, lost)),
            policy,
            self.progress,
            options,
            former=list(self._former_outboxes(password, sorted(former))),
            account_of=self.account_in,
        )


def open_mine(home: Path | None, sink: Sink) -> Mine:
    """Open a home that `mine init` made. Raises ConfigError."""
    found = Home(home or default_home(ROLE), ROLE, create=False)
    return Mine(found, voice(found, sink))


@contextmanager
def locked(home: Path | None, sink: Sink) -> Iterator[Mine]:
    """Open a home for a command that changes it or sends transactions. Raises HomeLocked, ConfigError."""
    mine = open_mine(home, sink)
    with mine.home.lock():
        try:
            yield mine
        finally:
            mine.close()
