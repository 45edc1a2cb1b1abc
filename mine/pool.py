"""Blindings made ahead of time: textbook r^n mod n^2, which hides an update even from the holder of the key.

The one law: an entry is used at most once, across crashes and restarts. Two ciphertexts with the same
blinding give away their quotient, and with it the difference of two updates. So `take` deletes entries in a
committed transaction before it hands them out; a crash in between loses them, which costs only time. The
transaction is in the file itself, not in a write-ahead log that may be left behind when the file is moved. An
older copy of the file has entries that were used since: never run a mine from a copy of its home beside the
original, and remove the pool from a back-up that you go back to.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gmpy2 import mpz

from sonar.cores import cores_allowed, spread
from sonar.errors import CiphertextError, JournalError
from sonar.paillier.public import PublicKey, Rng

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

    Methods raise JournalError when the file cannot be read or written.
    """

    def __init__(self, path: Path, rng: Rng = secrets.randbelow) -> None:
        self._rng = rng
        self.cores = cores_allowed()
        with _faults():
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.close(descriptor)
            if mode & 0o077:
                raise JournalError(
                    f"the pool of blindings {path} has mode {mode:04o}; others may have read it",
                    hint="delete it: the mine makes another one",
                )
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")  # a deletion must outlive the machine's power
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(_SCHEMA)

    def count(self, key: PublicKey) -> int:
        """How many entries are ready for `key`."""
        query = "SELECT COUNT(*) FROM blinding WHERE fingerprint = ?"
        with _faults():
            (count,) = self._db.execute(query, (key.fingerprint,)).fetchone()
        return int(count)

    def fill(self, key: PublicKey, count: int) -> None:
        """Make `count` entries, over the cores, and keep each as soon as it is made."""
        for entry in self._made(key, count):
            value = int(entry).to_bytes(key.ciphertext_bytes, "big")
            with _faults():
                self._db.execute(
                    "INSERT INTO blinding (fingerprint, value) VALUES (?, ?)", (key.fingerprint, value)
                )

    def take(self, key: PublicKey, count: int) -> list[mpz]:
        """Return `count` blindings that were never returned before; those that are missing are made now."""
        with _faults():
            taken = self._db.execute(
                "DELETE FROM blinding WHERE id IN"
                " (SELECT id FROM blinding WHERE fingerprint = ? ORDER BY id LIMIT ?) RETURNING value",
                (key.fingerprint, count),
            ).fetchall()  # fetched to the end, the statement commits
        with _faults():
            ready = key.check_all([int.from_bytes(value, "big") for (value,) in taken])
        return ready + list(self._made(key, count - len(ready)))

    def making_s(self, key: PublicKey, count: int) -> float:
        """About how long it takes to make `count` entries on these cores."""
        return making_s(key.bits, count) / min(self.cores, max(count, 1))

    def _made(self, key: PublicKey, count: int) -> Iterator[mpz]:
        def make(part: Sequence[int]) -> list[mpz]:
            return [key.blinding(self._rng) for _ in part]

        for made in spread(make, range(count), cores=self.cores, at_a_time=1):
            yield from made

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def making_s(key_bits: int, count: int) -> float:
    """About how many seconds of one core `count` entries take: 10 ms each at 2048 bits, 28 ms at 3072."""
    return count * 0.01 * float((key_bits / 2048) ** 2.6)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, TypeError, CiphertextError) as error:
        raise JournalError(
            f"the pool of blindings cannot be used: {error}",
            hint="is the disk full, the file locked or damaged? If you delete it, the mine makes another one",
        ) from error
