"""A program's memory on disk: what it must still know after being killed at any instant.

One SQLite file with two parts: a map from keys to values, and an append-only log of what happened. A `put` is
on the disk when it returns (write-ahead log, synchronous=FULL); `transaction()` makes several changes atomic.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sonar.errors import JournalBlocked, JournalError
from sonar.home.files import remedy, remedy_of_database
from sonar.protocol.wording import other_version

APPLICATION_ID = 0x534F4E41  # "SONA", in the file's header: tells our files from any other SQLite file
FORMAT = 2
_OLD = "begin with a new home, and finish running bounties with the version of Sonar that began them"
_JSON_INT_MAX = 2**63
T = TypeVar("T")
_SCHEMA = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, event TEXT NOT NULL,
                  data TEXT NOT NULL);
"""


@dataclass(frozen=True)
class LoggedEvent:
    """A line of the log. `at_s` is this machine's clock, for people only: no decision depends on it."""

    seq: int
    at_s: float
    event: str
    data: dict[str, Any]


class Journal:
    """Keys, values and a log in one SQLite file. Safe to use from several threads.

    Values are None, bool, int of any size, finite float, str, bytes, and lists and dicts (with str keys) of
    them; tuples come back as lists. Raises JournalError on a file that is not ours or damaged, and
    JournalBlocked on one that cannot be used now. `lasting`: whether it is to outlive the machine's power; it
    outlives its process in any case.
    """

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
        self._db.execute(f"PRAGMA synchronous={'FULL' if self._lasting else 'OFF'}")
        with (
            self.transaction()
        ):  # two processes may create the file at once: look only while holding the lock
            if (
                self._pragma("application_id") == 0
                and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone()
            ):
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version={FORMAT}")
        if self._pragma("application_id") != APPLICATION_ID:
            self._refuse("is an SQLite file of another program", "name another home folder")
        if (found := self._pragma("user_version")) != FORMAT:
            self._refuse(*other_version(found, FORMAT, _OLD))
        self._db.execute("PRAGMA journal_mode=WAL")

    def close(self) -> None:
        """Close the file. Using the journal afterwards raises JournalError."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, key: str, value: Any) -> None:
        """Set `key` to `value`; on disk when this returns (inside a transaction: when that ends)."""
        text = _dump(value)
        with self._lock, self._faults():
            self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, text))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        with self._lock, self._faults():
            row = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return default if row is None else self._load(row[0], key)

    def __contains__(self, key: str) -> bool:
        with self._lock, self._faults():
            return self._db.execute("SELECT 1 FROM entries WHERE key = ?", (key,)).fetchone() is not None

    def delete(self, key: str) -> None:
        """Forget `key`; an unknown key is no error."""
        with self._lock, self._faults():
            self._db.execute("DELETE FROM entries WHERE key = ?", (key,))

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        """Return the pairs whose key starts with `prefix`, in the order of their keys."""
        with self._lock, self._faults():
            rows = self._db.execute(
                "SELECT key, value FROM entries WHERE substr(key, 1, ?) = ? ORDER BY key",
                (len(prefix), prefix),
            ).fetchall()
        return [(key, self._load(text, key)) for key, text in rows]

    def get_as(self, read: Callable[[Any], T], key: str) -> T | None:
        """Return `read` of the value of `key`, or None.

        Raises JournalError when the value has another shape: another version of the program wrote it.
        """
        value = self.get(key)
        return None if value is None else self._read(read, key, value)

    def items_as(self, read: Callable[[Any], T], prefix: str = "") -> list[T]:
        """Return `read` of every value whose key starts with `prefix`, in the order of keys. As `get_as`."""
        return [value for _, value in self.pairs_as(read, prefix)]

    def pairs_as(self, read: Callable[[Any], T], prefix: str = "") -> list[tuple[str, T]]:
        """Return the keys that start with `prefix`, in order, each with `read` of its value. As `get_as`."""
        return [(key, self._read(read, key, value)) for key, value in self.items(prefix)]

    def _read(self, read: Callable[[Any], T], key: str, value: Any) -> T:
        try:
            return read(value)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self._refuse(
                f"holds a record at {key!r} that this version does not read: {error}",
                "use the version of Sonar that wrote it, or a later one",
            )

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

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        text = _dump(fields)
        with self._lock, self._faults():
            self._db.execute(
                "INSERT INTO log (at_s, event, data) VALUES (?, ?, ?)", (time.time(), event, text)
            )

    def events(self, event: str | None = None, after: int = 0) -> list[LoggedEvent]:
        """Return the log after line number `after`, oldest first; only `event` if it is named."""
        with self._lock, self._faults():
            rows = self._db.execute(
                "SELECT * FROM log WHERE seq > ? AND (? IS NULL OR event = ?) ORDER BY seq",
                (after, event, event),
            ).fetchall()
        return [LoggedEvent(seq, at_s, name, self._load(text, name)) for seq, at_s, name, text in rows]

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _load(self, text: str, key: str) -> Any:
        try:
            return _decode(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            self._refuse(f"holds a damaged value at {key!r}")

    def _refuse(
        self, problem: str, hint: str = "restore this file from a copy, or start with a new home"
    ) -> NoReturn:
        raise JournalError(f"the journal {self.path} {problem}", hint=hint)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            problem = f"the journal {self.path} cannot be used: {error}"
            raise JournalBlocked(problem, hint=remedy_of_database(self.path, str(error))) from error
        except OSError as error:
            problem = f"the journal {self.path} cannot be made: {error.strerror}"
            raise JournalBlocked(problem, hint=remedy(error, self.path)) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged schema
            self._refuse(f"cannot be read: {error}")


class Section(Journal):
    """The keys of a journal that start with a prefix, which they lack here. All else is the whole's: its
    file, its lock, its transactions and its log.
    """

    def __init__(self, whole: Journal, prefix: str) -> None:
        self.path, self._whole, self._prefix = whole.path, whole, prefix

    def close(self) -> None:
        """Do nothing: the whole is closed by who opened it."""

    def put(self, key: str, value: Any) -> None:
        """Set `key` to `value`, as `Journal.put`."""
        self._whole.put(self._prefix + key, value)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        return self._whole.get(self._prefix + key, default)

    def __contains__(self, key: str) -> bool:
        return self._prefix + key in self._whole

    def delete(self, key: str) -> None:
        """Forget `key`; an unknown key is no error."""
        self._whole.delete(self._prefix + key)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        """Return the pairs whose key starts with `prefix`, in the order of their keys."""
        found = self._whole.items(self._prefix + prefix)
        return [(key.removeprefix(self._prefix), value) for key, value in found]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside one, as `Journal.transaction`."""
        with self._whole.transaction():
            yield

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        self._whole.log(event, **fields)

    def events(self, event: str | None = None, after: int = 0) -> list[LoggedEvent]:
        """Return the log, as `Journal.events`."""
        return self._whole.events(event, after)


def _dump(value: Any) -> str:
    text = json.dumps(_encode(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # a file's name that is not in UTF-8
        return json.dumps(_encode(value), separators=(",", ":"), allow_nan=False)
    return text


def _encode(value: Any) -> Any:
    """Return `value` in JSON's own types: bytes and integers beyond 64 bits as {"$hex"} and {"$int"}."""
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if -_JSON_INT_MAX <= value < _JSON_INT_MAX else {"$int": hex(value)}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        if bad := [key for key in value if not isinstance(key, str) or key.startswith("$")]:
            raise TypeError(f"the journal takes no key {bad[0]!r}: keys are str and don't start with $")
        return {key: _encode(item) for key, item in value.items()}
    raise TypeError(f"the journal takes no {type(value).__name__}")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$hex": str(text)} if len(value) == 1:
            return bytes.fromhex(text)
        case {"$int": str(text)} if len(value) == 1:
            return int(text, 16)
    return {key: _decode(item) for key, item in value.items()}
