"""The updates that a key holder has opened, on disk, for the holder alone.

One SQLite file beside the ledger. What a round's updates hold lies in it encrypted (AES-256-GCM, under a
secret made of the primes of that round's key), one page for each round, so that memory need not hold more
than one; and for each update a mark of its values (BLAKE2b with a key), by which it is found again when
somebody sends the same.

It is a cache: all of it can be made again by opening the same updates. So it is not synced to the disk at
every step as the ledger is, and losing or damaging it gives nothing away.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from sonar.errors import JournalBlocked, JournalError
from sonar.families.opened import Opened, Part
from sonar.home.files import remedy_of_database
from sonar.paillier.slots import SlotPlan
from sonar.protocol.wording import other_version

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS page (
    bounty BLOB, round INTEGER, head TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (bounty, round));
CREATE TABLE IF NOT EXISTS sent (
    bounty BLOB, mark BLOB, round INTEGER, mine TEXT, PRIMARY KEY (bounty, mark, round, mine)) WITHOUT ROWID;
"""
_NONCE, _MARK = 12, 16
_INT64_BITS = 62

Values = NDArray[Any]
"""Integers [mines, d]: int64 where the plan's updates fit, else Python's own."""


@dataclass(frozen=True)
class Page:
    """One round, opened: its weights int[d]; by mine the digest of its ciphertexts, in the rows' order; the
    `values` [mines, d], and who of them sent values outside the range (their rows are zeros).

    Behind capsules the digests are those of the updates' manifests, and the values [mines, 2 c] the masked
    plaintexts of c ciphertexts, and how often the masks wrap, still hidden.
    """

    round: int
    weights: tuple[int, ...]
    names: Mapping[str, bytes]
    values: Values
    outside: frozenset[str]

    def row(self, mine: str) -> Values | None:
        """One mine's values [d], None if it sent none or none in range."""
        if mine not in self.names or mine in self.outside:
            return None
        found: Values = self.values[list(self.names).index(mine)]
        return found

    def rows(self) -> dict[str, Values]:
        """The values [d] of every mine that sent some in range."""
        inside = ((mine, self.values[i]) for i, mine in enumerate(self.names))
        return {mine: row for mine, row in inside if mine not in self.outside}


def values_of(rows: Sequence[Sequence[int] | None], plan: SlotPlan) -> Values:
    """Return a plan's values [mines, d] as one array, with zeros for None."""
    there = [row if row is not None else [0] * plan.weights for row in rows]
    kind = np.int64 if plan.update_bits <= _INT64_BITS else object
    return np.array(there, dtype=kind).reshape(len(there), plan.weights)


def table_of(rows: Sequence[Sequence[int]], columns: int) -> Values:
    """Return integers of any size [mines, columns] as one array."""
    return np.array(rows, dtype=object).reshape(len(rows), columns)


