"""The records of a CSV file, as people really write them, and the numbers in a record."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol

from sonar.data.cells import EXACT, Found, Kind, look_at
from sonar.data.names import plain_names, spelled, twice
from sonar.errors import DataError

MAX_COLUMNS = 10_000


class Readable(Protocol):
    """An open file, or anything else that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


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


class CsvRows:
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
        """Raise DataError with the number of the last record's line."""
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


def read_header(rows: CsvRows) -> list[str]:
    """Return the names of the columns, from the first record. Raises DataError."""
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


def records(rows: CsvRows, header: list[str]) -> Iterator[list[str]]:
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


def quickly(rows: CsvRows, row: list[str], indices: Sequence[int]) -> list[float] | None:
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


def in_column(name: str, found: Found) -> str:
    """Say what is wrong with a cell of a column."""
    return f"column {name[:64]!r}: {found.problem}"


def no_rows(rows: CsvRows) -> DataError:
    """Return the error for a file that has a header alone."""
    return DataError(
        rows.name, "has a header and no rows", hint="the first line names the columns; rows come below it"
    )
