"""Tables of numbers, and CSV as people really write it. Pure: the caller opens the file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.data.cells import Found, Kind, look_at
from sonar.data.coding import Coder
from sonar.data.names import index_of
from sonar.data.records import CsvRows, Readable, in_column, no_rows, quickly, read_header, records
from sonar.data.schema import Schema
from sonar.errors import DataError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MAX_CSV_BYTES = 1 << 30
BATCH_VALUES = 1 << 18
"""Numbers in a batch: 2 MiB, and four times that while they are lists of floats."""


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
        return self.values[:, [index_of(name, self.columns) for name in features]]

    def column(self, name: str) -> Vector:
        """Return one column, float64[rows]. Raises DataError when it is missing."""
        return self.values[:, index_of(name, self.columns)]

    def slice(self, start: int, stop: int | None = None) -> Table:
        """Return the rows from `start` up to `stop`."""
        return Table(self.columns, self.values[start:stop])


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
    rows = CsvRows(io.BytesIO(content), name)
    header = read_header(rows)
    wanted = tuple(header if columns is None else columns)
    return Table(wanted, np.concatenate(list(_batches(rows, header, wanted))))


def csv_batches(file: Readable, name: str, columns: Sequence[str]) -> Iterator[Matrix]:
    """Yield the numbers of these columns as float64[rows, len(columns)], some at a time, in the file's order.

    A file is read to its end, and never whole in memory. Without columns, the batches only count the rows.
    Raises DataError, as `parse_csv`; but the limit on bytes is the caller's.
    """
    rows = CsvRows(file, name)
    yield from _batches(rows, read_header(rows), columns)


def csv_header(data: bytes, name: str) -> tuple[str, ...]:
    """Return the names of the columns of a CSV file. Raises DataError, as `parse_csv`."""
    return tuple(read_header(CsvRows(io.BytesIO(data), name)))


def csv_texts(data: bytes, name: str, column: str) -> list[str]:
    """Return the cells of one column as they are written. Raises DataError, as `parse_csv`."""
    rows = CsvRows(io.BytesIO(data), name)
    header = read_header(rows)
    index = index_of(column, header)
    texts = [row[index] for row in records(rows, header)]
    if not texts:
        raise no_rows(rows)
    return texts


def csv_coded(file: Readable, name: str, schema: Schema) -> Iterator[Matrix]:
    """Yield the columns of a schema as `sonar.data.schema.Rows` takes them, some rows at a time.

    Raises DataError, as `parse_csv`, and for a category that is not in a column's vocabulary.
    """
    rows = CsvRows(file, name)
    header = read_header(rows)
    coders = [(index_of(column.name, header), Coder(column)) for column in schema]
    most = max(BATCH_VALUES // len(schema), 1)
    codes: list[float] = []
    empty = True
    for row in records(rows, header):
        for index, coder in coders:
            found = coder.code(row[index])
            if isinstance(found, Found):
                rows.fail(in_column(header[index], found), hint=found.hint)
            codes.append(found)
        if len(codes) == most * len(schema):
            yield np.array(codes, dtype=np.float64).reshape(-1, len(schema))
            codes, empty = [], False
    if codes:
        yield np.array(codes, dtype=np.float64).reshape(-1, len(schema))
    elif empty:
        raise no_rows(rows)


def _batches(rows: CsvRows, header: list[str], columns: Sequence[str]) -> Iterator[Matrix]:
    indices = [index_of(column, header) for column in columns]
    most = max(BATCH_VALUES // max(len(indices), 1), 1)
    numbers: list[float] = []
    count, empty = 0, True
    for row in records(rows, header):
        numbers += _numbers(rows, row, header, indices)
        count += 1
        if count == most:
            yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
            numbers, count, empty = [], 0, False
    if count:
        yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
    elif empty:
        raise no_rows(rows)


def _numbers(rows: CsvRows, row: list[str], header: list[str], indices: Sequence[int]) -> list[float]:
    """Return the numbers in these cells of a record. Raises DataError."""
    values = quickly(rows, row, indices)
    if values is not None:
        return values
    for index in indices:
        found = look_at(row[index])
        if found.kind is not Kind.NUMBER:
            rows.fail(in_column(header[index], found), hint=found.hint)
    return [float(row[index].strip()) for index in indices]  # Python strips fewer blanks of a number
