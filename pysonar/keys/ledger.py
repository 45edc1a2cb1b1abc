"""What a key gives away, recorded on disk before it does.

One SQLite file beside the key. Every entry is durable in that file (rollback journal, synchronous EXTRA)
before the answer that it stands for leaves the key, and writing an entry again changes nothing, so a killed
campaign can continue. There is no write-ahead log: a ledger moved without it would lose entries.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sonar.errors import JournalBlocked, JournalError, KeyFileError, LedgerConflict
from sonar.home.files import remedy, remedy_of_database
from sonar.protocol.wording import other_version

FORMAT = 3
_READ = (2, FORMAT)
"""Format 2 knew one key for each bounty."""
_DAMAGED = "if the file is damaged, restore the newest copy of it and its key"
_OLD = "end its bounties with the version of Sonar that began them; new ones take a new key"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (fingerprint BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aggregate (
    bounty BLOB, round INTEGER, digest BLOB NOT NULL, weights BLOB NOT NULL, cohort BLOB NOT NULL,
    PRIMARY KEY (bounty, round)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aggregated (
    ciphertexts BLOB PRIMARY KEY, bounty BLOB NOT NULL, round INTEGER NOT NULL, mine TEXT NOT NULL,
    weight INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS aggregated_in ON aggregated (bounty, round);
CREATE TABLE IF NOT EXISTS score (
    bounty BLOB, round INTEGER, bits INTEGER NOT NULL, scores TEXT NOT NULL,
    PRIMARY KEY (bounty, round)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summed (vector BLOB PRIMARY KEY, sum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS twin (
    bounty BLOB, round INTEGER, mine TEXT, first TEXT NOT NULL,
    PRIMARY KEY (bounty, round, mine)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed_test (
    bounty BLOB, round INTEGER, mine TEXT, test TEXT, PRIMARY KEY (bounty, round, mine, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    bounty BLOB, round INTEGER, mine TEXT, ciphertexts BLOB, test TEXT,
    PRIMARY KEY (bounty, round, mine, ciphertexts)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn (
    bounty BLOB, round INTEGER, fingerprint BLOB NOT NULL, PRIMARY KEY (bounty, round)) WITHOUT ROWID;
"""


@dataclass
class Revealed:
    """What was revealed about one mine in a bounty: bits of scores, the tests that it failed by round, and
    the number of rounds in which its answer was found to be another's too. `told_bits`: how much of its
    masked answers capsules told for all this.
    """

    score_bits: int = 0
    failed_tests: list[tuple[int, str]] = field(default_factory=list)
    twin_rounds: int = 0
    told_bits: int = 0


@dataclass(frozen=True)
class Aggregated:
    """One mine's part of an aggregate: the digest of its ciphertexts, and what they weighed."""

    ciphertexts: bytes
    weight: int


