"""Whether differences of sums would be about few rows: of sums over other rows, or of two like columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import CategoryColumn, Rows
from sonar.errors import ConsentError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.base import LEAST_IN_SET

_FIRST = 64
"""Two columns that are not alike differ in 5 of so many rows, and are then left alone."""


class Patterns:
    """Counts rows by which of some sets of rows they are in.

    The sums over some sets, added and subtracted, may leave the rows of one pattern: so each pattern but that
    of rows in no set has 0 or at least 5 rows. `sets`: the columns that each needs, and one of its terms.
    """

    def __init__(self, sets: dict[tuple[str, ...], str]) -> None:
        self._sets = sets
        self._found: Counter[bytes] = Counter()

    def see(self, rows: Rows) -> None:
        """Take in a batch."""
        if not len(rows):
            return
        complete = np.array([rows.complete(needs) for needs in self._sets])
        if complete.all():  # no cell is missing
            pattern = np.packbits(complete[:, 0]).tobytes()
            self._found[pattern] += len(rows)
            return
        there = np.packbits(complete, axis=0).T
        patterns, counts = np.unique(there, axis=0, return_counts=True)
        for pattern, count in zip(patterns, counts.tolist(), strict=True):
            self._found[pattern.tobytes()] += count

    def check(self) -> None:
        """Raise ConsentError."""
        for pattern, count in self._found.items():
            inside = np.unpackbits(np.frombuffer(pattern, dtype=np.uint8))[: len(self._sets)]
            if count < LEAST_IN_SET and inside.any():
                raise self._refusal(inside.tolist())

    def _refusal(self, inside: list[int]) -> ConsentError:
        places = [place for place, there in enumerate(inside) if there]
        names, needs = list(self._sets.values()), list(self._sets)
        outside = {name for place, of in enumerate(needs) if not inside[place] for name in of}
        missed = sorted(outside - {name for place in places for name in needs[place]})
        terms = ", ".join(repr(names[place]) for place in places[:3])
        others = ", ".join([repr(name) for name, there in zip(names, inside, strict=True) if not there][:3])
        missing = (
            f"miss a cell of {', '.join(map(repr, missed))}, which {others} need" if missed else "miss none"
        )
        return ConsentError(
            f"terms {terms}: 1 to {LEAST_IN_SET - 1} rows that count in them {missing}; 0 or at least "
            f"{LEAST_IN_SET} may",
            hint="differences of the terms would be about those rows; drop them, or fill the cells in",
        )


class Twins:
    """Counts in how many rows two columns differ, or two levels of different categories.

    The difference of two sums of products is over these rows alone: 0 or at least 5.
    """

    def __init__(self, spec: SumsSpec) -> None:
        self._spec = spec
        self._terms: dict[str, str] = {}
        self._pairs: NDArray[np.int64] | None = None
        self._differ = np.zeros(0, dtype=np.int64)

    def add(self, term: str, columns: tuple[str, ...]) -> None:
        """Compare these columns too."""
        for name in columns:
            self._terms.setdefault(name, term)

    def see(self, rows: Rows) -> None:
        """Take in a batch of complete rows."""
        if self._pairs is None:
            names = [name for name, _ in self._labels()]
            pairs = [pair for pair in combinations(range(len(names)), 2) if names[pair[0]] != names[pair[1]]]
            self._pairs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            self._differ = np.zeros(len(self._pairs), dtype=np.int64)
        if not len(self._pairs) or not len(rows):
            return
        values = np.stack(list(self._values(rows)))
        for part in (slice(0, _FIRST), slice(_FIRST, None)):
            for place, (one, other) in enumerate(self._pairs.tolist()):
                self._differ[place] += np.count_nonzero(values[one, part] != values[other, part])
            alike = self._differ < LEAST_IN_SET
            self._pairs, self._differ = self._pairs[alike], self._differ[alike]

    def check(self) -> None:
        """Raise ConsentError."""
        labels = list(self._labels())
        for pair in () if self._pairs is None else self._pairs[self._differ > 0].tolist():
            (one, level), (other, its) = (labels[place] for place in pair)
            raise ConsentError(
                f"term {self._terms[one]!r}: columns {one + level!r} and {other + its!r} differ in 1 to "
                f"{LEAST_IN_SET - 1} rows; in none or at least {LEAST_IN_SET} they may",
                hint="the difference of their sums would reveal those rows; do not join this bounty",
            )

    def _labels(self) -> Iterator[tuple[str, str]]:
        """Yield each column of numbers and each level of a category: its column, and "[level]" or "" """
        for name in self._terms:
            column = self._spec.by_name[name]
            if isinstance(column, CategoryColumn):
                yield from ((name, f"[{level}]") for level in column.levels)
            else:
                yield name, ""

    def _values(self, rows: Rows) -> Iterator[NDArray[np.float64]]:
        for name in self._terms:
            column = self._spec.by_name[name]
            if isinstance(column, CategoryColumn):
                codes = rows.code(name)
                yield from ((codes == level).astype(np.float64) for level in range(len(column.levels)))
            else:
                yield rows.number(name)
