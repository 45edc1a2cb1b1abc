"""Tables of numbers, and CSV as people really write it. Pure: the caller opens the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MAX_CSV_BYTES = 1 << 30
MAX_COLUMNS = 10_000
BATCH_VALUES = 1 << 18
"""So many numbers are in a batch: 2 MiB, and four times that while they are lists of floats."""


class Readable(Protocol):
    """An open file, or anything else that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of finite numbers: `values` is float64[rows, columns]."""

    columns: tuple[str, ...]
    values: Matrix

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    def matrix(self, features: Sequence[str]) -> Matrix:
        """Return these columns in this order, float64[rows, len(features)].

        Raises DataError for a missing one.
        """
        return self.values[:, [self._index(name) for name in features]]

    def column(self, name: str) -> Vector:
        """Return one column, float64[rows]. Raises DataError when it is missing."""
        return self.values[:, self._index(name)]

    def slice(self, start: int, stop: int | None = None) -> Table:
        """Return the rows from `start` up to `stop`."""
        return Table(self.columns, self.values[start:stop])

    def _index(self, name: str) -> int:
        if name not in self.columns:
            raise missing_column(name, self.columns)
        return self.columns.index(name)


def missing_column(name: str, columns: Sequence[str]) -> DataError:
    """Return the error for a column that is asked for and not there."""
    there = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    return DataError(f"column {name}", f"is missing; there are: {there}", hint="rename or add the column")


def parse_csv(data: str | bytes, name: str, columns: Sequence[str] | None = None) -> Table:
    """Return the table in `data`: comma-separated, with a header. Errors speak of it as `name`.

    With `columns`, only these are read, and the others may hold anything; else all must be numbers. UTF-8
    with or without BOM, any line ends, quoted fields. A million rows of ten numbers take some seconds.

    Raises DataError, which names the line and the column: bytes that are not UTF-8, more than 1 GiB, no
    header, a name twice, a column missing, a line of another length, a value that is empty, text, NaN or
    infinite, no rows.
    """
    if len(data) > MAX_CSV_BYTES:
        raise DataError(
            name, f"is larger than the limit of {MAX_CSV_BYTES} bytes", hint="split it, or drop columns"
        )
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    rows = _Rows(io.BytesIO(content), name)
    header = _header(rows)
    wanted = tuple(header if columns is None else columns)
    return Table(wanted, np.concatenate(list(_batches(rows, header, wanted))))


def csv_columns(file: Readable, name: str) -> tuple[str, ...]:
    """Return the column names of a CSV file, of which no more than the first lines are read.

    Raises DataError, as `parse_csv`.
    """
    return tuple(_header(_Rows(file, name)))


def csv_batches(file: Readable, name: str, columns: Sequence[str]) -> Iterator[Matrix]:
    """Yield the numbers of these columns as float64[rows, len(columns)], some at a time, in the file's order.

    A file is read to its end, and never whole in memory. Without columns, the batches tell of how many rows
    it is. Raises DataError, as `parse_csv`; but the limit on bytes is the caller's.
    """
    rows = _Rows(file, name)
    yield from _batches(rows, _header(rows), columns)


class _Decodable(io.BufferedIOBase):
    """What a text reader reads from: it knows which line a byte is on, and whether there is an underscore."""

    def __init__(self, file: Readable) -> None:
        self._file, self._last = file, b""
        self._lines_before = 0
        self.underscores = False

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        self._lines_before += self._last.count(b"\n")
        self._last = self._file.read(size)
        self.underscores = self.underscores or b"_" in self._last
        return self._last

    def line_of(self, error: UnicodeDecodeError) -> int:
        """Return the number of the line that holds the byte which could not be decoded."""
        return self._lines_before + error.object[: error.start].count(b"\n") + 1


class _Rows:
    """The non-empty records of a CSV file, with the number of the line that the last one ended on."""

    def __init__(self, file: Readable, name: str) -> None:
        self.name = name
        self.bytes = _Decodable(file)
        text = io.TextIOWrapper(self.bytes, encoding="utf-8-sig", newline="")  # type: ignore[type-var]  # needs no name
        self.reader = csv.reader(text, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        try:
            for row in self.reader:
                if row:
                    yield row
        except csv.Error as error:
            self.fail(f"is not CSV: {error}", hint="commas between values, quotes doubled")
        except UnicodeDecodeError as error:
            line = self.bytes.line_of(error)
            raise DataError(f"{self.name}, line {line}", "is not UTF-8", hint="save it as UTF-8") from None

    def fail(self, problem: str, hint: str = "") -> NoReturn:
        raise DataError(f"{self.name}, line {self.reader.line_num}", problem, hint=hint)


def _header(rows: _Rows) -> list[str]:
    header = [field.strip() for field in next(iter(rows), [])]
    if not header:
        raise DataError(rows.name, "is empty", hint="the first line names the columns")
    if len(header) > MAX_COLUMNS:
        rows.fail(f"{len(header)} columns; the limit is {MAX_COLUMNS}")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        rows.fail("one column only, with semicolons or tabs in its name", hint="save the file with commas")
    for index, field in enumerate(header):
        if "\0" in field:
            rows.fail(
                "is not UTF-8; it looks like UTF-16, which Windows calls Unicode", hint="save it as UTF-8"
            )
        if not field:
            rows.fail(f"column {index + 1} has no name", hint="name it, or drop the comma if there is none")
        if field in header[:index]:
            rows.fail(f"column {field[:64]!r} is named twice", hint="rename one of them")
    return header


def _records(rows: _Rows, header: list[str]) -> Iterator[list[str]]:
    """Yield the records below the header, each as long as that."""
    width = len(header)
    for row in rows:
        if len(row) != width:
            rows.fail(
                f"has {len(row)} fields, the header has {width}",
                hint="is the first line the one that names the columns? A comma within a value needs quotes",
            )
        yield row


def _batches(rows: _Rows, header: list[str], columns: Sequence[str]) -> Iterator[Matrix]:
    for column in columns:
        if column not in header:
            raise missing_column(column, header)
    indices = [header.index(column) for column in columns]
    most = max(BATCH_VALUES // max(len(indices), 1), 1)
    numbers: list[float] = []
    count, empty = 0, True
    for row in _records(rows, header):
        try:
            values = list(map(float, map(row.__getitem__, indices)))
        except ValueError:
            _blame(rows, row, header, indices)
        total = sum(values)
        # One test per row: a sum is finite unless a value is not, or the values are absurdly large.
        if total - total != 0.0 or (rows.bytes.underscores and any("_" in row[index] for index in indices)):
            _blame(rows, row, header, indices)
        numbers += values
        count += 1
        if count == most:
            yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
            numbers, count, empty = [], 0, False
    if count:
        yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
    elif empty:
        raise DataError(rows.name, "has a header and no rows", hint="the first line names the columns")


def _blame(rows: _Rows, row: list[str], header: list[str], indices: list[int]) -> NoReturn:
    for index in indices:
        problem = _problem(row[index])
        if problem:
            rows.fail(f"column {header[index][:64]!r}: {problem}", hint="correct the value, or drop the row")
    rows.fail("values too large to add up", hint="correct the values, or drop the row")


def _problem(field: str) -> str:
    """Say what is wrong with a field; the value itself may be private, and is shown only to its owner."""
    if not field.strip():
        return "is empty"
    try:
        value = float("text" if "_" in field else field)
    except ValueError:
        return f"{field[:40]!r} is not a number"
    return "" if np.isfinite(value) else f"{field[:40]!r} is not finite"
