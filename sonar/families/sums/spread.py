"""Whether some rows hold nearly all of what a column or a weight adds to sums, within each group of rows.

How many rows differ from a value does not say by how much. Rows whose shares of a sum are s weigh as many as
(sum s)^2 / sum s^2 equal ones: Kish, Survey Sampling, 1965.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import CategoryColumn, Rows
from sonar.errors import ConsentError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.base import LEAST_IN_SET

Vector = NDArray[np.float64]
USUAL_OF = 9
_SHARE = 0.3
"""Of a set of fewer than 17 rows, so many must weigh as much as equal ones: five never do, unless equal."""
_LOST = 1e-6
"""A part of the largest sum of squares that is smaller is not made from it."""
_LEAVE = "the sums would reveal those rows; do not join this bounty, or register more rows"


def few(one: Vector, two: Vector, least: float | Vector = LEAST_IN_SET) -> NDArray[np.bool_]:
    """Tell where rows weigh less than `least` equal ones, by the sums of weights and of their squares."""
    return np.asarray((two > 0) & (one * one < least * two))


@dataclass
class Spread:
    """What complete rows hold of some columns, within each level of `by`, where `weight` is above 0.

    Both may be none. `columns`: for each, the term that adds it up.
    """

    spec: SumsSpec
    by: str | None
    weight: str | None
    columns: dict[str, str] = field(default_factory=dict)
    _groups: dict[int, _Group] = field(default_factory=dict)

    def see(self, rows: Rows) -> None:
        """Take in a batch."""
        if not len(rows) or not self.columns:
            return
        numbers = self._numbers()
        values = np.column_stack([np.ones(len(rows)), *(rows.number(name) for name in numbers)])
        weight = np.ones(len(rows)) if self.weight is None else rows.number(self.weight)
        codes = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        levels = {name: rows.code(name) for name in self._categories()}
        if self.by is None and self.weight is None:  # all rows: none need be picked
            self._groups.setdefault(0, _Group(*self._bounds(numbers))).see(values, None)
            return
        for code in np.unique(codes[weight > 0]).tolist():
            chosen = (codes == code) & (weight > 0)
            group = self._groups.setdefault(code, _Group(*self._bounds(numbers)))
            group.see(values[chosen], weight[chosen])
            for name, found in levels.items():
                group.count(name, found[chosen], weight[chosen])

    def check(self) -> None:
        """Raise ConsentError, which names term and column."""
        numbers = ["", *self._numbers()]
        for group in self._groups.values():
            group.finish()
            for place in np.flatnonzero(group.rare()).tolist():
                raise ConsentError(
                    f"term {self._term(numbers[place])!r}: in column {numbers[place]!r}, clipped to the "
                    f"bounty's bounds{self._where()}, 1 to {LEAST_IN_SET - 1} rows differ from the value of "
                    f"all others; either none must or at least {LEAST_IN_SET}",
                    hint=_LEAVE,
                )
            for place in np.flatnonzero(group.heavy().any(axis=0)).tolist():
                raise self._alone(numbers[place] or self.weight or "")
            for name in group.heavy_levels():
                raise self._alone(name)

    def _alone(self, name: str) -> ConsentError:
        return ConsentError(
            f"term {self._term(name)!r}: a few rows hold nearly all of column {name!r}{self._where()}; they "
            f"must weigh as much as {LEAST_IN_SET} equal ones (of fewer than 17 rows: as {_SHARE:.0%})",
            hint=_LEAVE,
        )

    def _where(self) -> str:
        by = "" if self.by is None else f", within a level of {self.by!r}"
        return by + ("" if self.weight is None else f", where {self.weight!r} is above 0")

    def _term(self, name: str) -> str:
        return self.columns.get(name) or next(iter(self.columns.values()))

    def _categories(self) -> Iterator[str]:
        """The categories whose levels a weight may leave to few rows."""
        if self.weight is not None:
            yield from (name for name in self.columns if isinstance(self.spec.by_name[name], CategoryColumn))

    def _numbers(self) -> list[str]:
        return [name for name in self.columns if not isinstance(self.spec.by_name[name], CategoryColumn)]

    def _bounds(self, numbers: list[str]) -> tuple[Vector, Vector]:
        """Return low and high of ones, and of each column of numbers."""
        found = [self.spec.by_name[name] for name in numbers]
        low = [1.0, *(column.low for column in found if not isinstance(column, CategoryColumn))]
        high = [1.0, *(column.high for column in found if not isinstance(column, CategoryColumn))]
        return np.array(low), np.array(high)


class _Group:
    """Sums over a group's rows of |v - usual|, v - low and high - v times a weight, and of their squares.

    Column 0 is of ones: what is summed of it is the weight, as v - low is of any column at a bound.
    """

    def __init__(self, low: Vector, high: Vector) -> None:
        self.rows = 0
        self._low, self._high = low, high
        self._ones = np.zeros((2, 1))
        self._sums = np.zeros((2, 3, len(low)))
        self._differ = np.zeros(len(low), dtype=np.int64)
        self._levels: dict[str, Vector] = {}
        self._waiting: list[tuple[Vector, Vector | None]] = []
        self._usual: Vector | None = None

    def see(self, values: Vector, weight: Vector | None) -> None:
        """Take in values float64[rows, columns] of rows that weigh something; None: all weigh 1."""
        self.rows += len(values)
        if self._usual is None:
            self._waiting.append((values, weight))
            if self.rows >= USUAL_OF:
                self.finish()
            return
        away, above = values - self._usual, values - self._low
        self._differ = self._differ + np.count_nonzero(away, axis=0)
        if weight is None:
            ones = squares = float(len(values))
        else:
            ones, squares = float(weight.sum()), float(weight @ weight)
            away *= weight[:, None]
            above *= weight[:, None]
        span = self._high - self._low
        one, two = above.sum(axis=0), np.einsum("ij,ij->j", above, above)
        # The sums of high - v follow from those of v - low, unless they are so small that digits are lost.
        below = ones * span - one
        below_two = squares * span**2 - 2 * span * (one if weight is None else weight @ above) + two
        for place in np.flatnonzero(below_two <= _LOST * squares * span**2).tolist():
            exact = self._high[place] - values[:, place]
            exact = exact if weight is None else exact * weight
            below[place], below_two[place] = exact.sum(), exact @ exact
        away_two = np.einsum("ij,ij->j", away, away)
        self._sums[0] += np.stack([np.abs(away, out=away).sum(axis=0), one, below])
        self._sums[1] += np.stack([away_two, two, below_two])
        self._ones += np.array([[ones], [squares]])

    def finish(self) -> None:
        """Take in what has waited for the usual values."""
        if self._usual is None and self._waiting:
            waiting, self._waiting = self._waiting, []
            first = np.sort(np.concatenate([values for values, _ in waiting])[:USUAL_OF], axis=0)
            # A value that at most 4 rows lack is held by 5 of any 9 rows, so it is their median.
            self._usual, self.rows = first[(len(first) - 1) // 2], 0
            for values, weight in waiting:
                self.see(values, weight)

    def count(self, name: str, codes: NDArray[np.int64], weight: Vector) -> None:
        """Add the weights of each level of a category."""
        size = max(int(codes.max()) + 1, self._levels.get(name, np.zeros((3, 0))).shape[1])
        found = np.zeros((3, size))
        for power, row in enumerate(found):
            row[:] = np.bincount(codes, weights=weight**power, minlength=size)
        if name in self._levels:
            found[:, : self._levels[name].shape[1]] += self._levels[name]
        self._levels[name] = found

    def rare(self) -> NDArray[np.bool_]:
        """Tell of which columns 1 to 4 rows differ from a value that most have, bool[columns]."""
        held = 2 * self._differ < self.rows
        return np.asarray((self._differ > 0) & (self._differ < LEAST_IN_SET) & held)

    def heavy(self) -> NDArray[np.bool_]:
        """Tell which columns a few rows hold nearly alone, bool[3, columns]; column 0 is the weight."""
        found = few(self._sums[0], self._sums[1], _least(self.rows))
        found[:, :1] = few(self._ones[0], self._ones[1], _least(self.rows))
        return found

    def heavy_levels(self) -> list[str]:
        """Return the categories of which a level has few rows that weigh something."""
        found = self._levels.items()
        return [name for name, (rows, one, two) in found if few(one, two, _least(rows)).any()]


def _least(rows: float | Vector) -> Vector:
    """Return as how many equal ones so many rows must weigh."""
    small = np.minimum(LEAST_IN_SET, _SHARE * np.asarray(rows))
    return np.where(np.asarray(rows) < LEAST_IN_SET, float(LEAST_IN_SET), small)
