"""Registered data sets: where they are, what they were when registered, and their numbers.

A data set is known by the sha2-256 digest of its content, and every use checks it: a row added between two
rounds of a bounty could be read from the sums that the scientist decrypts.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonar.data.table import MAX_CSV_BYTES, csv_shape, parse_csv
from sonar.errors import DataError
from sonar.home.folder import expanded

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class DataSet:
    """A registered data set. `source` is an absolute path, or "NAME:SHARD/SHARDS" of a bundled example."""

    name: str
    kind: Literal["csv", "example"]
    source: str
    digest: str
    columns: tuple[str, ...]
    rows: int

    def to_record(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> DataSet:
        """Read what `to_record` wrote."""
        return cls(**{**record, "columns": tuple(record["columns"])})

    def read(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return the numbers of `columns` as float64[rows, len(columns)].

        Raises DataError: the content has changed since it was registered, or a value is not a finite number.
        """
        return parse_csv(self._unchanged(), self.source, columns).values

    def verify(self) -> None:
        """Check that the content is what was registered. Raises DataError."""
        self._unchanged()

    def _unchanged(self) -> bytes:
        content = _content(self.kind, self.source)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise DataError(
                self.source,
                f"has changed since it was registered as data set {self.name!r}",
                hint="put the registered content back; or register the new content under another name "
                "(mine data add --name NEW) for bounties that you join from now on",
            )
        return content

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Which of `columns` the data set does not have."""
        return [column for column in columns if column not in self.columns]


def register_csv(path: Path, name: str | None = None) -> DataSet:
    """Describe a CSV file: UTF-8, comma separated, column names in its first line.

    Raises DataError, ConfigError.
    """
    source = str(expanded(path, "csv"))
    return _register("csv", source, name or _name_of(path))


def _name_of(path: Path) -> str:
    """What a file is called as long as nobody says otherwise: its own name, as far as that can be one."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip("._-")[:64] or "data"


def register_example(example: str, shard: str, name: str | None = None) -> DataSet:
    """Describe one shard, written "3/10", of a bundled example. Raises DataError."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", shard)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise DataError(
            "shard", f"{shard[:40]!r} is not I/N with 1 <= I <= N", hint="for example --shard 3/10"
        )
    return _register("example", f"{example}:{shard}", name or f"{example}-{match[1]}-of-{match[2]}")


def check_name(name: str) -> str:
    """Return `name` if it can name a data set. Raises DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(
            "name",
            f"{name[:80]!r} is not a name: letters, digits, '.', '_' and '-', at most 64 of them",
            hint="choose one with --name",
        )
    return name


def _register(kind: Literal["csv", "example"], source: str, name: str) -> DataSet:
    content = _content(kind, source)
    columns, rows = csv_shape(content, source)
    return DataSet(check_name(name), kind, source, hashlib.sha256(content).hexdigest(), columns, rows)


def _content(kind: str, source: str) -> bytes:
    return _example_bytes(source) if kind == "example" else _file_bytes(source)


def _file_bytes(source: str) -> bytes:
    path = Path(source)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(source, "is not a file", hint="save the rows as one: it is read in every round")
        if found.st_size > MAX_CSV_BYTES:
            raise DataError(
                source, f"has {found.st_size} bytes; the limit is {MAX_CSV_BYTES}", hint="split the file"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            source, f"cannot be read: {error.strerror}", hint="check the path and the file's mode"
        ) from error


def _example_bytes(source: str) -> bytes:
    """One shard of an example as the CSV file that it would be; repr keeps every bit of a float."""
    from sonar.data import examples

    example, _, part = source.partition(":")
    index, of = (int(number) for number in part.split("/"))
    table = examples.shard(examples.load(example), index - 1, of)
    lines = [",".join(table.columns), *(",".join(map(repr, row)) for row in table.values.tolist())]
    return ("\n".join(lines) + "\n").encode()
