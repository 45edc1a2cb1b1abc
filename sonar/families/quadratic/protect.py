"""What protects single rows: what a mine refuses, since sums over its rows would tell about a few of them.

The scientist sees the sums of A and b over a cohort, and bits about one mine's. Each check sees the rows
once, batch by batch, and decides at the end. All refusals are a ConsentError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ConsentError
from sonar.families.quadratic.spec import QuadraticSpec

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]

LEAST_OF_EITHER = 5
FIRST_ROWS = 9
"""So many rows the first batch must have, if there are more: see `Columns`."""


def check_rows(rows: int, spec: QuadraticSpec) -> None:
    """Check that the sums are over enough rows to hide one of them. Raises ConsentError."""
    asked = f"{spec.weights} weights of {len(spec.features)} columns"
    if rows < spec.least_rows:
        problem = f"the data set has {rows}, and {asked} need at least {spec.least_rows} to hide single rows"
        raise _refusal("rows", problem, "register more rows, or join a bounty with fewer weights")
    if rows < spec.rows_min:
        problem = f"the data set has {rows}, and the bounty takes {spec.rows_min} at least"
        raise _refusal("rows", problem, "register more rows")


@dataclass
class Columns:
    """No column has one value in all but 1 to 4 of its rows.

    Such a column, 0/1 or not, would single those rows out: a hostile feature map can make one of any column,
    by a clip just below its largest value.
    """

    names: Sequence[str]
    _usual: Matrix | None = None
    _others: NDArray[np.int64] | int = 0

    def see(self, batch: Matrix) -> None:
        """Take in a batch float64[rows, len(names)]."""
        if self._usual is None:
            # A value that at most 4 rows lack is held by 5 of any 9 rows, so it is their median.
            self._usual = np.asarray(np.median(batch[:FIRST_ROWS], axis=0))
        self._others = self._others + (batch != self._usual).sum(axis=0)

    def check(self) -> None:
        """Raise ConsentError with the column."""
        for count, name in zip(np.atleast_1d(self._others).tolist(), self.names, strict=True):
            if 0 < count < LEAST_OF_EITHER:
                problem = (
                    f"has the same value in all but {count} rows; at least {LEAST_OF_EITHER} must differ"
                )
                raise _refusal(f"column {name!r}", f"{problem}, or none", _LEAVE)


@dataclass
class Combinations:
    """No combination of values that products of `degree` columns single out has 1 to 4 rows.

    Of a column with v values, a product of v - 1 factors is 0 in all rows but those of one value; with the
    targets, it would tell about these. So would products over several such columns.
    """

    names: Sequence[str]
    degree: int
    _levels: dict[int, list[float]] = field(default_factory=dict)
    _counts: dict[tuple[int, ...], NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.degree > 1:
            self._levels = {i: [] for i in range(len(self.names))}

    def see(self, batch: Matrix) -> None:
        """Take in a batch of raw columns float64[rows, len(names)]."""
        codes = {}
        for i, levels in list(self._levels.items()):
            values, places = np.unique(batch[:, i], return_inverse=True)
            levels += [value for value in values.tolist() if value not in levels]
            if len(levels) > self.degree + 1:
                del self._levels[i]
            else:
                codes[i] = np.array([levels.index(value) for value in values.tolist()], dtype=np.intp)[places]
        self._count(codes)

    def _count(self, codes: dict[int, Codes]) -> None:
        """Count the rows of each combination; a column's values are numbered as they were met."""
        shape = self.degree + 1
        for size in range(1, self.degree + 1):
            for chosen in combinations(codes, size):
                cells = np.ravel_multi_index([codes[i] for i in chosen], (shape,) * size)
                counts = np.bincount(cells, minlength=shape**size)
                self._counts[chosen] = self._counts.get(chosen, 0) + counts

    def check(self) -> None:
        """Raise ConsentError with the columns."""
        products = {i: len(levels) - 1 for i, levels in self._levels.items() if len(levels) > 1}
        for chosen, counts in self._counts.items():
            if not all(i in products for i in chosen) or sum(products[i] for i in chosen) > self.degree:
                continue
            if counts[counts > 0].min() < LEAST_OF_EITHER:
                raise _refusal(
                    f"columns {', '.join(repr(self.names[i]) for i in chosen)}",
                    f"have a combination of values that fewer than {LEAST_OF_EITHER} rows share",
                    _LEAVE,
                )


@dataclass
class Kinds:
    """Mixtures of all columns, `weights` in all with the bias, single out no 1 to 4 rows.

    If the rows are of no more kinds than that, the sum of the targets over each kind follows from b.
    """

    weights: int
    _counts: dict[bytes, int] | None = field(default_factory=dict)

    def see(self, batch: Matrix) -> None:
        """Take in a batch of raw columns float64[rows, columns]."""
        if self._counts is None:
            return
        kinds, counts = np.unique(batch + 0.0, axis=0, return_counts=True)  # of -0.0 makes 0.0
        for kind, count in zip(kinds[: self.weights + 1], counts.tolist(), strict=False):
            name = kind.tobytes()
            self._counts[name] = self._counts.get(name, 0) + count
        if len(self._counts) > self.weights:
            self._counts = None

    def check(self) -> None:
        """Raise ConsentError."""
        if self._counts and min(self._counts.values()) < LEAST_OF_EITHER:
            problem = (
                f"the rows are of {len(self._counts)} kinds, no more than the {self.weights} weights, and "
                f"fewer than {LEAST_OF_EITHER} rows are of one of them"
            )
            raise _refusal("columns", problem, _LEAVE)


def guards_of(spec: QuadraticSpec) -> tuple[Columns | Combinations | Kinds, ...]:
    """Return what looks at a table's columns, at phi, at the features, at these again, and at z."""
    return (
        Columns(spec.columns),
        Columns(spec.names),
        Combinations(spec.features, spec.degree),
        Kinds(spec.width, {} if spec.mixes else None),
        Columns([target.name for target in spec.targets]),
    )


def _refusal(field: str, problem: str, hint: str) -> ConsentError:
    return ConsentError(f"{field}: {problem}", hint=hint)


_LEAVE = "the sums would tell about those rows; leave this bounty alone, or register more rows"
