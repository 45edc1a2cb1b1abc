"""From a table to (A, b), once per bounty: every check that protects its rows, in one pass over batches.

Neither the table nor phi is ever whole in memory. Batches are cut to one length first, so that the sums,
whose last bits depend on the order of additions, do not depend on how the data arrive.

A mine protects single rows by refusing data whose sums would reveal a few of them: the scientist sees the
sums of A and b over a cohort, and some bits about each mine's. Each check sees the rows once, batch by batch,
and decides at the end. All these refusals are a ConsentError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sonar.data.batches import even
from sonar.errors import BoundsError, ConsentError, DataError
from sonar.families.quadratic.answer import LocalMap, Moments, local_map, moments
from sonar.families.quadratic.losses.base import check_clipped, mapped
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.leaves import Leaves
from sonar.families.quadratic.maps.pairs import Pairs
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.affine import check_bounds
from sonar.paillier.slots import SlotPlan

Matrix = NDArray[np.float64]

_CHUNK_ROWS, _CHUNK_VALUES = 65_536, 1 << 23
_FAR = 2.0
"""How many deviations a column's mean may be from the bounty's without casting doubt on its unit."""


def prepare(spec: QuadraticSpec, plan: SlotPlan, batches: Iterable[Matrix]) -> LocalMap:
    """Return what a mine contributes to a bounty, from batches float64[rows, spec.columns], in one pass.

    Raises DataError for malformed data; ConsentError where sums would tell about single rows, or must not be
    made without noise; BoundsError, which is one, for targets, sums or local steps beyond what the bounty
    declares.
    """
    if spec.noise is not None:
        raise ConsentError("noise: these sums are released with noise alone", hint="use `sums`, `released`")
    seen = _Seen(spec)
    for batch in even(batches, chunk_rows(spec)):
        seen.take(batch)
    seen.check()
    assert seen.sums is not None
    result = local_map(spec, seen.sums, plan.data_frac)
    check_sizes(spec, plan, result, seen.unlike())
    check_bounds(plan, result.a_int, result.b_int)
    return result


def check_sizes(spec: QuadraticSpec, plan: SlotPlan, result: LocalMap, unlike: str = "") -> None:
    """Check the sums against the bounty's bounds, by the names of columns. Raises BoundsError.

    Says which column and which limit, and nothing of the data's own values.
    """
    limits, hint = plan.bounds, f"check that all columns are in the bounty's units. {unlike}".rstrip()
    sums = abs(result.a_int).sum(axis=1)
    if sums.max() > limits.a_row_l1_max:
        name = spec.weight_names[int(sums.argmax())].removeprefix(f"{spec.targets[0].name}: ")
        what = "its products with all columns are larger on average"
        raise BoundsError(f"column {name!r}: {what} than the bounty allows (a_row_l1_max)", hint=hint)
    largest = abs(result.b_int).max(axis=0)
    if largest.max() > limits.b_max:
        target = spec.targets[int(largest.argmax())].name
        what = "its products with the features are larger on average"
        raise BoundsError(f"column {target!r}: {what} than the bounty allows (b_max)", hint=hint)


class _Seen:
    """What has been seen of a table so far."""

    def __init__(self, spec: QuadraticSpec) -> None:
        self.spec = spec
        self.sums: Moments | None = None
        self.rows = 0
        self._clipped = np.zeros(spec.outputs, dtype=np.int64)
        self._totals = np.zeros(len(spec.features))
        self._guards = guards_of(spec)
        self._of_leaves = [OfLeaves.of(stage, spec) for stage in spec.stages if isinstance(stage, Leaves)]

    def take(self, batch: Matrix) -> None:
        """Add a batch to all sums and counts."""
        spec = self.spec
        phi, z = mapped_rows(spec, batch)
        x = batch[:, : len(spec.features)]
        for i, target in enumerate(spec.targets):
            self._clipped[i] += np.count_nonzero(np.abs(z[:, i]) >= target.clip)
        found = moments(phi, z)
        self.sums = found if self.sums is None else self.sums + found
        self.rows += len(batch)
        self._totals += x.sum(axis=0)
        for guard, rows in zip(self._guards, (batch, phi, x, x, z), strict=True):
            guard.see(rows)
        for leaves in self._of_leaves:
            leaves.see(x)

    def check(self) -> None:
        """Check all that is known at the end of the table. Raises ConsentError."""
        check_rows(self.rows, self.spec)
        for target, clipped in zip(self.spec.targets, self._clipped.tolist(), strict=True):
            check_clipped(target, clipped, self.rows)
        guards = (*self._guards, *self._of_leaves)
        check_faults(fault for guard in guards for fault in guard.faults())

    def unlike(self) -> str:
        """Name the columns that are least like those which the bounty's scientist took its constants from.

        Says what is public, and nothing of the data's own values.
        """
        spec, columns = self.spec, len(self.spec.features)
        first = next((stage for stage in spec.stages if not stage.keeps), None)
        if not isinstance(first, Standard):
            return ""
        means, deviations = (each[:columns] for each in first.constants[:2])
        away = np.abs(self._totals / self.rows - means) / deviations
        farthest = sorted(range(len(away)), key=lambda i: -away[i])[:3]
        named = [f"{spec.features[i]!r} ({means[i]:.4g})" for i in farthest if away[i] > _FAR]
        return f"Farthest from their means in the bounty are {', '.join(named)}." if named else ""


def columns_of(spec: QuadraticSpec, batch: Matrix) -> tuple[Matrix, Matrix]:
    """Return the features and the targets of rows float64[n, spec.columns]. Raises DataError."""
    if batch.ndim != 2 or batch.shape[1] != len(spec.columns):
        raise DataError("data", f"shape {batch.shape}; the bounty takes {len(spec.columns)} columns")
    return batch[:, : len(spec.features)], batch[:, len(spec.features) :]


def mapped_rows(spec: QuadraticSpec, batch: Matrix) -> tuple[Matrix, Matrix]:
    """Return phi float64[n, width] and z float64[n, outputs] of rows float64[n, spec.columns].

    Raises DataError.
    """
    x, y = columns_of(spec, batch)
    phi = spec.transform(x)
    y = spec.learned(y)
    for target, column in zip(spec.targets, y.T, strict=True):
        LOSSES[spec.loss].check(target.name, column)
    return phi, np.column_stack([mapped(*pair) for pair in zip(spec.targets, y.T, strict=True)])


def chunk_rows(spec: QuadraticSpec) -> int:
    """Return the number of rows for which no stage of the feature map puts out more than 64 MiB."""
    return min(_CHUNK_ROWS, _CHUNK_VALUES // (spec.widest + 1))


Codes = NDArray[np.intp]
Fault = tuple[str, str]
"""Which column or columns would single rows out, and why."""
_SHOWN = 20

LEAST_OF_EITHER = 5
FIRST_ROWS = 9
"""The least number of rows in the first batch, if there are more: see `Columns`."""


def check_rows(rows: int, spec: QuadraticSpec) -> None:
    """Check that the sums are over enough rows to hide one of them. Raises ConsentError."""
    asked = f"{spec.weights} weights of {len(spec.features)} columns"
    if rows < spec.least_rows:
        problem = f"the data set has {rows}, but {asked} need at least {spec.least_rows} to hide single rows"
        raise _refusal("rows", problem, "register more rows, or join a bounty with fewer weights")
    if rows < spec.rows_min:
        problem = f"the data set has {rows}, but the bounty needs at least {spec.rows_min}"
        raise _refusal("rows", problem, "register more rows")


@dataclass
class Columns:
    """Checks that no column has one value in all but 1 to 4 of its rows.

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

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with each column."""
        for count, name in zip(np.atleast_1d(self._others).tolist(), self.names, strict=True):
            if 0 < count < LEAST_OF_EITHER:
                rows = "only 1 row differs" if count == 1 else f"only {count} rows differ"
                problem = (
                    f"{rows} from the value of all others; either none must differ or at least "
                    f"{LEAST_OF_EITHER}"
                )
                yield f"column {name!r}", problem


@dataclass
class Combinations:
    """Checks that no combination of values that products of `degree` columns single out has 1 to 4 rows.

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

    def faults(self) -> Iterator[Fault]:
        """Yield the columns of each combination that singles rows out."""
        products = {i: len(levels) - 1 for i, levels in self._levels.items() if len(levels) > 1}
        for chosen, counts in self._counts.items():
            if not all(i in products for i in chosen) or sum(products[i] for i in chosen) > self.degree:
                continue
            if counts[counts > 0].min() < LEAST_OF_EITHER:
                yield (
                    f"columns {', '.join(repr(self.names[i]) for i in chosen)}",
                    f"have a combination of values that fewer than {LEAST_OF_EITHER} rows share",
                )


