"""A table of two columns of categories in one round, with Pearson's test that they have nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, nan, sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.chances import chi2_p_value, normal_quantile
from pysonar.statistics.columns import category_column, used
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.cells import Cells
from sonar.protocol.record import Name

Matrix = NDArray[np.float64]
LEAST_EXPECTED = 5
"""The usual rule for when chi-squared is near enough."""


@dataclass(frozen=True, eq=False)
class CrosstabResult(Report):
    """`counts` and `expected` float64[rows, columns], of levels that occur; chi2 without correction.

    `cramers_v` is 0 for nothing to do and 1 for one level telling the other. Of two by two levels:
    `odds_ratio` with the ends of its interval; NaN elsewhere.
    """

    rows: str
    columns: str
    row_levels: tuple[str, ...]
    column_levels: tuple[str, ...]
    counts: Matrix
    expected: Matrix
    chi2: float
    df: int
    pvalue: float
    cramers_v: float
    odds_ratio: float
    odds_low: float
    odds_high: float
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What this is."""
        return f"{self.rows} by {self.columns}"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """The test, and the odds ratio of two by two levels."""
        found: list[tuple[str, Cell]] = [
            ("No. Observations", int(self.counts.sum())),
            ("Chi-squared", self.chi2),
            ("Df", self.df),
            ("P>chi2", f"{self.pvalue:.3g}"),
            ("Cramér's V", self.cramers_v),
        ]
        if not np.isnan(self.odds_ratio):
            found.append(
                ("Odds ratio", f"{self.odds_ratio:.4g} ({self.odds_low:.4g} to {self.odds_high:.4g})")
            )
        return found

    @property
    def tables(self) -> Sequence[Table]:
        """The counts with their totals."""
        body = [
            (name, (*(int(count) for count in row), int(row.sum())))
            for name, row in zip(self.row_levels, self.counts, strict=True)
        ]
        totals = self.counts.sum(axis=0)
        body.append(("(all)", (*(int(count) for count in totals), int(totals.sum()))))
        return (Table((*self.column_levels, "(all)"), tuple(body), self.rows),)


class Crosstab(Statistic):
    """How many rows have each level of `rows` with each of `columns`, and whether it is chance.

    Rows count that have both. The interval of an odds ratio is of 1 - `alpha`.
    """

    naming: ClassVar[tuple[str, ...]] = ("rows", "columns")

    kind: Literal["crosstab"] = "crosstab"
    rows: Name
    columns: Name
    alpha: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        category_column(columns, self.rows, "rows")
        category_column(columns, self.columns, "columns")
        if self.rows == self.columns:
            raise ConfigError("statistic.columns", f"is {self.rows!r}, as `rows` is", hint="name two columns")
        names = (self.rows, self.columns)
        term = Cells(name="cells", by=names)
        return SumsSpec(columns=used(columns, names), terms=(term,), rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> CrosstabResult:
        """See `Statistic`."""
        counts = np.maximum(np.round(seen[-1].totals["cells"]), 0.0)
        rows = category_column(spec.columns, self.rows, "rows").levels
        columns = category_column(spec.columns, self.columns, "columns").levels
        down, across = np.flatnonzero(counts.sum(axis=1)), np.flatnonzero(counts.sum(axis=0))
        if len(down) < 2 or len(across) < 2:
            problem = (
                f"{len(down)} level of {self.rows!r} and {len(across)} of {self.columns!r} occur together"
            )
            raise DataError("rows", problem, hint="at least two of each are needed; wait for more mines")
        counts = counts[np.ix_(down, across)]
        total = counts.sum()
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
        chi2 = float(np.sum((counts - expected) ** 2 / expected))
        df = (len(down) - 1) * (len(across) - 1)
        ratio, low, high = self._odds(counts)
        return CrosstabResult(
            rows=self.rows,
            columns=self.columns,
            row_levels=tuple(rows[place] for place in down),
            column_levels=tuple(columns[place] for place in across),
            counts=counts,
            expected=expected,
            chi2=chi2,
            df=df,
            pvalue=chi2_p_value(chi2, df),
            cramers_v=sqrt(chi2 / float(total) / (min(counts.shape) - 1)),
            odds_ratio=ratio,
            odds_low=low,
            odds_high=high,
            warnings=_few(expected),
        )

    def _odds(self, counts: Matrix) -> tuple[float, float, float]:
        """Return the odds ratio of two by two counts with its interval, by its logarithm's standard error."""
        if counts.shape != (2, 2) or not counts.all():
            return nan, nan, nan
        (a, b), (c, d) = counts.tolist()
        ratio = a * d / (b * c)
        half = normal_quantile(1 - self.alpha / 2) * sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        return ratio, exp(log(ratio) - half), exp(log(ratio) + half)


def _few(expected: Matrix) -> tuple[str, ...]:
    share = float((expected < LEAST_EXPECTED).mean())
    if not share:
        return ()
    return (f"{share:.0%} of the cells expect fewer than {LEAST_EXPECTED} rows; the p-value is rough.",)
