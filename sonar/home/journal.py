"""A program's memory on disk: what it must still know after being killed at any instant.

One SQLite file with two parts: a map from keys to values, and an append-only log of what happened. A `put` is
on the disk when it returns (write-ahead log, synchronous=FULL); `transaction()` makes several changes atomic.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sonar.frozen import frozen
from sonar.home.database import Database, Kind

FORMAT = 2
_JSON_INT_MAX = 2**63
T = TypeVar("T")
_SCHEMA = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, event TEXT NOT NULL,
                  data TEXT NOT NULL);
"""


@frozen
class LoggedEvent:
    """A line of the log. `at_s` is this machine's clock, for people only: no decision depends on it."""

    seq: int
    at_s: float
    event: str
    data: dict[str, Any]


class Journal(Database):
    """Keys, values and a log in one SQLite file. Safe to use from several threads.

    Values are None, bool, int of any size, finite float, str, bytes, and lists and dicts (with str keys) of
    them; tuples come back as lists. Raises JournalError on a file that is not ours or damaged, and
    JournalBlocked on one that cannot be used now. `lasting`: whether it is to outlive the machine's power; it
    outlives its process in any case.
    """

    kind = Kind(
        name="journal",
        application_id=0x534F4E41,  # "SONA"
        format=FORMAT,
        schema=_SCHEMA,
        foreign=("is an SQLite file of another program", "name another home folder"),
        old="begin with a new home, and finish running bounties with the version of Sonar that began them",
        damaged="restore this file from a copy, or start with a new home",
    )

    def put(self, key: str, value: Any) -> None:
        """Set `key` to `value`; on disk when this returns (inside a transaction: when that ends)."""
        self._run("INSERT OR REPLACE INTO entries VALUES (?, ?)", key, _dump(value))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        row = self._one("SELECT value FROM entries WHERE key = ?", key)
        return default if row is None else self._load(row[0], key)

    def __contains__(self, key: str) -> bool:
        return self._one("SELECT 1 FROM entries WHERE key = ?", key) is not None

    def delete(self, key: str) -> None:
        """Forget `key`; an unknown key is no error."""
        self._run("DELETE FROM entries WHERE key = ?", key)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        """Return the pairs whose key starts with `prefix`, in the order of their keys."""
        query = "SELECT key, value FROM entries WHERE substr(key, 1, ?) = ? ORDER BY key"
        rows = self._all(query, len(prefix), prefix)
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

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        self._run("INSERT INTO log (at_s, event, data) VALUES (?, ?, ?)", time.time(), event, _dump(fields))

    def events(self, event: str | None = None, after: int = 0) -> list[LoggedEvent]:
        """Return the log after line number `after`, oldest first; only `event` if it is named."""
        query = "SELECT * FROM log WHERE seq > ? AND (? IS NULL OR event = ?) ORDER BY seq"
        rows = self._all(query, after, event, event)
        return [LoggedEvent(seq, at_s, name, self._load(text, name)) for seq, at_s, name, text in rows]

    def _load(self, text: str, key: str) -> Any:
        try:
            return _decode(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            self._refuse(f"holds a damaged value at {key!r}")


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
