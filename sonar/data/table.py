"""Tables of numbers, and CSV as people really write it. Pure: the caller reads the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from sonar.errors import DataError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MAX_CSV_BYTES = 1 << 30
MAX_COLUMNS = 10_000
_CHUNK_ROWS = 65_536


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
    text = _text(data, name)
    rows = _Rows(text, name)
    header = _header(rows)
    wanted = tuple(header if columns is None else columns)
    indices = []
    for column in wanted:
        if column not in header:
            raise missing_column(column, header)
        indices.append(header.index(column))
    chunks = list(_chunks(rows, header, indices, "_" in text))
    if not chunks:
        raise _no_rows(name)
    return Table(wanted, np.concatenate(chunks))


def csv_shape(data: str | bytes, name: str) -> tuple[tuple[str, ...], int]:
    """Return the column names of the table in `data`, and its number of rows.

    Raises DataError for what `parse_csv` refuses whatever columns it is asked for.
    """
    rows = _Rows(_text(data, name), name)
    header = _header(rows)
    count = sum(1 for _ in _records(rows, header))
    if not count:
        raise _no_rows(name)
    return tuple(header), count


def _no_rows(name: str) -> DataError:
    return DataError(name, "has a header and no rows", hint="the first line names the columns")


def _text(data: str | bytes, name: str) -> str:
    if len(data) > MAX_CSV_BYTES:
        raise DataError(
            name, f"is larger than the limit of {MAX_CSV_BYTES} bytes", hint="split it, or drop columns"
        )
    text = _decoded(data, name) if isinstance(data, bytes) else data
    return text.removeprefix("\ufeff")


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}", "is not UTF-8", hint="save the file as UTF-8") from None


class _Rows:
    """The non-empty records of a CSV text, with the number of the line that the last one ended on."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        try:
            for row in self.reader:
                if row:
                    yield row
        except csv.Error as error:
            self.fail(f"is not CSV: {error}", hint="commas between values, quotes doubled")

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


def _chunks(rows: _Rows, header: list[str], indices: list[int], underscores: bool) -> Iterator[Matrix]:
    """Yield float64[rows, len(indices)] bit by bit, as lists of floats take four times the memory."""
    numbers: list[float] = []
    for row in _records(rows, header):
        try:
            values = [float(row[index]) for index in indices]
        except ValueError:
            _blame(rows, row, header, indices)
        total = sum(values)
        # One test per row: a sum is finite unless a value is not, or the values are absurdly large.
        if total - total != 0.0 or (underscores and any("_" in row[index] for index in indices)):
            _blame(rows, row, header, indices)
        numbers += values
        if len(numbers) >= _CHUNK_ROWS * len(indices):
            yield np.array(numbers).reshape(-1, len(indices))
            numbers = []
    if numbers:
        yield np.array(numbers).reshape(-1, len(indices))


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
