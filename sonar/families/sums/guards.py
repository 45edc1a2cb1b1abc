"""What protects single rows at a mine: enough rows, and no rare values that sums would single out.

Only sums over a cohort are opened, yet the other mines of a cohort may add nothing where one mine's few rows
lie. So a mine refuses by what its own rows are (every refusal is a ConsentError):

- **Least rows.** There must be more numbers in the rows than there are sums of values to solve for them, and
  three rows for each column of a design. A question with parameters may be asked again at others, so its sums
  count `ROUNDS` times.
- **Rare values.** A term adds up some columns together (`BaseTerm.mixed`). Of a category among them, each
  level has 5 of the mine's rows or none: the sums over a level are sums over its rows alone. So has each
  combination of levels over which values of others are added up (`BaseTerm.crossed`). Of a column of
  numbers, clipped to the bounds, 0 or at least 5 rows differ from the value of all others, and few rows do
  not hold nearly all of it; within each group too, and where a weight is above 0 (`spread`).
- **Two columns** that are added up differ in 0 or at least 5 rows, and so do two levels (`differences`).
- **Missing cells.** Terms of other columns are over other rows. Of each pattern of which terms have a row and
  which have not, there are 0 or at least 5 rows (`differences`).
- **Weights.** At a question's parameters a term may weigh rows (`weighing`).

Counts of one column's cells alone are exempt: a cell with one row says that some mine of the cohort has a row
there, and no other sum is over that cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import CategoryColumn, Rows
from sonar.errors import ConsentError
from sonar.families.sums.differences import Patterns, Twins
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.spread import Spread
from sonar.families.sums.terms.base import LEAST_IN_SET, BaseTerm

Counts = NDArray[np.int64]
Vector = NDArray[np.float64]
LEAST_ROWS = 10
ROUNDS = 8
"""At how many parameters the same rows are asked at most: the six of a regression, and two to spare."""
_LEAVE = "the sums would reveal those rows; do not join this bounty, or register more rows"
_MORE = "register more rows, or join a bounty that asks for fewer sums"


def least_rows(spec: SumsSpec) -> int:
    """Return how many rows a mine needs at least, whatever `rows_min` says."""
    mixed: set[str] = set()
    solvable = 0
    for term in spec.terms:
        if asked := term.solvable(spec.by_name):
            solvable += asked
            mixed.update(term.mixed(spec.by_name))
    numbers = len(mixed) or len(spec.columns)
    sums = solvable * (ROUNDS if spec.parameters else 1)
    return max(LEAST_ROWS, -(-sums // numbers), *(term.least_rows(spec.by_name) for term in spec.terms))


def check_rows(spec: SumsSpec, rows: int) -> None:
    """Check by the number of rows alone that the sums hide one of them. Raises ConsentError."""
    has = f"rows: the data set has {rows}"
    if rows < (least := least_rows(spec)):
        asked = f"{spec.values} sums of {len(spec.columns)} columns need at least {least} to hide single rows"
        raise ConsentError(f"{has}, but {asked}", hint=_MORE)
    if rows < spec.rows_min:
        raise ConsentError(f"{has}, but the bounty needs at least {spec.rows_min}", hint="register more rows")
    if rows > spec.rows_max:
        raise ConsentError(
            f"{has}, and the bounty's sums have room for at most {spec.rows_max} (rows_max)",
            hint="register a part of them as another data set; none is left out in silence",
        )


def check_asked(spec: SumsSpec, rounds: int) -> None:
    """Check that rows are asked about at no more parameters than `least_rows` counts. Raises ConsentError."""
    if spec.parameters and rounds > ROUNDS:
        problem = f"terms.rounds: is {rounds}, and a question whose numbers change is answered {ROUNDS} times"
        raise ConsentError(f"{problem} at most", hint="more answers could be solved for single rows")


class Guards:
    """Sees a mine's coded rows once, batch by batch, and decides at the end."""

    def __init__(self, spec: SumsSpec) -> None:
        self.rows = 0
        self._spec = spec
        self._sets: dict[tuple[str, ...], _Complete] = {}
        for term in spec.terms:
            if mixed := term.mixed(spec.by_name):
                needs = tuple(sorted(term.needs(spec.by_name)))
                self._sets.setdefault(needs, _Complete(spec, needs)).add(term, mixed)
        self._patterns = [Patterns(found) for found in _sharing(list(self._sets.values()))]

    def see(self, rows: Rows) -> None:
        """Take in a batch."""
        self.rows += len(rows)
        for part in self._sets.values():
            part.see(rows.complete_rows(part.needs))
        for patterns in self._patterns:
            patterns.see(rows)

    def check(self) -> None:
        """Raise ConsentError, which names term and column and never which rows."""
        check_rows(self._spec, self.rows)
        for part in self._sets.values():
            part.check(self.rows)
        for patterns in self._patterns:
            patterns.check()


