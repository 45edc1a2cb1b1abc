"""Description of columns in one round: counts, means, deviations, quantiles, shapes; by group if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Annotated, Literal

from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import Names, category_column, chosen, outside, used
from pysonar.statistics.single.bins import edges_of, ends_of, quantile_of
from pysonar.statistics.single.description import Description, LevelCounts, NumberSummary
from pysonar.statistics.single.powers import noise_of, shape_of
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.cells import Cells
from sonar.families.sums.terms.histogram import Histogram
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.powers import Powers
from sonar.families.sums.terms.registry import Term
from sonar.paillier.slots import MAX_VALUES
from sonar.protocol.record import Name

_ORDER: Literal[4] = 4
LEAST_BINS, MOST_BINS = 4, 64
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Describe(Statistic):
    """What pandas' `describe` says of `columns` (None: all), and skewness and kurtosis; by levels of `by`.

    Each column counts the rows that have it. Quantiles come from a histogram of `bins` bins of equal width
    between a column's bounds, and so do the least and the largest value: single values are never seen.
    Without `bins`, there are as many as one round has room for, at most 64.
    """

    kind: Literal["describe"] = "describe"
    columns: Names | None = None
    by: Name | None = None
    bins: Annotated[int, Field(ge=2, le=1024)] | None = None
    quantiles: Annotated[tuple[Share, ...], Field(strict=False, max_length=99)] = (0.25, 0.5, 0.75)

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        own = [] if self.by is None else [self.by]
        names = chosen(columns, self.columns, "columns", {"by": self.by})
        groups = 1 if self.by is None else len(category_column(columns, self.by, "by").levels)
        declared = used(columns, [*names, *own])
        numbers = tuple(c.name for c in declared if isinstance(c, NumberColumn) and c.name in names)
        categories = [c for c in declared if isinstance(c, CategoryColumn) and c.name in names]
        terms: list[Term] = [Outside(name="outside", columns=tuple(column.name for column in declared))]
        by = () if self.by is None else (self.by,)
        terms.append(Cells(name="rows", by=by))
        terms += [Cells(name=f"levels {i}", by=(*by, c.name)) for i, c in enumerate(categories)]
        if numbers:
            taken = sum(groups * len(c.levels) for c in categories) + groups + 3 * len(declared) + 1
            bins = self._bins(groups * len(numbers), taken)
            for place, name in enumerate(numbers):
                terms.append(Powers(name=f"powers {place}", column=name, order=_ORDER, by=self.by))
                terms.append(Histogram(name=f"histogram {place}", column=name, bins=bins, by=self.by))
        return SumsSpec(columns=declared, terms=tuple(terms), rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Description:
        """See `Statistic`."""
        found = seen[-1].totals
        levels: tuple[str, ...] = ("",)
        if self.by is not None:
            by = spec.by_name[self.by]
            assert isinstance(by, CategoryColumn)
            levels = by.levels
        rows = found["rows"].reshape(len(levels))
        numbers, counts = [], []
        for group, level in enumerate(levels):
            in_group = round(float(rows[group]))
            numbers += self._numbers(spec, seen[-1], group, level, in_group)
            counts += _levels(spec, seen[-1], group if self.by else None, level, in_group)
        return Description(
            by=self.by,
            rows=found.rows,
            numbers=tuple(numbers),
            levels=tuple(counts),
            warnings=(*outside(spec, found), *_hidden(numbers)),
        )

    def _bins(self, columns: int, taken: int) -> int:
        """Return how many bins there are for each of `columns`. Raises ConfigError if too few have room."""
        room = (MAX_VALUES - taken) // columns - 1 - _ORDER**2
        if room < (self.bins or LEAST_BINS):
            problem = f"{columns} columns and groups leave room for {max(room, 0)} bins"
            hint = f"take at least {LEAST_BINS}: name fewer columns, or a `by` of fewer levels"
            raise ConfigError("statistic.bins" if self.bins else "statistic.columns", problem, hint=hint)
        return self.bins or min(room, MOST_BINS)

    def _numbers(self, spec: SumsSpec, seen: Seen, group: int, level: str, rows: int) -> list[NumberSummary]:
        """Return the columns of numbers, of one group."""
        names = [term.column for term in spec.terms if isinstance(term, Histogram)]
        result = []
        for place, name in enumerate(names):
            column = spec.by_name[name]
            assert isinstance(column, NumberColumn)
            counts = seen.totals[f"histogram {place}"][group]
            edges = edges_of(column, len(counts))
            shape = shape_of(column, seen.totals[f"powers {place}"][group], noise_of(seen))
            least, most = ends_of(edges, counts)
            result.append(
                NumberSummary(
                    column=name,
                    group=level,
                    count=shape.count,
                    missing=rows - shape.count,
                    mean=shape.mean,
                    std=shape.std,
                    min=least,
                    max=most,
                    quantiles={share: quantile_of(edges, counts, share) for share in self.quantiles},
                    bin_width=float(edges[1] - edges[0]),
                    skewness=shape.skewness,
                    kurtosis=shape.kurtosis,
                    edges=edges,
                    counts=counts,
                    unit=column.unit,
                )
            )
        return result


def _hidden(numbers: list[NumberSummary]) -> list[str]:
    """Return what is said of columns whose skewness and kurtosis are rounding."""
    names = [one.column for one in numbers if one.count > 3 and one.std > 0 and isnan(one.kurtosis)]
    return [
        f"The bounds of column {name!r} are so wide that rounding hides its skewness and kurtosis."
        for name in dict.fromkeys(names)
    ]


def _levels(spec: SumsSpec, seen: Seen, group: int | None, name: str, rows: int) -> list[LevelCounts]:
    """Return the counts of the columns of categories, of one group; of all rows for None."""
    result = []
    for term in spec.terms:
        if not isinstance(term, Cells) or term.name == "rows":
            continue
        column = spec.by_name[term.by[-1]]
        assert isinstance(column, CategoryColumn)
        counts = seen.totals[term.name] if group is None else seen.totals[term.name][group]
        found = dict(zip(column.levels, (round(float(count)) for count in counts), strict=True))
        result.append(LevelCounts(column.name, name, rows - sum(found.values()), found))
    return result
