"""What a CSV file holds, to whoever registers it: columns of numbers, and others that can be coded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from sonar.data.cells import Found, Kind, encoding_of, look_at
from sonar.data.names import index_of
from sonar.data.records import CsvRows, Readable, in_column, no_rows, quickly, read_header, records
from sonar.errors import DataError


@dataclass(frozen=True)
class Contents:
    """What a file holds: the columns of numbers, how many rows, and why other columns are left out.

    `declarable`: those of the others that a bounty can use which declares what their cells mean. They are
    columns of text, and columns of numbers in which cells are missing.
    """

    columns: tuple[str, ...]
    rows: int
    left_out: Mapping[str, str]
    declarable: tuple[str, ...] = ()


@dataclass
class _Words:
    """A column with cells that are no numbers: what the first such cell is, and where.

    And the first three of its different words. Of `numbers`, the others are.
    """

    line: int
    first: Found
    numbers: bool = False
    seen: set[str] = field(default_factory=set)

    def look(self, cell: str) -> Found | None:
        """Look at a cell, also at the first one; None for a word where words are expected."""
        word = cell.strip().lower()
        if self.numbers or not word[:1].isalpha():
            return look_at(cell)
        # A shortcut: no number begins with a letter.
        if len(self.seen) < 3 and word not in self.seen:
            found = look_at(word)
            if found.kind is Kind.OTHER:
                self.seen.add(word)
            return found
        return None

    def told(self) -> str:
        """Return why the column is left out; if it says yes and no, how to write that as numbers."""
        encoding = encoding_of(self.seen)
        use = f"; to use the column, {encoding}" if encoding else ""
        return f"line {self.line}: {self.first.problem}{use}"


def csv_contents(file: Readable, name: str, without: Sequence[str] = ()) -> Contents:
    """Return what a CSV file holds. Every cell is checked, except in the columns `without`.

    A column in which no cell is a number, or near to one, is left out, and so is a column of numbers in which
    cells are missing; a bounty can declare both. Raises DataError, as `parse_csv`: also for a column that
    holds numbers in some rows and other things in others, for fewer than two columns of either kind, and for
    none of numbers.
    """
    rows = CsvRows(file, name)
    header = read_header(rows)
    unread = {index_of(column, header) for column in without}
    look = _Look(rows, header, [index for index in range(len(header)) if index not in unread])
    count = 0
    for count, row in enumerate(records(rows, header), start=1):
        look.at(row, first=count == 1)
    if not count:
        raise no_rows(rows)
    told = {header[index]: words.told() for index, words in look.others.items()}
    declarable = tuple(header[index] for index in sorted(look.others))
    told |= {header[index]: UNREAD for index in unread}
    numbers = [header[index] for index in look.numbers]
    if len(numbers) + len(declarable) < 2 or not (
        numbers or any(one.numbers for one in look.others.values())
    ):
        raise _too_few(name, numbers, told)
    return Contents(tuple(numbers), count, told, declarable)


class _Look:
    """What the columns of a file hold, as far as it was looked at."""

    def __init__(self, rows: CsvRows, header: list[str], columns: list[int]) -> None:
        self.numbers, self.others = columns, dict[int, _Words]()
        self._rows, self._header = rows, header

    def at(self, row: list[str], *, first: bool) -> None:
        """Look at a record. Raises DataError."""
        if quickly(self._rows, row, self.numbers) is None:
            for index in list(self.numbers):
                found = look_at(row[index])
                if found.kind is Kind.NUMBER:
                    continue
                missing = found.kind is Kind.MISSING
                if found.kind is Kind.NEARLY or not (first or missing):
                    self._refuse(index, self._rows.reader.line_num, found)
                self.others[index] = _Words(self._rows.reader.line_num, found, numbers=not first and missing)
                self.numbers.remove(index)
        for index, words in self.others.items():
            self._at_words(index, words, row[index])

    def _at_words(self, index: int, words: _Words, cell: str) -> None:
        found, line = words.look(cell), self._rows.reader.line_num
        if found is None or found.kind is Kind.MISSING:
            return
        if words.numbers:
            if found.kind is not Kind.NUMBER:
                self._refuse(index, line, found)
        elif words.first.kind is not Kind.MISSING:
            if found.kind is not Kind.OTHER:
                self._refuse(index, words.line, words.first)
        elif found.kind is Kind.NEARLY:
            self._refuse(index, line, found)
        else:  # all cells before were missing
            words.numbers = found.kind is Kind.NUMBER
            words.line, words.first = (words.line, words.first) if words.numbers else (line, found)

    def _refuse(self, index: int, line: int, found: Found) -> NoReturn:
        column = self._header[index]
        hint = _or_without(found, column)
        raise DataError(f"{self._rows.name}, line {line}", in_column(column, found), hint=hint)


def _or_without(found: Found, column: str) -> str:
    return f"{found.hint}; or leave the column out: --without {column!r}"


def _too_few(name: str, columns: Sequence[str], left_out: Mapping[str, str]) -> DataError:
    has = f"one column of numbers only ({columns[0]!r})" if columns else "no column of numbers"
    problem = f"has {has}; at least two are needed"
    told = "; ".join(f"{column!r} holds none ({why})" for column, why in left_out.items())
    return DataError(name, problem, hint=told or "one to predict, and one to predict it from")


UNREAD = "you left it out"
"""What is said of columns that were left out by name."""