def _sharing(sets: list[_Complete]) -> list[dict[tuple[str, ...], str]]:
    """Return the sets of rows, by the columns that they need, that are linked by columns summed over both.

    Sums over sets that share no such column have no counterpart in each other. A single set has none.
    """
    linked: list[tuple[set[str], dict[tuple[str, ...], str]]] = []
    for part in sets:
        mixed, found = set(part.mixed), {part.needs: part.term}
        for other in [one for one in linked if one[0] & mixed]:
            linked.remove(other)
            mixed, found = mixed | other[0], other[1] | found
        linked.append((mixed, found))
    return [found for _, found in linked if len(found) > 1]


@dataclass
class _Complete:
    """The rows that miss none of the columns `needs`, over which some terms are summed."""

    spec: SumsSpec
    needs: tuple[str, ...]
    term: str = ""
    rows: int = 0
    least: int = LEAST_ROWS
    levels: dict[tuple[str, ...], _Levels] = field(default_factory=dict)
    spreads: dict[tuple[str | None, str | None], Spread] = field(default_factory=dict)
    twins: Twins | None = None

    @property
    def mixed(self) -> list[str]:
        """The columns that are summed over these rows."""
        return list({name for names in self.levels for name in names} | {*self._plain.columns})

    @property
    def _plain(self) -> Spread:
        return self.spreads.setdefault((None, None), Spread(self.spec, None, None))

    def add(self, term: BaseTerm, mixed: tuple[str, ...]) -> None:
        """Guard the columns of one more term that is over these rows."""
        columns = self.spec.by_name
        self.term = self.term or term.name
        self.least = max(self.least, term.least_rows(columns))
        self.twins = self.twins or Twins(self.spec)
        self.twins.add(term.name, term.added(columns))
        plain = self._plain
        by, weight = term.apart(columns)
        apart = self.spreads.setdefault((by, weight), Spread(self.spec, by, weight))
        for name in mixed:
            if name not in (by, weight):
                apart.columns.setdefault(name, term.name)
            if isinstance(columns[name], CategoryColumn):
                self._count((name,), term.least_in_level(columns), term.name)
            else:
                plain.columns.setdefault(name, term.name)
        for names in term.crossed(columns):
            self._count(names, LEAST_IN_SET, term.name)

    def _count(self, names: tuple[str, ...], least: int, term: str) -> None:
        """Count the rows of each combination of levels of these categories."""
        columns = [self.spec.by_name[name] for name in names]
        shape = tuple(len(column.levels) for column in columns if isinstance(column, CategoryColumn))
        found = self.levels.setdefault(names, _Levels(shape, np.zeros(math.prod(shape), dtype=np.int64)))
        if least > found.least:
            found.least, found.term = least, term

    def see(self, rows: Rows) -> None:
        """Take in a batch of such rows."""
        self.rows += len(rows)
        for names, found in self.levels.items():
            places = np.ravel_multi_index([rows.code(name) for name in names], found.shape)
            found.counts += np.bincount(places, minlength=len(found.counts))
        for spread in self.spreads.values():
            spread.see(rows)
        if self.twins is not None:
            self.twins.see(rows)

    def check(self, all_rows: int) -> None:
        """Raise ConsentError."""
        if 0 < self.rows < self.least:
            raise ConsentError(
                f"term {self.term!r}: {self.rows} of {all_rows} rows have all cells that it needs; none or "
                f"at least {self.least} must",
                hint=_MORE,
            )
        for names, found in self.levels.items():
            found.check(names)
        for spread in self.spreads.values():
            spread.check()
        if self.twins is not None:
            self.twins.check()


@dataclass
class _Levels:
    """How many rows have each combination of levels of some categories; each must be none or `least`."""

    shape: tuple[int, ...]
    counts: Counts
    least: int = 0
    term: str = ""

    def check(self, names: tuple[str, ...]) -> None:
        """Raise ConsentError."""
        if ((self.counts > 0) & (self.counts < self.least)).any():
            told = ", ".join(map(repr, names))
            which = (
                f"column {told} has a category" if len(names) == 1 else f"columns {told} have a combination"
            )
            raise ConsentError(
                f"term {self.term!r}: {which} with 1 to {self.least - 1} rows; none or at least {self.least} "
                "must have it",
                hint=_LEAVE,
            )