class Ledger:
    """The record of one key's decryptions, and of those of the keys that follow it in its bounty: what two
    sums tell together does not depend on their keys. `path` None keeps it in memory, for a key that is not
    saved. `owner` is the first key's fingerprint.

    A file that is not there is made. Raises KeyFileError: no ledger, an empty one, or another key's.
    """

    def __init__(self, path: Path | None, fingerprint: bytes) -> None:
        self._lock = threading.Lock()
        self.path, self.owner = path, fingerprint
        new = path is None or not path.exists()
        try:
            if path is not None and new:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(
                path or ":memory:", isolation_level=None, timeout=30, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = EXTRA")  # FULL would let power loss undo the last entry
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if (
                not new
                and version not in _READ
                and self._db.execute("SELECT 1 FROM sqlite_schema").fetchone()
            ):
                problem, hint = other_version(version, FORMAT, _OLD)
                raise KeyFileError(f"the ledger {path} {problem}", hint=hint)
            self._db.executescript(_SCHEMA)
            if version != FORMAT:
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
            if new:
                self._db.execute("INSERT INTO owner VALUES (?)", [fingerprint])
            owner = self._db.execute("SELECT fingerprint FROM owner").fetchone()
        except OSError as error:
            assert path is not None
            problem = f"the ledger {path} cannot be made: {error.strerror}"
            raise KeyFileError(problem, hint=remedy(error, path)) from error
        except sqlite3.OperationalError as error:
            problem = f"the ledger {path} cannot be read: {error}"
            raise KeyFileError(problem, hint=self._remedy(str(error))) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged schema
            raise KeyFileError(f"the ledger {path} cannot be read: {error}", hint=_DAMAGED) from error
        if owner is None:
            raise KeyFileError(
                f"the ledger {path} is empty, and without its entries the key could decrypt too much",
                hint="copy it from where the key was used last; if it is lost, make a new key",
            )
        if owner != (fingerprint,):
            raise KeyFileError(f"the ledger {path} belongs to another key")

    def _remedy(self, told: str) -> str:
        return _DAMAGED if self.path is None else remedy_of_database(self.path, told)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def copy_to(self, other: Ledger) -> None:
        """Write all entries of this ledger into `other`."""
        with self._lock:
            self._db.backup(other._db)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when it ends. Raises JournalError, and then nothing may be released."""
        with self._locked("written"), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Look something up. Raises JournalError."""
        with self._locked("read"):
            yield self._db

    @contextmanager
    def _locked(self, done: str) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise JournalBlocked(
                f"the key's ledger cannot be {done}: {error}",
                hint=self._remedy(str(error)),
            ) from error
        except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            raise JournalError(
                f"the key's ledger cannot be {done}: {error}",
                hint=_DAMAGED,
            ) from error

    def record_aggregate(
        self,
        bounty: bytes,
        round: int,
        digest: bytes,
        *,
        weights: bytes,
        cohort: bytes,
        updates: Mapping[str, Aggregated],
    ) -> None:
        """Allow the decryption of one aggregate of a round. The same again is allowed.

        `weights` and `cohort` are digests of what the updates were made on and of who made them, `updates`
        what each mine gave. Raises LedgerConflict when another aggregate of that round is on
        record, or in any bounty of this key one of another cohort at the same weights, or one with one of
        these updates: two that differ by one mine would give that mine's update away.
        """
        with self.writing():
            query = "SELECT digest FROM aggregate WHERE bounty = ? AND round = ?"
            recorded = self._db.execute(query, [bounty, round]).fetchone()
            if recorded == (digest,):
                return
            if recorded is not None:
                raise LedgerConflict(
                    f"another aggregate of round {round} of bounty {bounty.hex()} was decrypted before",
                    hint="aggregate the same updates as before; this round's aggregate cannot be changed now",
                )
            query = "SELECT 1 FROM aggregate WHERE weights = ? AND cohort != ?"
            if self._db.execute(query, [weights, cohort]).fetchone():
                raise LedgerConflict(
                    f"another cohort's aggregate was decrypted at the weights of round {round} of bounty "
                    f"{bounty.hex()}",
                    hint="the difference could be one mine's update; only the same cohort's can be decrypted",
                )
            for mine, one in updates.items():
                entry = [one.ciphertexts, bounty, round, mine, one.weight]
                query = "INSERT OR IGNORE INTO aggregated VALUES (?, ?, ?, ?, ?)"
                if self._db.execute(query, entry).rowcount == 0:
                    raise LedgerConflict(
                        f"the update of {mine} was part of another aggregate that was decrypted",
                        hint="the difference could be one mine's update; an update enters one aggregate only",
                    )
            entry = [bounty, round, digest, weights, cohort]
            self._db.execute("INSERT INTO aggregate VALUES (?, ?, ?, ?, ?)", entry)

    def void_aggregate(self, bounty: bytes, round: int) -> None:
        """Record that a round's aggregate told nothing: another cohort's may be decrypted at its weights.

        Only where something else guards what two sums tell together.
        """
        with self.writing():
            query = "UPDATE aggregate SET weights = ? WHERE bounty = ? AND round = ?"
            self._db.execute(query, [b"", bounty, round])

    def record_turn(self, bounty: bytes, round: int, fingerprint: bytes) -> None:
        """Record that a bounty takes this key from `round` on. The first decision about a round stands."""
        with self.writing():
            self._db.execute("INSERT OR IGNORE INTO turn VALUES (?, ?, ?)", [bounty, round, fingerprint])

    def turns(self, bounty: bytes) -> dict[int, bytes]:
        """The fingerprints of the keys that followed the first, by the round from which on, ascending."""
        query = "SELECT round, fingerprint FROM turn WHERE bounty = ? ORDER BY round"
        with self._locked("read"):
            return dict(self._db.execute(query, [bounty]).fetchall())

    def record_sum(self, vectors: Sequence[bytes], total: bytes) -> None:
        """Allow the decryption of one sum of packed vectors, all given by digests. The same again is allowed.

        Raises LedgerConflict when one of the vectors is part of another sum that is on record.
        """
        with self.writing():
            for vector in vectors:
                self._db.execute("INSERT OR IGNORE INTO summed VALUES (?, ?)", [vector, total])
                query = "SELECT sum FROM summed WHERE vector = ?"
                if self._db.execute(query, [vector]).fetchone() != (total,):
                    raise LedgerConflict(
                        "one of the vectors was part of another sum that was decrypted",
                        hint="the difference could be one party's vector; sum up the same vectors as before",
                    )

    def aggregated(self, bounty: bytes, round: int) -> dict[str, Aggregated]:
        """The updates in the aggregate of a round, by mine: none if none was decrypted."""
        query = "SELECT mine, ciphertexts, weight FROM aggregated WHERE bounty = ? AND round = ?"
        with self._locked("read"):
            rows = self._db.execute(query, [bounty, round]).fetchall()
        return {mine: Aggregated(ciphertexts, weight) for mine, ciphertexts, weight in rows}

    def scores(self, bounty: bytes, round: int) -> dict[str, int] | None:
        """The scores of a round that are on record, if there are any."""
        query = "SELECT scores FROM score WHERE bounty = ? AND round = ?"
        with self._locked("read"):
            row = self._db.execute(query, [bounty, round]).fetchone()
            return {mine: int(score) for mine, score in json.loads(row[0]).items()} if row else None

    def record_scores(
        self, bounty: bytes, round: int, bits: int, scores: Mapping[str, int]
    ) -> dict[str, int]:
        """Record a round's scores, `bits` revealed of each mine, and return the ones on record.

        The first answer of a round stands: asking again returns it, whatever `scores` now are.
        """
        entry = [bounty, round, bits, json.dumps(scores, sort_keys=True)]
        with self.writing():
            self._db.execute("INSERT OR IGNORE INTO score VALUES (?, ?, ?, ?)", entry)
        recorded = self.scores(bounty, round)
        assert recorded is not None
        return recorded

    def record_failed_tests(self, bounty: bytes, round: int, failed: Iterable[tuple[str, str]]) -> None:
        """Count the (mine, test) pairs that failed in a round, each once."""
        rows = [(bounty, round, mine, test) for mine, test in failed]
        with self.writing():
            self._db.executemany("INSERT OR IGNORE INTO failed_test VALUES (?, ?, ?, ?)", rows)

    def record_held(self, bounty: bytes, round: int, told: Mapping[tuple[str, bytes], str | None]) -> None:
        """Record what is answered about updates, each a mine and the digest of its ciphertexts.

        The first answer about an update stands.
        """
        rows = [(bounty, round, mine, name, test) for (mine, name), test in told.items()]
        with self.writing():
            self._db.executemany("INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?, ?)", rows)

    def held(self, bounty: bytes, round: int) -> dict[tuple[str, bytes], str | None]:
        """What was answered about the updates of a round: None, or the test that one failed."""
        query = "SELECT mine, ciphertexts, test FROM held WHERE bounty = ? AND round = ?"
        with self._locked("read"):
            rows = self._db.execute(query, [bounty, round]).fetchall()
        return {(mine, name): test for mine, name, test in rows}

    def failed_before(self, bounty: bytes, round: int) -> list[tuple[str, str]]:
        """The (mine, test) pairs that failed in the rounds before `round`, oldest first."""
        query = "SELECT mine, test FROM failed_test WHERE bounty = ? AND round < ? ORDER BY round, mine, test"
        with self._locked("read"):
            return [(mine, test) for mine, test in self._db.execute(query, [bounty, round])]

    def record_twins(self, bounty: bytes, round: int, twins: Mapping[str, str]) -> None:
        """Count who sent the same in a round: by mine the first of those that it counts as one with.

        Who was recorded as one stays one, with others that are found to be one with either: the cohort of a
        round may change before it is summed.
        """
        first = self.twins(bounty, round)
        for pair in twins.items():
            heads = {first.get(mine, mine) for mine in pair}
            first |= dict.fromkeys(
                (mine for mine in (*first, *pair) if first.get(mine, mine) in heads), min(heads)
            )
        rows = [(bounty, round, mine, head) for mine, head in first.items()]
        with self.writing():
            self._db.executemany("INSERT OR REPLACE INTO twin VALUES (?, ?, ?, ?)", rows)

    def twins(self, bounty: bytes, round: int) -> dict[str, str]:
        """What was recorded of a round's twins."""
        query = "SELECT mine, first FROM twin WHERE bounty = ? AND round = ?"
        with self._locked("read"):
            return dict(self._db.execute(query, [bounty, round]).fetchall())

    def totals(self, bounty: bytes) -> dict[str, Revealed]:
        """What was revealed of each mine in a bounty so far."""
        totals: dict[str, Revealed] = {}
        with self._locked("read"):
            scored = self._db.execute("SELECT bits, scores FROM score WHERE bounty = ?", [bounty]).fetchall()
            query = "SELECT round, mine, test FROM failed_test WHERE bounty = ? ORDER BY round, mine, test"
            failed = self._db.execute(query, [bounty]).fetchall()
            query = "SELECT mine, COUNT(*) FROM twin WHERE bounty = ? GROUP BY mine"
            twins = self._db.execute(query, [bounty]).fetchall()
            for bits, scores in scored:
                for mine in json.loads(scores):
                    totals.setdefault(mine, Revealed()).score_bits += bits
        for round_, mine, test in failed:
            totals.setdefault(mine, Revealed()).failed_tests.append((round_, test))
        for mine, rounds in twins:
            totals.setdefault(mine, Revealed()).twin_rounds = rounds
        return totals
