"""Tables of numbers, and CSV as people really write it. Pure: the caller opens the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from sonar.data.cells import EXACT, Found, Kind, encoding_of, look_at
from sonar.data.names import index_of, plain_names, spelled, twice
from sonar.errors import DataError

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MAX_CSV_BYTES = 1 << 30
MAX_COLUMNS = 10_000
BATCH_VALUES = 1 << 18
"""Numbers in a batch: 2 MiB, and four times that while they are lists of floats."""


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
    rows = _Rows(io.BytesIO(content), name)
    header = _header(rows)
    wanted = tuple(header if columns is None else columns)
    return Table(wanted, np.concatenate(list(_batches(rows, header, wanted))))


def csv_batches(file: Readable, name: str, columns: Sequence[str]) -> Iterator[Matrix]:
    """Yield the numbers of these columns as float64[rows, len(columns)], some at a time, in the file's order.

    A file is read to its end, and never whole in memory. Without columns, the batches only count the rows.
    Raises DataError, as `parse_csv`; but the limit on bytes is the caller's.
    """
    rows = _Rows(file, name)
    yield from _batches(rows, _header(rows), columns)


def csv_header(data: bytes, name: str) -> tuple[str, ...]:
    """Return the names of the columns of a CSV file. Raises DataError, as `parse_csv`."""
    return tuple(_header(_Rows(io.BytesIO(data), name)))


def csv_texts(data: bytes, name: str, column: str) -> list[str]:
    """Return the cells of one column as they are written. Raises DataError, as `parse_csv`."""
    rows = _Rows(io.BytesIO(data), name)
    header = _header(rows)
    index = index_of(column, header)
    texts = [row[index] for row in _records(rows, header)]
    if not texts:
        raise _no_rows(rows)
    return texts


@dataclass(frozen=True)
class Contents:
    """What a file holds: the columns of numbers, how many rows, and why other columns are left out."""

    columns: tuple[str, ...]
    rows: int
    left_out: Mapping[str, str]


@dataclass
class _Words:
    """A column without numbers: what its first cell is, and the first three of its different words."""

    line: int
    first: Found
    seen: set[str] = field(default_factory=set)

    def has_number(self, cell: str) -> bool:
        """Look at a cell; also at the first one."""
        word = cell.strip().lower()
        if not word[:1].isalpha():
            return look_at(cell).kind in (Kind.NUMBER, Kind.NEARLY)
        # A shortcut: no number begins with a letter.
        if len(self.seen) < 3 and word not in self.seen and look_at(word).kind is Kind.OTHER:
            self.seen.add(word)
        return False

    def told(self) -> str:
        """Return why the column is left out; if it says yes and no, how to write that as numbers."""
        encoding = encoding_of(self.seen)
        use = f"; to use the column, {encoding}" if encoding else ""
        return f"line {self.line}: {self.first.problem}{use}"


def csv_contents(file: Readable, name: str, without: Sequence[str] = ()) -> Contents:
    """Return what a CSV file holds. Every cell is checked, except in the columns `without`.

    A column in which no cell is a number, or near to one, is left out. Raises DataError, as `parse_csv`: also
    for a column that holds numbers in some rows and none in others, and for fewer than two columns of
    numbers.
    """
    rows = _Rows(file, name)
    header = _header(rows)
    unread = {index_of(column, header) for column in without}
    numbers = [index for index in range(len(header)) if index not in unread]
    others: dict[int, _Words] = {}
    count = 0
    for count, row in enumerate(_records(rows, header), start=1):
        if _quickly(rows, row, numbers) is None:
            for index in list(numbers):
                found = look_at(row[index])
                if found.kind is not Kind.NUMBER:
                    if count > 1 or found.kind is Kind.NEARLY:
                        rows.fail(_in_column(header[index], found), hint=_or_without(found, header[index]))
                    others[index] = _Words(rows.reader.line_num, found)
                    numbers.remove(index)
        for index, words in others.items():
            if words.has_number(row[index]):
                where, first = f"{name}, line {words.line}", words.first
                hint = _or_without(first, header[index])
                raise DataError(where, _in_column(header[index], first), hint=hint)
    if not count:
        raise _no_rows(rows)
    told = {header[index]: words.told() for index, words in others.items()}
    told |= {header[index]: UNREAD for index in unread}
    if len(numbers) < 2:
        raise _too_few(name, [header[index] for index in numbers], told)
    return Contents(tuple(header[index] for index in numbers), count, told)


def _or_without(found: Found, column: str) -> str:
    return f"{found.hint}; or leave the column out: --without {column!r}"


def _too_few(name: str, columns: Sequence[str], left_out: Mapping[str, str]) -> DataError:
    has = f"one column of numbers only ({columns[0]!r})" if columns else "no column of numbers"
    problem = f"has {has}; at least two are needed"
    told = "; ".join(f"{column!r} holds none ({why})" for column, why in left_out.items())
    return DataError(name, problem, hint=told or "one to predict, and one to predict it from")


UNREAD = "you left it out"
"""What is said of columns that were left out by name."""


class _Decodable(io.BufferedIOBase):
    """What a text reader reads from: it knows which line a byte is on, and whether there is an underscore."""

    def __init__(self, file: Readable) -> None:
        self._file, self._last = file, b""
        self.first = b""
        self._lines_before = 0
        self.underscores = False

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        self._lines_before += self._last.count(b"\n")
        self._last = self._file.read(size)
        self.first = self.first or self._last[:8]
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
            open_quote = "unexpected end" in str(error)  # which the library tells at the last line
            what = "a quote opened before it is never closed" if open_quote else error
            self.fail(f"is not CSV: {what}", hint="commas between values, quotes doubled")
        except UnicodeDecodeError as error:
            self._refuse_others()
            line = self.bytes.line_of(error)
            raise DataError(
                f"{self.name}, line {line}", "is not UTF-8", hint="save it as CSV in UTF-8"
            ) from None

    def _refuse_others(self) -> None:
        """Refuse anything but text in UTF-8, by its first bytes. Raises DataError."""
        for begins, is_what in _OTHERS.items():
            if self.bytes.first.startswith(begins):
                raise DataError(
                    self.name, f"is {is_what}; CSV in UTF-8 is expected", hint="save it as CSV in UTF-8"
                )

    def fail(self, problem: str, hint: str = "") -> NoReturn:
        raise DataError(f"{self.name}, line {self.reader.line_num}", problem, hint=hint)


_OTHERS = {
    b"\xff\xfe": "text in UTF-16, which Windows calls Unicode",
    b"\xfe\xff": "text in UTF-16, which Windows calls Unicode",
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or an archive",
    b"\xd0\xcf\x11\xe0": "a workbook of Excel (.xls)",
    b"\x1f\x8b": "compressed (gzip)",
    b"PAR1": "a file of Parquet",
}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _header(rows: _Rows) -> list[str]:
    first = next(iter(rows), [])
    if any("\0" in name for name in first):
        rows.fail("is not UTF-8: every other byte is zero, as in UTF-16", hint="save it as CSV in UTF-8")
    header = list(plain_names(first))
    if not header:
        raise DataError(rows.name, "is empty", hint="the first line names the columns, with commas between")
    if len(header) > MAX_COLUMNS:
        rows.fail(f"{len(header)} columns; the limit is {MAX_COLUMNS}")
    if header[0].lower().startswith("sep="):
        rows.fail(
            f"is {header[0]!r}, a mark for Excel; names of columns are expected", hint="delete the line"
        )
    if len(header) == 1 and (mark := next((m for m in _SEPARATORS if m in first[0].strip(" ")), "")):
        problem = f"has {_SEPARATORS[mark]} between its columns; commas are expected"
        rows.fail(problem, hint="save the file with commas, and numbers with a decimal point: 0.5, not 0,5")
    if all(look_at(name).kind is Kind.NUMBER for name in header) and not _counted(header):
        problem = f"holds numbers only ({', '.join(header)[:60]}); names of columns are expected"
        rows.fail(problem, hint="put a line with a name for each column before it")
    if "" in header:
        rows.fail(
            f"column {header.index('') + 1} has no name",
            hint="name it; or drop it, if it numbers the rows: df.to_csv(index=False) of pandas, "
            "write.csv(row.names = FALSE) of R. A comma at a line's end makes one, too",
        )
    if name := twice(header):
        rows.fail(f"column {spelled(name[:64])} is named twice", hint="rename one of them")
    return header


def _counted(header: list[str]) -> bool:
    """Tell whether names are 0, 1, 2, … or 1, 2, …, as in a table without column names."""
    return any(header == [str(i + first) for i in range(len(header))] for first in (0, 1))


def _records(rows: _Rows, header: list[str]) -> Iterator[list[str]]:
    """Yield the records below the header, each as long as that."""
    width = len(header)
    for row in rows:
        if not any(map(str.strip, row)):
            if width > 1:
                rows.fail("is empty", hint="delete the line: spreadsheets leave such below a table")
        elif len(row) != width:
            rows.fail(
                f"has {len(row)} fields, the header has {width}",
                hint="is the first line the one that names the columns? A comma within a value needs quotes; "
                "a decimal comma is written as a point",
            )
        yield row


def _batches(rows: _Rows, header: list[str], columns: Sequence[str]) -> Iterator[Matrix]:
    indices = [index_of(column, header) for column in columns]
    most = max(BATCH_VALUES // max(len(indices), 1), 1)
    numbers: list[float] = []
    count, empty = 0, True
    for row in _records(rows, header):
        numbers += _numbers(rows, row, header, indices)
        count += 1
        if count == most:
            yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
            numbers, count, empty = [], 0, False
    if count:
        yield np.array(numbers, dtype=np.float64).reshape(count, len(indices))
    elif empty:
        raise _no_rows(rows)


def _numbers(rows: _Rows, row: list[str], header: list[str], indices: Sequence[int]) -> list[float]:
    """Return the numbers in these cells of a record. Raises DataError."""
    values = _quickly(rows, row, indices)
    if values is not None:
        return values
    for index in indices:
        found = look_at(row[index])
        if found.kind is not Kind.NUMBER:
            rows.fail(_in_column(header[index], found), hint=found.hint)
    return [float(row[index].strip()) for index in indices]  # Python strips fewer blanks of a number


def _quickly(rows: _Rows, row: list[str], indices: Sequence[int]) -> list[float] | None:
    """Return the numbers in these cells, or None if they must be examined one by one."""
    try:
        values = list(map(float, map(row.__getitem__, indices)))
    except ValueError:
        return None
    total = sum(values)
    # One test per row: a sum is finite unless a value is not, or the values are absurdly large.
    if (
        total - total != 0.0
        or (values and max(max(values), -min(values)) >= EXACT)
        or (rows.bytes.underscores and any("_" in row[index] for index in indices))
    ):
        return None
    return values


def _in_column(name: str, found: Found) -> str:
    return f"column {name[:64]!r}: {found.problem}"


def _no_rows(rows: _Rows) -> DataError:
    return DataError(
        rows.name, "has a header and no rows", hint="the first line names the columns; rows come below it"
    )
