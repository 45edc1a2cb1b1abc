"""What the columns of a table mean: the published part of a bounty that rows are read by.

A column of numbers has bounds, and values beyond them are clipped. A column of categories has a published
vocabulary: whoever reads rows writes a category as its place in there. Both may have missing cells, if the
column says so; elsewhere a missing cell is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from sonar.data.fixed import Q32, from_q32
from sonar.errors import DataError
from sonar.protocol.record import Name, Record

Matrix = NDArray[np.float64]
Made = TypeVar("Made")
MAX_LEVELS = 256


def _tidy(level: str) -> str:
    if level != level.strip() or not level.isprintable():
        raise ValueError("must be printable text without blanks around it")
    return level


Level = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_tidy)]


class NumberColumn(Record):
    """A column of numbers, each clipped to `low` and `high`. `unit` is for people."""

    kind: Literal["number"] = "number"
    name: Name
    low_q32: Q32
    high_q32: Q32
    missing: bool = False
    unit: Annotated[str, Field(max_length=32)] = ""

    @cached_property
    def low(self) -> float:
        """The least value, in the column's unit."""
        return from_q32(self.low_q32)

    @cached_property
    def high(self) -> float:
        """The largest value, in the column's unit."""
        return from_q32(self.high_q32)

    @cached_property
    def centre(self) -> float:
        """The middle of the bounds."""
        return (self.low + self.high) / 2

    @cached_property
    def scale(self) -> float:
        """Half of the distance of the bounds: (x - centre) / scale is within ±1."""
        return (self.high - self.low) / 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low_q32 >= self.high_q32:
            raise ValueError(f"low_q32: is not below high_q32 (of column {self.name!r})")
        return self


class CategoryColumn(Record):
    """A column of categories: `levels` is its vocabulary, in the order of their codes 0, 1, ..."""

    kind: Literal["category"] = "category"
    name: Name
    levels: Annotated[tuple[Level, ...], Field(strict=False, min_length=2, max_length=MAX_LEVELS)]
    missing: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels: one occurs twice (of column {self.name!r})")
        return self


Column = Annotated[NumberColumn | CategoryColumn, Field(discriminator="kind")]
Schema = tuple[Column, ...]


class Rows:
    """Some rows, coded by a schema: float64[rows, len(schema)], categories as codes, missing cells as NaN.

    Raises DataError for a matrix of another width, and for values that the schema does not allow.
    """

    def __init__(self, schema: Sequence[NumberColumn | CategoryColumn], values: Matrix) -> None:
        if values.ndim != 2 or values.shape[1] != len(schema):
            raise DataError("rows", f"shape {values.shape}; the schema has {len(schema)} columns")
        self._columns = {column.name: column for column in schema}
        cells = np.ascontiguousarray(values.T)  # a column's cells lie side by side
        self._cells = dict(zip(self._columns, cells, strict=True))
        self._count = len(values)
        self._chosen: tuple[NDArray[np.bool_], ...] = ()  # of all rows, of those, of those
        self._missing = frozenset(name for name, cells in self._cells.items() if np.isnan(cells).any())
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._latest: dict[str, tuple[Hashable, Any]] = {}
        for column in schema:
            self._check(column)

    def __len__(self) -> int:
        return self._count

    @property
    def misses(self) -> bool:
        """Whether a cell may be missing."""
        return bool(self._missing)

    def raw(self, name: str) -> NDArray[np.float64]:
        """Return a column as it is, float64[rows]: NaN where a cell is missing."""
        found: NDArray[np.float64] = self._cells[name]
        for chosen in self._chosen:
            found = found[chosen]
        return found

    def number(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers, clipped to its bounds, in its unit; NaN where a cell is missing.

        It is made once, and read-only.
        """
        if name not in self._numbers:
            column = self._columns[name]
            assert isinstance(column, NumberColumn)
            self._numbers[name] = np.clip(self.raw(name), column.low, column.high)
            self._numbers[name].flags.writeable = False
        return self._numbers[name]

    def standard(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers as (x - centre) / scale, within ±1; NaN where a cell is missing."""
        column = self._columns[name]
        assert isinstance(column, NumberColumn)
        found = self.number(name) - column.centre
        found /= column.scale
        return found

    def code(self, name: str) -> NDArray[np.int64]:
        """Return a column of categories as places in its vocabulary; -1 where a cell is missing."""
        raw = self.raw(name)
        return np.where(np.isnan(raw), -1, raw).astype(np.int64)

    def complete(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which rows miss none of these columns, bool[rows]."""
        found = np.ones(len(self), dtype=np.bool_)
        for name in names:
            if name in self._missing:
                found &= ~np.isnan(self.raw(name))
        return found

    def complete_rows(self, names: Sequence[str]) -> Rows:
        """Return the rows that miss none of these columns."""
        needed = tuple(sorted(self._missing.intersection(names)))
        return self.latest("complete", needed, lambda: self.where(self.complete(needed))) if needed else self

    def latest(self, slot: str, name: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` makes of these rows, or what it made if it was asked for last in its slot."""
        if self._latest.get(slot, (None,))[0] != name:
            self._latest[slot] = name, make()
        found: Made = self._latest[slot][1]
        return found

    def where(self, keep: NDArray[np.bool_]) -> Rows:
        """Return the rows of which `keep`, bool[rows], is true. Their cells are taken when they are read."""
        found = object.__new__(Rows)
        found._columns, found._missing, found._cells = self._columns, self._missing, self._cells
        found._count, found._chosen = int(np.count_nonzero(keep)), (*self._chosen, keep)
        found._numbers, found._latest = {}, {}
        return found

    def _check(self, column: NumberColumn | CategoryColumn) -> None:
        raw = self.raw(column.name)
        where = f"column {column.name!r}"
        if np.isinf(raw).any():
            raise DataError(where, "has an infinite value; a finite number is expected")
        if not column.missing and column.name in self._missing:
            hint = "drop the row or fill it in; or the bounty says that the column may have missing cells"
            raise DataError(where, "has a missing cell, and the bounty allows none there", hint=hint)
        if isinstance(column, CategoryColumn):
            codes = raw[~np.isnan(raw)] if column.missing else raw
            if ((codes != np.floor(codes)) | (codes < 0) | (codes >= len(column.levels))).any():
                raise DataError(where, f"has a code that is none of 0 to {len(column.levels) - 1}")
