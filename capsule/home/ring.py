"""The keys of a capsule that serves: what its folder holds now, whoever put it there or took it away.

`capsule rotate` writes one file, whole or not at all, and needs no word with the capsule that serves: that
one lists the folder before it says who it is, and before it answers. So the key that was made last is named
from then on, and one that was deleted opens nothing more. A signal or a socket could be lost, or be answered
by a process that is about to be killed; a file that is there is there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from capsule.home.keys import Epoch, Keys
from sonar.errors import SonarError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


class Ring(Mapping[int, Epoch]):
    """An account's keys by epoch, as of the last `look`. Safe to use from several threads.

    The constructor raises KeyFileError, JournalBlocked.
    """

    def __init__(self, keys: Keys, account: LocalAccount) -> None:
        self._keys, self._account, self._lock = keys, account, threading.Lock()
        self._seen = set(keys.epochs())
        self._opened = keys.load(account)

    def __getitem__(self, epoch: int) -> Epoch:
        return self._opened[epoch]

    def __iter__(self) -> Iterator[int]:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)

    def look(self) -> tuple[list[Epoch], list[int]]:
        """Take up what has come or gone since; return the keys that came, and the epochs that are gone.

        A key that does not open is told once, and the others are used.
        """
        with self._lock:
            there = set(self._keys.epochs())
            if there == self._seen:
                return [], []
            came = [one for epoch in sorted(there - self._seen) if (one := self._open(epoch)) is not None]
            gone = sorted(self._opened.keys() - there)
            kept = {epoch: one for epoch, one in self._opened.items() if epoch in there}
            self._opened = kept | {one.public.epoch: one for one in came}  # replaced, since others read it
            self._seen = there
        return came, gone

    def _open(self, epoch: int) -> Epoch | None:
        try:
            return self._keys.open(epoch, self._account)
        except SonarError as fault:
            logging.getLogger("capsule").error("the key of epoch %d is passed over: %s", epoch, fault)
            return None