@dataclass
class Kinds:
    """Checks that mixtures of all columns, `weights` with the bias, do not single out 1 to 4 rows.

    If there are no more distinct rows than that, the sum of the targets over each follows from b.
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

    def faults(self) -> Iterator[Fault]:
        """Yield that the rows are too few kinds."""
        if self._counts and min(self._counts.values()) < LEAST_OF_EITHER:
            problem = (
                f"there are only {len(self._counts)} distinct rows for {self.weights} weights, and one of "
                f"them occurs fewer than {LEAST_OF_EITHER} times"
            )
            yield "columns", problem


@dataclass
class OfLeaves:
    """Checks that neither two leaves, nor all of them where rows are of few kinds, single out 1 to 4 rows."""

    leaves: Leaves
    pairs: Pairs
    kinds: Kinds

    @classmethod
    def of(cls, leaves: Leaves, spec: QuadraticSpec) -> OfLeaves:
        """Return it for the first stage of a map."""
        names = leaves.names(spec.features)[len(spec.features) :]
        return cls(leaves, Pairs(names, LEAST_OF_EITHER), Kinds(len(names) + 1))

    def see(self, x: Matrix) -> None:
        """Take in a batch of raw columns float64[rows, columns]."""
        marks = self.leaves.marks(x)
        self.pairs.see(marks)
        self.kinds.see(np.packbits(marks, axis=1).astype(np.float64))

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with two leaves, or all."""
        yield from self.pairs.faults()
        yield from self.kinds.faults()


