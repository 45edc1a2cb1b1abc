"""A file of ours that is an SQLite database: made, opened, checked, and written in transactions.

What is written is on the disk when its transaction ends (write-ahead log, synchronous=FULL).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from sonar.errors import JournalBlocked, JournalError
from sonar.frozen import frozen
from sonar.home.files import remedy, remedy_of_database
from sonar.protocol.wording import other_version


@frozen
class Kind:
    """What tells one kind of our files from others, and what is said of them.

    `application_id` stands in the file's header. `foreign`: what is wrong with a file of others, and what to
    do; `old` and `damaged`: what to do with one of an older version, and with a damaged one.
    """

    name: str
    application_id: int
    format: int
    schema: str
    foreign: tuple[str, str]
    old: str
    damaged: str


class Database:
    """One file. Safe to use from several threads; one that is not there is made, for its user alone.

    Raises JournalError for a file that is damaged or not ours, JournalBlocked for one that cannot be used
    now. `lasting`: whether it is to outlive the machine's power; it outlives its process in any case.
    """

    kind: ClassVar[Kind]

    def __init__(self, path: Path | str, *, lasting: bool = True) -> None:
        self.path, self._lasting = Path(path), lasting
        self._lock = threading.RLock()
        self._depth = 0
        with self._faults():
            if not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            with self._faults():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        kind = self.kind
        self._db.execute(f"PRAGMA synchronous={'FULL' if self._lasting else 'OFF'}")
        # Two processes may create the file at once: look only while holding the lock.
        with self.transaction():
            if self._pragma("application_id") == 0 and not self._one("SELECT 1 FROM sqlite_master"):
                self._make()
                self._db.execute(f"PRAGMA application_id={kind.application_id}")
                self._db.execute(f"PRAGMA user_version={kind.format}")
        if self._pragma("application_id") != kind.application_id:
            self._refuse(*kind.foreign)
        if (found := self._pragma("user_version")) != kind.format:
            self._refuse(*other_version(found, kind.format, kind.old))
        self._db.execute("PRAGMA journal_mode=WAL")

    def _make(self) -> None:
        """Fill a file that was just created, inside a transaction."""
        for statement in self.kind.schema.split(";"):
            self._db.execute(statement)

    def close(self) -> None:
        """Close the file. Using it afterwards raises JournalError."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside one: all or, if the block raises, none.

        A nested call joins the outer one. If it raises and the outer block continues, its own changes are
        lost.
        """
        with self._lock:
            name = f"t{self._depth}"
            with self._faults():
                self._db.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._undo(name)
                raise
            self._depth -= 1
            with self._faults():
                self._db.execute("COMMIT" if self._depth == 0 else f"RELEASE {name}")

    def _undo(self, name: str) -> None:
        with self._faults():
            if self._depth == 0:
                if self._db.in_transaction:  # a full disk ends the transaction by itself
                    self._db.execute("ROLLBACK")
            else:
                self._db.execute(f"ROLLBACK TO {name}")
                self._db.execute(f"RELEASE {name}")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _run(self, statement: str, *values: Any) -> int:
        """Change rows, and return how many."""
        with self._lock, self._faults():
            return self._db.execute(statement, values).rowcount

    def _one(self, query: str, *values: Any) -> Any:
        with self._lock, self._faults():
            return self._db.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock, self._faults():
            return self._db.execute(query, values).fetchall()

    def _refuse(self, problem: str, hint: str = "") -> NoReturn:
        """Raise JournalError: what is wrong, and what to do: by default, as with a damaged file."""
        raise JournalError(f"the {self.kind.name} {self.path} {problem}", hint=hint or self.kind.damaged)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        what = f"the {self.kind.name} {self.path}"
        try:
            yield
        except sqlite3.OperationalError as error:
            hint = remedy_of_database(self.path, str(error))
            raise JournalBlocked(f"{what} cannot be used: {error}", hint=hint) from error
        except OSError as error:
            problem = f"{what} cannot be made: {error.strerror}"
            raise JournalBlocked(problem, hint=remedy(error, self.path)) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged schema
            raise JournalError(f"{what} cannot be read: {error}", hint=self.kind.damaged) from error
