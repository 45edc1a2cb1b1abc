"""How rows are recognised wherever they turn up again: by keyed hashes of what they hold.

A row is known by its values in ascending order, so neither the order of rows nor names or order of columns
matter. A column is known by its values without their order, so a file that has lost some columns, or gained
some, shares a column with what it was made of, and counts as the same rows. What is not recognised: rows
whose values were changed, be it a unit or a rounding; and a file that has other columns and other rows at
once.

Whoever has the key can test a guess at a row. So hashes and key stay in the home, like the sums of the rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.names import plain_names

Matrix = NDArray[np.float64]
Words = NDArray[np.uint64]

KEY_BYTES = 32
DISTINCTIVE = 20
"""A column with fewer different values says little about whose rows these are."""
_MARK_BYTES = 8
_DIGEST = re.compile("[0-9a-f]{64}")
_ROW, _TABLE, _COLUMN = b"row", b"table", b"column"


@dataclass(frozen=True, eq=False)
class RowMarks:
    """What a table's rows are recognised by.

    `rows`: uint64, ascending, each once. `columns`: of those columns that have enough different values.
    `digest`: of the whole table with its columns' names, whatever the order of rows and columns; the sums of
    two tables with the same one are the same.
    """

    rows: Words
    columns: frozenset[bytes]
    count: int
    digest: str

    def within(self, other: RowMarks) -> NDArray[np.bool_]:
        """Which of these rows the other table has, as far as that can be told: bool[len(rows)]."""
        if self.columns & other.columns:
            return np.ones(len(self.rows), dtype=np.bool_)
        places = np.searchsorted(other.rows, self.rows)
        places[places == len(other.rows)] = 0
        return np.equal(other.rows[places], self.rows, dtype=np.bool_)

    def to_record(self) -> dict[str, Any]:
        """As the journal takes it."""
        return {
            "rows": self.rows.astype("<u8").tobytes(),
            "columns": sorted(self.columns),
            "count": self.count,
            "digest": self.digest,
        }

    @classmethod
    def read(cls, record: dict[str, Any]) -> RowMarks:
        """Read what `to_record` wrote. Raises TypeError, ValueError, KeyError."""
        rows, columns, count, digest = (record[name] for name in ("rows", "columns", "count", "digest"))
        if type(rows) is not bytes or type(count) is not int or type(digest) is not str:
            raise TypeError("marks of rows have other types")
        if len(record) != 4 or not all(type(one) is bytes for one in columns):
            raise TypeError("marks of columns have other types")
        if not _DIGEST.fullmatch(digest):
            raise ValueError("the digest of a table is none")
        marks = np.frombuffer(rows, dtype="<u8").astype(np.uint64)
        if not 1 <= len(marks) <= count or np.any(marks[1:] <= marks[:-1]):
            raise ValueError("marks of rows are none, too many, or out of order")
        return cls(marks, frozenset(columns), count, digest)


def marks_of(batches: Iterable[Matrix], columns: Sequence[str], key: bytes) -> RowMarks:
    """Return the marks of a table from batches float64[rows, len(columns)], in one pass.

    All values are finite.
    """
    names = plain_names(columns)
    order = sorted(range(len(names)), key=names.__getitem__)
    seen = _Columns(len(names), key)
    marks: list[Words] = []
    total, count = np.zeros(4, dtype=np.uint64), 0
    for batch in batches:
        table = batch[:, order] + 0.0  # so that 0 and -0 are one value
        marks.append(_hashes(np.sort(table, axis=1), key, _ROW, 1)[:, 0])
        total += _hashes(table, key, _TABLE, 4).sum(axis=0, dtype=np.uint64)
        seen.take(table)
        count += len(table)
    whole = hashlib.blake2b(total.astype("<u8").tobytes(), key=key, digest_size=32, person=_TABLE)
    whole.update(b"\0".join([str(count).encode(), *(names[i].encode() for i in order)]))
    rows = np.unique(np.concatenate(marks)) if marks else np.zeros(0, dtype=np.uint64)
    return RowMarks(rows, seen.marks(), count, whole.hexdigest())


def most_of(marks: RowMarks, totals: Iterable[tuple[RowMarks | None, Fraction]]) -> Fraction:
    """Return the largest sum that one of the rows has, of amounts for the rows of other tables.

    None stands for a table of whose rows nothing is known: it counts for all.
    """
    everywhere, sums = Fraction(0), [Fraction(0)]
    group = np.zeros(len(marks.rows), dtype=np.int64)  # rows of one group have the same sum
    for other, amount in totals:
        inside = None if other is None else marks.within(other)
        if inside is None or inside.all():
            everywhere += amount
        elif inside.any():
            split = 2 * group + inside
            there = np.flatnonzero(np.bincount(split, minlength=2 * len(sums)))
            group = np.searchsorted(there, split)
            sums = [sums[each // 2] + amount * (each % 2) for each in there.tolist()]
    return everywhere + max(sums)


def _hashes(table: Matrix, key: bytes, kind: bytes, words: int) -> Words:
    """A keyed hash of each row: uint64[rows, words]. Their sum over the rows is one of the multiset."""
    data, width = np.ascontiguousarray(table, dtype="<f8").tobytes(), table.shape[1] * 8
    found = b"".join(
        hashlib.blake2b(data[at : at + width], key=key, digest_size=words * _MARK_BYTES, person=kind).digest()
        for at in range(0, len(data), width)
    )
    return np.frombuffer(found, dtype="<u8").astype(np.uint64).reshape(len(table), words)


@dataclass
class _Columns:
    """Of each column, a sum of hashes of its values, and the first of its different values."""

    width: int
    key: bytes
    _count: int = 0
    _sums: Words = field(init=False)
    _seen: list[set[float]] = field(init=False)

    def __post_init__(self) -> None:
        self._sums = np.zeros((2, self.width), dtype=np.uint64)
        self._seen = [set() for _ in range(self.width)]

    def take(self, table: Matrix) -> None:
        """Add a batch."""
        self._count += len(table)
        words = np.ascontiguousarray(table, dtype="<f8").view("<u8").astype(np.uint64)
        for half in (0, 1):
            start = hashlib.blake2b(bytes([half]), key=self.key, digest_size=8, person=_COLUMN).digest()
            mixed = _mixed(words ^ np.uint64(int.from_bytes(start)))
            self._sums[half] += mixed.sum(axis=0, dtype=np.uint64)
        for values, column in zip(self._seen, table.T, strict=True):
            if len(values) < DISTINCTIVE:
                values.update(np.unique(column)[:DISTINCTIVE].tolist())

    def marks(self) -> frozenset[bytes]:
        """A keyed hash of each column with enough different values."""
        return frozenset(self._mark(i) for i in range(self.width) if len(self._seen[i]) >= DISTINCTIVE)

    def _mark(self, column: int) -> bytes:
        told = self._sums[:, column].astype("<u8").tobytes() + self._count.to_bytes(_MARK_BYTES)
        return hashlib.blake2b(told, key=self.key, digest_size=16, person=_COLUMN).digest()


def _mixed(words: Words) -> Words:
    """Mix each word (the finaliser of SplitMix64: Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
