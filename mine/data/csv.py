"""Rows in a CSV file: UTF-8, comma separated, column names in its first line."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mine.data.base import Batches
from sonar.data.contents import Contents, csv_contents
from sonar.data.schema import Schema
from sonar.data.table import MAX_CSV_BYTES, csv_batches, csv_coded
from sonar.errors import DataError
from sonar.home.files import in_full

_READ_BYTES = 1 << 20


class CsvFile:
    """The file at `source`, an absolute path. Its fingerprint is the sha2-256 digest of its bytes."""

    def __init__(self, source: str) -> None:
        self._source = source

    @classmethod
    def source_of(cls, path: Path) -> str:
        """Return the file's path in full. Raises ConfigError."""
        return str(in_full(path, "csv"))

    @property
    def name(self) -> str:
        """The file's own name, as far as it can name a data set."""
        stem = Path(self._source).stem
        return re.sub(r"[^A-Za-z0-9._-]", "-", stem).lstrip("._-")[:64] or "data"

    def contents(self, without: Sequence[str] = ()) -> tuple[Contents, str]:
        """Return which columns hold numbers, in how many rows, and the digest of the file's bytes."""
        with self._opened() as file:
            return csv_contents(file, self._source, without), file.fingerprint()

    def batches(self, columns: Sequence[str]) -> Batches:
        """Yield the numbers of these columns; the others may hold anything."""
        with self._opened() as file:
            yield from csv_batches(file, self._source, columns)
            return file.fingerprint()

    def coded(self, schema: Schema) -> Batches:
        """Yield the columns of a schema as codes; the others may hold anything."""
        with self._opened() as file:
            yield from csv_coded(file, self._source, schema)
            return file.fingerprint()

    def fingerprint(self) -> str:
        """Return the digest of the file's bytes."""
        with self._opened() as file:
            return file.fingerprint()

    @contextmanager
    def _opened(self) -> Iterator[_Hashed]:
        path = Path(self._source)
        try:
            found = path.stat()  # before it is opened: opening a pipe would wait for its writer
            if not stat.S_ISREG(found.st_mode):
                raise DataError(
                    self._source, "is not a file", hint="save the rows in a file: every round reads it"
                )
            if found.st_size > MAX_CSV_BYTES:
                raise DataError(
                    self._source,
                    f"has {found.st_size} bytes; the limit is {MAX_CSV_BYTES}",
                    hint="split the file",
                )
            with path.open("rb") as file:
                yield _Hashed(file)
        except OSError as error:
            hint = "check the path and the file's mode"
            if ":/" in self._source:  # as a path, an address has one slash there
                hint = "an address is not a file: download it, and name the copy"
            raise DataError(self._source, f"cannot be read: {error.strerror}", hint=hint) from error


class _Hashed:
    """An open file that takes the digest of what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def fingerprint(self) -> str:
        """Return the digest of the whole file; what was not read yet is read now."""
        while self.read(_READ_BYTES):
            pass
        return self._digest.hexdigest()
