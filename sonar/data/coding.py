"""From cells to codes: what a table's text or numbers stand for in a column that a bounty declares.

A category is written as its level, or as another spelling of the same: blanks around it do not count, "1" and
"1.0" are one number, and where the levels are true and false, so are 1 and 0 and capitals. A level that is
spelled like a missing value ("unknown", say) is a level.
"""

from __future__ import annotations

import math
import unicodedata

import numpy as np
from numpy.typing import NDArray

from sonar.data.cells import EXACT, Found, Kind, look_at
from sonar.data.schema import CategoryColumn, NumberColumn
from sonar.errors import DataError

Vector = NDArray[np.float64]
MISSING = math.nan
_SHOWN, _SHOWN_LEVELS = 40, 20
_KEPT = 4096
"""How many spellings of categories are kept as they were read."""


class Coder:
    """Reads the cells of one column."""

    def __init__(self, column: NumberColumn | CategoryColumn) -> None:
        self.column = column
        self._known: dict[str, float] = {}
        self._numbers: dict[float, float] = {}
        if isinstance(column, CategoryColumn):
            self._learn(column)

    def code(self, cell: str) -> float | Found:
        """Return a number, a place in the vocabulary, or NaN for a missing cell; else what is wrong."""
        if isinstance(self.column, NumberColumn):
            return self._number(cell)
        known = self._known.get(cell)
        if known is not None:
            return known
        found = self._category(unicodedata.normalize("NFC", cell.strip()))
        if isinstance(found, float) and len(self._known) < _KEPT:
            self._known[cell] = found
        return found

    def _number(self, cell: str) -> float | Found:
        try:
            value = float(cell)
        except ValueError:
            value = math.inf
        if -EXACT < value < EXACT and "_" not in cell:  # most are, and are not looked at twice
            return value
        found = look_at(cell)
        if found.kind is Kind.MISSING and self.column.missing:
            return MISSING
        return float(cell.strip()) if found.kind is Kind.NUMBER else found

    def _category(self, text: str) -> float | Found:
        known = self._known.get(text)
        if known is None and self._is_boolean:
            known = self._known.get(text.casefold())
        if known is not None:
            return known
        found = look_at(text)
        if found.kind is Kind.MISSING:
            return MISSING if self.column.missing else self._missing(found)
        place = self._numbers.get(float(text)) if found.kind is Kind.NUMBER else None
        return self._unknown(text) if place is None else place

    def codes(self, numbers: Vector) -> Vector:
        """Return the codes of numbers float64[rows], as a table without text has them. Raises DataError."""
        if isinstance(self.column, NumberColumn):
            return numbers
        values, places = np.unique(numbers, return_inverse=True)
        found = np.array([self._code_of(value) for value in values.tolist()], dtype=np.float64)
        return found[places]

    def _code_of(self, number: float) -> float:
        found = self.code("" if math.isnan(number) else f"{number:.17g}")
        if isinstance(found, Found):
            raise DataError(f"column {self.column.name!r}", found.problem, hint=found.hint)
        return found

    def _learn(self, column: CategoryColumn) -> None:
        self._is_boolean = {level.casefold() for level in column.levels} == {"false", "true"}
        for place, level in enumerate(column.levels):
            self._known[unicodedata.normalize("NFC", level)] = float(place)
            if self._is_boolean:
                self._known[level.casefold()] = float(place)
                self._numbers[float(level.casefold() == "true")] = float(place)
            elif look_at(level).kind is Kind.NUMBER:
                self._numbers.setdefault(float(level), float(place))

    def _missing(self, found: Found) -> Found:
        problem = found.problem.replace("a number is expected", "a category is expected")
        hint = "fill it in, or drop the row: the bounty allows no missing cells in this column"
        return Found(Kind.MISSING, problem, hint)

    def _unknown(self, text: str) -> Found:
        assert isinstance(self.column, CategoryColumn)
        shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
        levels = self.column.levels
        more = f" and {len(levels) - _SHOWN_LEVELS} more" if len(levels) > _SHOWN_LEVELS else ""
        told = ", ".join(map(repr, levels[:_SHOWN_LEVELS]))
        near = next((one for one in levels if one.casefold() == text.casefold()), None)
        hint = f"write {near!r}" if near else "write the category as the bounty has it, or do not join"
        return Found(Kind.OTHER, f"{shown} is none of the bounty's categories: {told}{more}", hint)
