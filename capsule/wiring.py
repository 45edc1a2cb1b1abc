"""Builds a capsule from its home folder: with `sonar.wiring`, the only place where adapters are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from capsule.home.accounts import Accounts, finish
from capsule.home.keys import Keys
from capsule.home.ledger import Ledger
from capsule.home.places import LEDGER_FILE, ROLE
from capsule.home.policy import Policy
from capsule.home.ring import Ring
from sonar.errors import HomeLocked, KeyFileError
from sonar.home import keystore
from sonar.home.folder import Home, default_home
from sonar.protocol.ids import Address
from sonar.telling.progress import Sink
from sonar.wiring import Party, voice

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from capsule.audit.again import Recomputing
    from capsule.auditing import Fetch
    from capsule.means import Means
    from capsule.opening.chainview import ChainView
    from capsule.service import Service
    from capsule.services import Services


class Capsule(Party):
    """What the commands work with."""

    @cached_property
    def policy(self) -> Policy:
        """What the operator allows. Raises ConfigError."""
        return Policy.load(self.home.path)

    @cached_property
    def keys(self) -> Keys:
        """The keys for envelopes."""
        return Keys(self.home, self.network.chain_id, self.network.contract)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts that the capsule had before."""
        return Accounts(self.home, self.network.chain_id, self.network.contract)

    @property
    def all_accounts(self) -> list[Address]:
        """All its accounts, the newest last."""
        return [*(one.succession.account for one in self.accounts.all()), self.address]

    def unlock_former(self, password: str) -> list[LocalAccount]:
        """Open the former accounts whose keys for envelopes are still there. Raises KeyFileError."""
        needed = {self.keys.public(epoch).key.account for epoch in self.keys.epochs()}
        former = [account for account in self.all_accounts[:-1] if account in needed]
        return [keystore.load(self.accounts.file(account), password) for account in former]

    @cached_property
    def ledger(self) -> Ledger:
        """The record of all that was told. Raises JournalError."""
        return Ledger(self.home.path / LEDGER_FILE)

    @property
    def listed_url(self) -> str:
        """Where the network's file says that this capsule is; empty if it does not."""
        named = [one.url for one in self.network.capsules if one.account == self.address]
        return named[0] if named else ""

    def means(self, account: LocalAccount) -> Means:
        """What the capsule works with under one of its accounts.

        Raises ChainUnavailable, JournalError, KeyFileError.
        """
        from capsule.auditing import auditor_of
        from capsule.home.witness import Witness
        from capsule.means import Means
        from sonar.store.choose import LazyStore

        ring, steps = self._ring(account), self.accounts.all()
        until_s, me = {one.succession.account: one.until_s for one in steps}, Address(account.address)
        return Means(
            self.chain,
            LazyStore(lambda: self.store),
            self.ledger,
            Witness(self.ledger.name),
            ring,
            account,
            self.policy,
            look=ring.look,
            insecure_keys=self.network.dev,
            audits=lambda means: auditor_of(means, self.journal, self.peers),
            telling=self._telling,
            until_s=until_s.get(me),
            successions=tuple(one.succession for one in steps) if me == self.address else (),
            kin=frozenset(self.all_accounts) - {me},
        )

    @cached_property
    def _telling(self) -> threading.RLock:
        return threading.RLock()

    def service(self, account: LocalAccount, former: Sequence[LocalAccount] = ()) -> Service | Services:
        """The capsule at work, also under `former` accounts. Raises as `means`."""
        from capsule.service import Service
        from capsule.services import Services

        newest = Service(self.means(account))
        if not former:
            return newest
        return Services(newest, {Address(one.address): Service(self.means(one)) for one in former})

    @property
    def audits(self) -> Recomputing:
        """What the capsule has audited. Raises JournalError, and what opening chain and store raises."""
        from capsule.audit.again import Recomputing
        from capsule.auditing import Ledgered
        from sonar.store.choose import LazyStore

        store, seen = LazyStore(lambda: self.store), Ledgered(lambda: self.chain, self.ledger)
        return Recomputing(seen, store, self.journal, self.address, insecure=self.network.dev)

    @property
    def peers(self) -> dict[Address, Fetch]:
        """How the network's other capsules are asked what they have told."""
        from capsule.auditing import fetch_from

        own = self.all_accounts
        return {
            account: fetch_from(one.url)
            for one in self.network.capsules
            for account in (one.account, *one.formerly)
            if account not in own
        }

    @cached_property
    def chain(self) -> ChainView:
        """Bounties, as deep as the network asks. Raises ChainUnavailable."""
        from capsule.opening.chainview import ChainView

        return ChainView(self.market, self.network.confirmations)

    def _ring(self, account: LocalAccount) -> Ring:
        ring = Ring(self.keys, account)
        if not ring and len(self.all_accounts) > 1:  # killed before it made one
            self.keys.add(account, int(time.time()))
            ring = Ring(self.keys, account)
        if not ring:
            raise KeyFileError(
                "this home has no key for envelopes on this network", hint="run `capsule init` again"
            )
        return ring

    def close(self) -> None:
        """End what was started."""
        super().close()
        if "ledger" in self.__dict__:
            self.ledger.close()


def open_capsule(home: Path | None, sink: Sink) -> Capsule:
    """Open a home that `capsule init` made. Raises ConfigError."""
    found = Home(home or default_home(ROLE), ROLE, create=False)
    finish(found)
    return Capsule(found, voice(found, sink))


def reopened(capsule: Capsule) -> Capsule:
    """Return the same home as it is now. Raises ConfigError, KeyFileError."""
    finish(capsule.home)
    return Capsule(capsule.home, capsule.progress)


@contextmanager
def locked(home: Path | None, sink: Sink) -> Iterator[Capsule]:
    """Open a home for a command that changes it. Raises HomeLocked, ConfigError."""
    capsule = open_capsule(home, sink)
    with capsule.home.lock():
        try:
            yield capsule
        finally:
            capsule.close()


@contextmanager
def beside(home: Path | None, sink: Sink) -> Iterator[tuple[Capsule, bool]]:
    """Open a home for a command that a capsule may serve beside; tell whether it is locked for the command.

    Raises ConfigError.
    """
    capsule = open_capsule(home, sink)
    try:
        capsule.home.lock()
        alone = True
    except HomeLocked:
        alone = False
    with capsule.home:
        try:
            yield capsule, alone
        finally:
            capsule.close()
