"""Blindings made in advance: textbook r^n mod n^2, which hides an update even from the key holder.

The one law: an entry is used at most once, across crashes and restarts. Two ciphertexts with the same
blinding give away their quotient, and with it the difference of two updates. So `take` deletes entries in a
committed transaction before it hands them out; a crash in between loses them, which costs only time. The
transaction is in the file itself, not in a write-ahead log that may be left behind when the file is moved. An
older copy of the file has entries that were used since. So never run a mine from a copy of its home beside
the original, and remove the pool from a back-up before you restore it.

A file that is damaged, or that others may have read, is worthless: it is deleted, and a new one is made.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gmpy2 import mpz

from sonar.cores import cores_allowed, spread
from sonar.errors import CiphertextError, JournalBlocked, JournalError
from sonar.paillier.public import PublicKey, Rng

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS blinding (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint BLOB NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS blinding_by_key ON blinding (fingerprint, id);
"""


class Pool:
    """Blindings per public key in an SQLite file of mode 0600; whoever reads the file can undo them.

    With `renewed`, a file that is damaged, or that others may have read, is replaced, and `renewed` is called
    with what was wrong: for the process that has the home's lock. Without, methods raise JournalError for it.
    They raise JournalBlocked for a file that cannot be used now.
    """

    def __init__(
        self,
        path: Path,
        rng: Rng = secrets.randbelow,
        renewed: Callable[[JournalError], None] | None = None,
    ) -> None:
        self._path, self._rng, self._renewed = path, rng, renewed
        self.cores = cores_allowed()
        self._db: sqlite3.Connection | None = None
        self._do(lambda _: None, None)

    def count(self, key: PublicKey) -> int:
        """How many entries are ready for `key`."""
        query = "SELECT COUNT(*) FROM blinding WHERE fingerprint = ?"
        return self._do(lambda db: int(db.execute(query, (key.fingerprint,)).fetchone()[0]), 0)

    def fill(self, key: PublicKey, count: int) -> None:
        """Make `count` entries, over the cores, and keep each as soon as it is made."""
        query = "INSERT INTO blinding (fingerprint, value) VALUES (?, ?)"
        for entry in self._made(key, count):
            row = (key.fingerprint, int(entry).to_bytes(key.ciphertext_bytes, "big"))

            def keep(db: sqlite3.Connection, row: tuple[bytes, bytes] = row) -> None:
                db.execute(query, row)

            self._do(keep, None)

    def take(self, key: PublicKey, count: int) -> list[mpz]:
        """Return `count` blindings that were never returned before; those that are missing are made now."""

        def ready(db: sqlite3.Connection) -> list[mpz]:
            taken = db.execute(
                "DELETE FROM blinding WHERE id IN"
                " (SELECT id FROM blinding WHERE fingerprint = ? ORDER BY id LIMIT ?) RETURNING value",
                (key.fingerprint, count),
            ).fetchall()  # fetched to the end, the statement commits
            return key.check_all([int.from_bytes(value, "big") for (value,) in taken])

        found: list[mpz] = self._do(ready, [])
        return found + list(self._made(key, count - len(found)))

    def making_s(self, key: PublicKey, count: int) -> float:
        """About how long it takes to make `count` entries on these cores."""
        return making_s(key.bits, count) / min(self.cores, max(count, 1))

    def _made(self, key: PublicKey, count: int) -> Iterator[mpz]:
        def make(part: Sequence[int]) -> list[mpz]:
            return [key.blinding(self._rng) for _ in part]

        for made in spread(make, range(count), cores=self.cores, at_a_time=1):
            yield from made

    def close(self) -> None:
        """Close the file; whatever is asked next opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _do(self, act: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return what `act` makes of the file; `otherwise` if the file was bad and is replaced."""
        try:
            with _faults():
                self._db = self._db or _opened(self._path)
                return act(self._db)
        except JournalBlocked:
            self.close()  # the file may have been replaced
            raise
        except JournalError as fault:
            if self._renewed is None:
                raise
            self._renew()
            self._renewed(fault)
            return otherwise

    def _renew(self) -> None:
        self.close()
        with _faults():
            self._path.unlink()  # a journal beside it goes too: SQLite takes none for an empty file's
            self._db = _opened(self._path)


def _opened(path: Path) -> sqlite3.Connection:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    if mode & 0o077:
        raise JournalError(
            f"the pool of blindings {path} has mode {mode:04o}; others may have read it", hint=_RENEW
        )
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("PRAGMA synchronous=EXTRA")  # a deletion must outlive the machine's power
        db.execute("PRAGMA secure_delete=ON")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def making_s(key_bits: int, count: int) -> float:
    """About how many seconds of one core `count` entries take: 10 ms each at 2048 bits, 28 ms at 3072."""
    return count * 0.01 * float((key_bits / 2048) ** 2.6)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, TypeError, CiphertextError) as error:
        told = f"the pool of blindings cannot be used: {error}"
        # Of SQLite's errors, only this class is about the file's content.
        if type(error) is sqlite3.DatabaseError or isinstance(error, TypeError | CiphertextError):
            raise JournalError(told, hint=_RENEW) from error
        raise JournalBlocked(
            told, hint="is the disk full, or the file locked? If you delete it, the mine makes another one"
        ) from error


_RENEW = "`mine run` deletes it and makes another one"
