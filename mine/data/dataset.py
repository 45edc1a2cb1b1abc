"""Registered data sets: where they are, what they were when registered, and their numbers.

A data set is known by its content's fingerprint, and every use checks it: the sums that the scientist
decrypts could reveal a row added between two rounds of a bounty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mine.data.registry import SOURCES
from sonar.data.names import plain_name, plain_names
from sonar.errors import DataError
from sonar.frozen import frozen

if TYPE_CHECKING:
    from mine.data.base import DataSource
    from sonar.data.schema import Schema
    from sonar.data.table import Matrix

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@frozen
class DataSet:
    """A registered data set: which rows, by `kind` and `source`, and what they were then.

    `digest` is the source's fingerprint; `columns` are those that hold numbers, `left_out` says why others do
    not. The `declarable` ones of them serve bounties which declare what their cells mean. Raises ValueError
    for a kind that there is not.
    """

    name: str
    kind: str
    source: str
    digest: str
    columns: tuple[str, ...]
    rows: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    declarable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in SOURCES:
            raise ValueError(f"no kind of data is called {self.kind!r}")

    def to_record(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {**asdict(self), "columns": list(self.columns), "declarable": list(self.declarable)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> DataSet:
        """Read what `to_record` wrote."""
        tuples = {name: tuple(record.get(name, ())) for name in ("columns", "declarable")}
        return cls(**{**record, **tuples})

    def batches(self, columns: Sequence[str]) -> Iterator[Matrix]:
        """Yield the numbers of `columns` as float64[rows, len(columns)], some rows at a time.

        Use none of them before the end. Raises DataError: a value is not a finite number; and at the end,
        if what was read is not what was registered.
        """
        self._check((yield from self._opened().batches(columns)))

    def coded(self, schema: Schema) -> Iterator[Matrix]:
        """Yield the columns of a schema as codes (`sonar.data.schema.Rows`), some rows at a time.

        As `batches`. Raises DataError.
        """
        self._check((yield from self._opened().coded(schema)))

    def verify(self) -> None:
        """Check that the content is what was registered. Raises DataError."""
        self._check(self._opened().fingerprint())

    def examine(self) -> None:
        """Check every value, and that the content is what was registered. Raises DataError."""
        unread = tuple(name for name in self.left_out if name not in self.declarable)
        _, fingerprint = self._opened().contents(unread)
        self._check(fingerprint)

    def missing(self, columns: Sequence[str], *, declared: bool = False) -> list[str]:
        """Which of `columns` the data set does not have: as numbers, or as a bounty has `declared` them."""
        there = plain_names((*self.columns, *self.declarable) if declared else self.columns)
        return [column for column in columns if plain_name(column) not in there]

    def _opened(self) -> DataSource:
        return SOURCES[self.kind](self.source)

    def _check(self, fingerprint: str) -> None:
        if fingerprint != self.digest:
            raise DataError(
                self.source,
                f"has changed since it was registered as data set {self.name!r}",
                hint="put the registered content back; or register the new content under another name "
                "(mine data add --name NEW) for bounties that you join from now on",
            )


def register_csv(path: Path, name: str | None = None, without: Sequence[str] = ()) -> DataSet:
    """Describe a CSV file except its columns `without`. Raises DataError, ConfigError."""
    from mine.data.csv import CsvFile

    return register("csv", CsvFile.source_of(path), name, without)


def register_example(
    example: str, shard: str, name: str | None = None, without: Sequence[str] = ()
) -> DataSet:
    """Describe one shard, written "3/10", of a bundled example. Raises DataError."""
    from mine.data.example import Example

    return register("example", Example.source_of(example, shard), name, without)


def register(kind: str, source: str, name: str | None = None, without: Sequence[str] = ()) -> DataSet:
    """Describe the rows at a source, all of whose values are looked at. Raises DataError."""
    rows = SOURCES[kind](source)
    called = check_name(name or rows.name)
    found, fingerprint = rows.contents(without)
    left_out, others = found.left_out, found.declarable
    return DataSet(called, kind, source, fingerprint, found.columns, found.rows, left_out, others)


def check_name(name: str) -> str:
    """Return `name` if it can name a data set. Raises DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(
            "name",
            f"{name[:80]!r} is not a name: letters, digits, '.', '_' and '-', at most 64 of them",
            hint="choose one with --name",
        )
    return name