class Archive:
    """The pages of a bounty's keys. `path` None keeps them in a temporary file that ends with the program.

    `secret` is the first key's, and `later` gives that of another by its fingerprint. Raises JournalError:
    what to do if the file is damaged.
    """

    def __init__(
        self, path: Path | None, secret: bytes, later: Callable[[bytes], bytes] = lambda name: b""
    ) -> None:
        self.path, self._lock, self._later = path, threading.Lock(), later
        self._aead, self._mark_key = AESGCM(secret), hashlib.blake2b(b"marks", key=secret).digest()
        with self._faults():
            if path is not None and not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path or "", isolation_level=None, timeout=30, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = TRUNCATE")
            self._db.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > FORMAT:
                problem, hint = other_version(version, FORMAT, "")
                raise JournalError(f"what the key has opened, in {path}, {problem}", hint=hint)
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, bounty: bytes, page: Page, under: bytes = b"") -> None:
        """Keep a page, in place of one of the same round. `under`: the fingerprint of a later key."""
        head = json.dumps(
            {
                "weights": [str(w) for w in page.weights],
                "names": {mine: name.hex() for mine, name in page.names.items()},
                "outside": sorted(page.outside),
                "bytes": _bytes_of(page.values),
                "columns": page.values.shape[1],
                "under": under.hex(),
            }
        )
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher(under).encrypt(
            nonce, _packed(page.values), _bound(bounty, page.round, head)
        )
        marks = [(bounty, self._mark(row), page.round, mine) for mine, row in page.rows().items()]
        with self._faults(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM sent WHERE bounty = ? AND round = ?", [bounty, page.round])
            self._db.execute(
                "INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?)", [bounty, page.round, head, sealed]
            )
            self._db.executemany("INSERT INTO sent VALUES (?, ?, ?, ?)", marks)

    def page(self, bounty: bytes, round: int) -> Page | None:
        """Return the page of a round, if it is there."""
        query = "SELECT head, sealed FROM page WHERE bounty = ? AND round = ?"
        with self._faults():
            found = self._db.execute(query, [bounty, round]).fetchone()
            return self._read(bounty, round, *found) if found else None

    def has(self, bounty: bytes, round: int) -> bool:
        """Tell whether a round has a page."""
        query = "SELECT 1 FROM page WHERE bounty = ? AND round = ?"
        with self._faults():
            return self._db.execute(query, [bounty, round]).fetchone() is not None

    def pages(self, bounty: bytes, since: int, before: int) -> Iterator[Page]:
        """The pages of the rounds from `since` on, up to `before`, ascending; one is in memory at a time."""
        query = "SELECT round FROM page WHERE bounty = ? AND round >= ? AND round < ? ORDER BY round"
        with self._faults():
            rounds = [number for (number,) in self._db.execute(query, [bounty, since, before])]
        return (page for number in rounds if (page := self.page(bounty, number)) is not None)

    def senders(self, bounty: bytes, before: int, row: Values) -> frozenset[str]:
        """The mines that sent just these values in the first round, before `before`, in which one did."""
        query = "SELECT round, mine FROM sent WHERE bounty = ? AND mark = ? AND round < ? ORDER BY round"
        with self._faults():
            found = self._db.execute(query, [bounty, self._mark(row), before]).fetchall()
        return frozenset(mine for number, mine in found if number == found[0][0])

    def _cipher(self, under: bytes) -> AESGCM:
        return AESGCM(self._later(under)) if under else self._aead

    def _mark(self, row: Values) -> bytes:
        return hashlib.blake2b(_packed(row), digest_size=_MARK, key=self._mark_key).digest()

    def _read(self, bounty: bytes, round: int, head: str, sealed: bytes) -> Page:
        fields = json.loads(head)
        cipher = self._cipher(bytes.fromhex(fields.get("under", "")))
        data = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(bounty, round, head))
        names = {mine: bytes.fromhex(name) for mine, name in fields["names"].items()}
        weights = tuple(int(w) for w in fields["weights"])
        columns = fields.get("columns", len(weights))
        values = _unpacked(data, fields["bytes"]).reshape(len(names), columns)
        return Page(round, weights, names, values, frozenset(fields["outside"]))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise JournalBlocked(
                f"what the key has opened cannot be kept in {self.path}: {error}",
                hint=remedy_of_database(self.path or Path(tempfile.gettempdir(), "pages"), str(error)),
            ) from error
        except (sqlite3.Error, OSError, InvalidTag, ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"what the key has opened cannot be read from {self.path}: {str(error) or 'it was changed'}",
                hint="delete the file: it is made again from the updates in the store",
            ) from error


def _bound(bounty: bytes, round: int, head: str) -> bytes:
    return b"%s %d %s" % (bounty, round, head.encode())


def _bytes_of(values: Values) -> int:
    """How many bytes each value takes on disk."""
    if values.dtype != object:
        return 8
    most = max((int(value).bit_length() for value in values.flat), default=0)
    return most // 8 + 1


def _packed(values: Values) -> bytes:
    if values.dtype != object:
        return values.astype("<i8").tobytes()
    width = _bytes_of(values)
    return b"".join(int(value).to_bytes(width, "little", signed=True) for value in values.flat)


