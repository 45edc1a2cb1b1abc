"""The ledger's file: one SQLite database, opened, checked, and written in transactions."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from capsule.home.entries import SCHEMA, SINCE
from sonar.errors import JournalBlocked, JournalError
from sonar.home.files import remedy, remedy_of_database
from sonar.protocol.wording import other_version

APPLICATION_ID = 0x534F4E43  # "SONC"
FORMAT = 1
_OLD = "use the version of Sonar that wrote it, or begin with a new home"
_DAMAGED = "restore the newest copy; without one, move the file away, and the capsule begins a new one"


class Database:
    """The file of a ledger. Safe to use from several threads; one that is not there is made.

    Raises JournalError for a file that is damaged or not ours, JournalBlocked for one that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._faults():
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            with self._faults():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA synchronous=FULL")
        with self._writing():
            if self._pragma("application_id") == 0 and not self._one("SELECT 1 FROM sqlite_master"):
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(
                    "INSERT INTO owner VALUES (?, 0, ?, ?, 0)", [secrets.token_hex(16), b"", b""]
                )
                self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version={FORMAT}")
        if self._pragma("application_id") != APPLICATION_ID:
            raise JournalError(f"{self.path} is not a capsule's ledger", hint=_DAMAGED)
        if (found := self._pragma("user_version")) != FORMAT:
            problem, hint = other_version(found, FORMAT, _OLD)
            raise JournalError(f"the ledger {self.path} {problem}", hint=hint)
        self._db.execute("PRAGMA journal_mode=WAL")
        if not self._one("SELECT 1 FROM sqlite_master WHERE name = 'epoch'"):
            with self._writing():
                self._db.execute(SINCE)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        with self._writing():
            self._db.execute("UPDATE owner SET blind_until_s = max(blind_until_s, ?)", [now_s])

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _one(self, query: str, *values: Any) -> Any:
        with self._lock, self._faults():
            return self._db.execute(query, values).fetchone()

    def _need(self, query: str, *values: Any) -> Any:
        row = self._one(query, *values)
        if row is None:
            raise JournalError(f"the ledger {self.path} has lost a row", hint=_DAMAGED)
        return row

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock, self._faults():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, on the disk when it ends; undone if the block raises."""
        with self._lock, self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            problem = f"the ledger {self.path} cannot be used: {error}"
            raise JournalBlocked(problem, hint=remedy_of_database(self.path, str(error))) from error
        except OSError as error:
            problem = f"the ledger {self.path} cannot be made: {error.strerror}"
            raise JournalBlocked(problem, hint=remedy(error, self.path)) from error
        except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
            raise JournalError(f"the ledger {self.path} cannot be read: {error}", hint=_DAMAGED) from error
