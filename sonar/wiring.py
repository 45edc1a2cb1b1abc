"""What a mine and a scientist have in common: the parts that are built from a home folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sonar.home import keystore
from sonar.home.accounts import AccountBook, Accounts, accounts_in
from sonar.home.folder import Home
from sonar.home.journal import Journal
from sonar.home.password import Reseal, change
from sonar.home.settings import NetworkConfig
from sonar.protocol.ids import Address
from sonar.telling.documents import PasswordChanged
from sonar.telling.progress import Progress, Sink

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from sonar.chain.contract.market import Market
    from sonar.chain.sending.outbox import Outbox
    from sonar.ports import Store
    from sonar.store.choose import OpenStore


_PLAIN = ("home", "data", "sonar", "mine", "pysonar", "capsule")
"""Names of a home folder that do not distinguish it from another."""


def voice(home: Home, sink: Sink) -> Progress:
    """The reporter of a home's party, named by its folder, since several may share a terminal."""
    name, above = home.path.name, home.path.parent.name
    if name not in _PLAIN:
        return Progress(sink, name)
    return Progress(sink, home.role if above in ("", "sonar") else f"{above}/{name}")


POLL_S, DEV_POLL_S = 0.25, 0.1


@dataclass
class Party:
    """A party; each of its parts is made when it is first needed."""

    home: Home
    progress: Progress
    _unlocked: dict[Address, LocalAccount] = field(default_factory=dict, init=False, repr=False)
    _outboxes: dict[Address, Outbox] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def network(self) -> NetworkConfig:
        """The home's network file. Raises ConfigError."""
        return NetworkConfig.load(self.home.network)

    @property
    def poll_s(self) -> float:
        """How often to read the chain. A development chain is near, and a round takes it a second."""
        return DEV_POLL_S if self.network.dev else POLL_S

    @cached_property
    def book_of_accounts(self) -> AccountBook:
        """The home's accounts in its journal. Raises KeyFileError, JournalError."""
        return AccountBook(self.journal, accounts_in(self.home.keystore, self.journal))

    @property
    def own_accounts(self) -> Accounts:
        """The home's accounts; a home that has no journal yet gets none. Raises as `book_of_accounts`."""
        if "journal" in self.__dict__ or self.home.journal.exists():
            return self.book_of_accounts.accounts
        return accounts_in(self.home.keystore, None)

    @property
    def address(self) -> Address:
        """The account that begins what is new; its key stays locked. Raises KeyFileError, JournalError."""
        return self.own_accounts.current

    def account_of(self, subject: str) -> Address:
        """The account that a bounty belongs to; see `AccountBook.of`. Raises KeyFileError, JournalError."""
        return self.book_of_accounts.of(subject)

    def password(self, given: Path | None) -> str:
        """Return the keystore's password: of the file `given`, of the environment, or by asking.

        In a home of a development network, the demo's file `password` is used before anybody is asked. Raises
        KeyFileError, ConfigError.
        """
        beside = self.home.path / keystore.BESIDE
        said = {keystore.PASSWORD_VARIABLE, keystore.PASSWORD_FILE_VARIABLE} & os.environ.keys()
        if given is None and not said and beside.is_file() and self.network.dev:
            given = beside
        return keystore.read_password(given)

    def sealed(self) -> dict[Path, Reseal]:
        """The files that the home's password opens, and how each gets another one."""
        return keystore.sealed(self.home.keystore, light=self.network.dev)

    def change_password(self, old: Path | None, new: Path | None) -> PasswordChanged:
        """Encrypt all that the home's password opens under another one; each from a file, or asked for.

        The home must be locked. Raises KeyFileError, UsageError, MemoryShort: then nothing is changed.
        """
        files = self.sealed()
        changed = change(self.home.path, files, self.password(old), keystore.read_new_password(new))
        names = [str(path.relative_to(self.home.path)) for path in changed]
        return PasswordChanged(self.address, str(self.home.path), names)

    @cached_property
    def journal(self) -> Journal:
        """The home's journal. Raises JournalError."""
        return Journal(self.home.journal)

    @cached_property
    def market(self) -> Market:
        """The contract, checked. Raises ChainUnavailable, ConfigError, WrongContract."""
        from sonar.chain.contract.market import Market

        return Market.connect(self.network, progress=self.progress)

    @cached_property
    def opened(self) -> OpenStore:
        """The network's store, with the IPFS node that was started for it. `close` ends that.

        Raises StoreUnavailable, ClientMissing, ConfigError, KeyFileError.
        """
        from sonar.store.choose import open_store

        return open_store(self.network.store, self.home.path, self.progress)

    @property
    def store(self) -> Store:
        """The network's store. Raises as `opened`."""
        return self.opened.store

    def close(self) -> None:
        """End what was started."""
        if "opened" in self.__dict__:
            self.opened.close()

    def unlock(self, password: str, address: Address | None = None) -> LocalAccount:
        """Open the keystore for the current account, or that of `address`; once, since that takes a second
        with a full-strength keystore. Raises KeyFileError, JournalError.
        """
        address = address or self.address
        if address not in self._unlocked:
            self._unlocked[address] = keystore.load(keystore.find(self.home.keystore, address), password)
        return self._unlocked[address]

    def outbox(self, account: LocalAccount) -> Outbox:
        """Signs and sends for an account of the home: one for all, since its nonces are consecutive."""
        from sonar.chain.sending.outbox import Outbox

        address = Address(account.address)
        if address not in self._outboxes:
            self._outboxes[address] = Outbox(
                self.market,
                account,
                self.book_of_accounts.journal(address),
                confirmations=self.network.confirmations,
                progress=self.progress,
            )
        return self._outboxes[address]