def _unpacked(data: bytes, width: int) -> Values:
    if width == 8:
        return np.frombuffer(data, dtype="<i8").astype(np.int64)
    parts = (data[start : start + width] for start in range(0, len(data), width))
    return np.array([int.from_bytes(part, "little", signed=True) for part in parts], dtype=object)


# ---- what the tests of updates need from earlier rounds: folded round by round

_RHO_BITS = 64


@dataclass
class _Track:
    """One mine so far: the round of its first update, the first and the last, and sums over all since.

    `steps` int[d] is sum_s rho_s (w_s - w_0), `changes` sum_s rho_s (u_s - u_0), with a rho of 64 random bits
    for each round, which nobody else knows.
    """

    since: int
    first: tuple[tuple[int, ...], Values]
    last: tuple[tuple[int, ...], Values]
    steps: list[int]
    changes: list[int]
    updates: int = 1

    def parts(self) -> list[Part]:
        """First, combination, last. Of two updates the combination would say what the second says."""
        (w_0, u_0), (w_t, u_t) = ((w, u.tolist()) for w, u in (self.first, self.last))
        if self.updates == 1:
            return [(w_0, u_0)]
        if self.updates == 2:
            return [(w_0, u_0), (w_t, u_t)]
        return [(w_0, u_0), (_plus(w_0, self.steps), _plus(u_0, self.changes)), (w_t, u_t)]

    def add(self, rho: int, weights: tuple[int, ...], values: Values) -> None:
        """Take in one more update."""
        w_0, u_0 = self.first[0], self.first[1].tolist()
        self.steps = [sum_ + rho * (w - v) for sum_, w, v in zip(self.steps, weights, w_0, strict=True)]
        changes = zip(self.changes, values.tolist(), u_0, strict=True)
        self.changes = [sum_ + rho * (u - v) for sum_, u, v in changes]
        self.last = weights, values
        self.updates += 1


class Remembered:
    """The `Past` of one bounty, on the archive's pages: what it keeps in memory does not grow with rounds."""

    def __init__(
        self, archive: Archive, bounty: bytes, plan: SlotPlan, random_bits: Callable[[int], int]
    ) -> None:
        self._archive, self._bounty, self._plan, self._random_bits = archive, bounty, plan, random_bits
        self._tracks: dict[str, _Track] = {}
        self._parts: dict[str, list[Part]] = {}
        self._now = 1

    def before(self, round: int) -> Remembered:
        """Take in the pages up to `round`, and return itself as what was before that round."""
        if round < self._now:  # asked about an earlier round again
            self._tracks, self._now = {}, 1
        for page in self._archive.pages(self._bounty, self._now, round):
            self._fold(page)
        self._now, self._parts = round, {}
        return self

    def _fold(self, page: Page) -> None:
        for mine, values in page.rows().items():
            here = page.weights, values.copy()  # a view would keep the whole page
            track = self._tracks.get(mine)
            if track is None:
                steps, changes = [0] * len(page.weights), [0] * len(values)
                self._tracks[mine] = _Track(page.round, here, here, steps, changes)
            else:
                track.add(self._random_bits(_RHO_BITS), *here)

    def begun(self) -> bool:
        """See `Past`."""
        return bool(self._tracks)

    def parts(self, mine: str) -> list[Part]:
        """See `Past`."""
        if mine in self._tracks and mine not in self._parts:
            self._parts[mine] = self._tracks[mine].parts()
        return self._parts.get(mine, [])

    def senders(self, update: Sequence[int]) -> Collection[str]:
        """See `Past`."""
        (row,) = values_of([update], self._plan)
        return self._archive.senders(self._bounty, self._now, row)

    def bases(self, mines: Collection[str]) -> Iterator[Opened]:
        """See `Past`."""
        first = sorted({self._tracks[mine].since for mine in mines if mine in self._tracks})
        for page in map(self._page, first):
            rows = page.rows()
            yield Opened(page.weights, {mine: tuple(rows[mine].tolist()) for mine in mines if mine in rows})

    def _page(self, round: int) -> Page:
        page = self._archive.page(self._bounty, round)
        assert page is not None  # it was read before
        return page


def _plus(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]
