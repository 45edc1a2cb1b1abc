"""The ledger's file: what it is called, and how it is as a whole."""

from __future__ import annotations

import secrets
from typing import Any

from capsule.home.entries import SCHEMA, SINCE
from sonar.home.database import Database, Kind

FORMAT = 1
_DAMAGED = "restore the newest copy; without one, move the file away, and the capsule begins a new one"


class LedgerFile(Database):
    """The file of a ledger. Safe to use from several threads; one that is not there is made.

    Raises JournalError for a file that is damaged or not ours, JournalBlocked for one that cannot be used.
    """

    kind = Kind(
        name="ledger",
        application_id=0x534F4E43,  # "SONC"
        format=FORMAT,
        schema=SCHEMA,
        foreign=("is not a capsule's ledger", _DAMAGED),
        old="use the version of Sonar that wrote it, or begin with a new home",
        damaged=_DAMAGED,
    )

    def _open(self) -> None:
        super()._open()
        if not self._one("SELECT 1 FROM sqlite_master WHERE name = 'epoch'"):
            with self.transaction():
                self._run(SINCE)

    def _make(self) -> None:
        super()._make()
        self._run("INSERT INTO owner VALUES (?, 0, ?, ?, 0)", secrets.token_hex(16), b"", b"")

    @property
    def name(self) -> str:
        """What this ledger is called; no other has the name, but its copies."""
        return str(self._need("SELECT name FROM owner")[0])

    @property
    def entries(self) -> int:
        """How many answers it has recorded."""
        return int(self._need("SELECT entries FROM owner")[0])

    @property
    def marks(self) -> tuple[bytes, bytes]:
        """What names the ledger as it is, and as it was before its last answer: hashes of all answers."""
        head, before = self._need("SELECT head, before FROM owner")
        return bytes(head), bytes(before)

    @property
    def blind_until_s(self) -> int:
        """The time up to which the ledger may not know all that was told; 0 if it knows all."""
        return int(self._need("SELECT blind_until_s FROM owner")[0])

    def set_blind(self, now_s: int) -> None:
        """Record that something told by time `now_s` may be forgotten."""
        self._run("UPDATE owner SET blind_until_s = max(blind_until_s, ?)", now_s)

    def _need(self, query: str, *values: Any) -> Any:
        row = self._one(query, *values)
        if row is None:
            self._refuse("has lost a row")
        return row