def guards_of(spec: QuadraticSpec) -> tuple[Columns | Combinations | Kinds, ...]:
    """Return the guards of a table's columns, of phi, of the features (two), and of z."""
    return (
        Columns(spec.columns),
        Columns(spec.names),
        Combinations(spec.features, spec.degree),
        Kinds(spec.width, {} if spec.mixes else None),
        Columns(_classes(spec) or [target.name for target in spec.targets]),
    )


def _classes(spec: QuadraticSpec) -> list[str]:
    """Return what the columns of z are called to people, where they are classes of one column."""
    return [f"{spec.labels.name} = {target.name}" for target in spec.targets] if spec.labels else []


def check_faults(faults: Iterable[Fault]) -> None:
    """Refuse once for all that is wrong with a table, naming each column once. Raises ConsentError."""
    told: dict[str, str] = {}
    for name, problem in faults:
        told.setdefault(name, problem)
    each = list(told.items())
    if not each:
        return
    if len(each) == 1:
        raise _refusal(*each[0], _LEAVE)
    shown = "; ".join(f"{field.partition(' ')[2] or field}: {problem}" for field, problem in each[:_SHOWN])
    more = f"; and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
    raise _refusal("columns", f"{len(each)} would single rows out: {shown}{more}", _LEAVE)


def _refusal(field: str, problem: str, hint: str) -> ConsentError:
    return ConsentError(f"{field}: {problem}", hint=hint)


_LEAVE = "the sums would reveal those rows; do not join this bounty, or register more rows"
