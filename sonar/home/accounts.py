"""The accounts of a home: the one that begins what is new, and those that end what they have begun.

A home has one account until its key changes. Then the old one keeps its key file, since its bounties, stakes
and money are its own, and a successor begins whatever comes next. The journal has the order of the accounts,
which of them each bounty belongs to, and each account's transactions, whose nonces are its own.

A successor is recorded before its key is written, and its key is on the disk before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sonar.errors import ConfigError, JournalError
from sonar.frozen import frozen
from sonar.home import keystore
from sonar.home.journal import Journal, Section
from sonar.protocol.ids import Address, parse_address

_KEY = "accounts"
_OF = "account-of/"


@frozen
class Accounts:
    """The accounts of a home in the order in which they were used; the last one begins what is new.

    `successor` is named, or about to be, and not used yet.
    """

    used: tuple[Address, ...]
    successor: Address | None = None

    @property
    def current(self) -> Address:
        """The account that begins what is new."""
        return self.used[-1]

    @property
    def former(self) -> tuple[Address, ...]:
        """The accounts that only end what they have begun, oldest first."""
        return self.used[:-1]

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Accounts:
        """Return what the journal holds. Raises ValueError for no account, or one that is there twice."""
        used = tuple(map(_address, record["used"]))
        successor = _address(record["successor"]) if record["successor"] else None
        every = [*used, successor] if successor else [*used]
        if not used or len(set(every)) < len(every):
            raise ValueError("it has no accounts, or one of them twice")
        return cls(used, successor)


def recorded(journal: Journal) -> Accounts | None:
    """Return the accounts that a journal names; None while its home has had one. Raises JournalError."""
    return journal.get_as(Accounts.read, _KEY)


def accounts_in(folder: Path, journal: Journal | None) -> Accounts:
    """Return the accounts of a home with this keystore and journal; None if it has no journal yet.

    Raises KeyFileError if the current account's key is missing and no successor is named, or if nothing says
    which one that is; JournalError.
    """
    found = recorded(journal) if journal else None
    if found is not None and found.successor is not None:  # who can take over without that key
        return found
    address = keystore.find(folder, found.current if found else None).stem
    return found or Accounts((Address(address),))


def current_in(folder: Path, journal_file: Path) -> Address:
    """Return the account that begins what is new in a home. Raises as `accounts_in`; makes no journal."""
    if not journal_file.exists():
        return accounts_in(folder, None).current
    with Journal(journal_file) as journal:
        return accounts_in(folder, journal).current


class AccountBook:
    """The accounts in a home's journal. Methods raise JournalError."""

    def __init__(self, journal: Journal, accounts: Accounts) -> None:
        self._journal, self.accounts = journal, accounts

    def name(self, successor: Address | None) -> None:
        """Record that the current account is about to name this successor; None: that it was refused."""
        self._put(replace(self.accounts, successor=successor))

    def switch(self, begun: Iterable[str]) -> None:
        """Begin what is new by the successor; what was `begun`, and is nobody's yet, stays the old one's."""
        old, new = self.accounts.current, self.accounts.successor
        if new is None:
            raise JournalError("no successor was named in this home")
        with self._journal.transaction():
            for subject in begun:
                if _OF + subject not in self._journal:
                    self._journal.put(_OF + subject, old)
            self._put(Accounts((*self.accounts.used, new)))

    def of(self, subject: str) -> Address:
        """Return the account that a bounty belongs to: the current one if it was not begun by another.

        `subject` names it: its id in hex at a mine, its name at a scientist.
        """
        return self._journal.get_as(_address, _OF + subject) or self.accounts.current

    def journal(self, account: Address) -> Journal:
        """Return the part of the journal that has an account's transactions: the first one's is the whole."""
        if account == self.accounts.used[0]:
            return self._journal
        return Section(self._journal, f"of/{account}/")

    def _put(self, accounts: Accounts) -> None:
        record = {"used": list(accounts.used), "successor": accounts.successor or ""}
        self._journal.put(_KEY, record)
        self.accounts = accounts


def _address(text: Any) -> Address:
    """Return an address of the journal. Raises ValueError."""
    try:
        return parse_address(str(text))
    except ConfigError as error:
        raise ValueError(str(error)) from error
