"""Correlations with their t and p in one round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.chances import t_p_values
from pysonar.statistics.columns import Names, number_column, outside, used
from pysonar.statistics.linear.gram import Gram, grams_of
from pysonar.statistics.linear.usable import CONSTANT
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Table
from sonar.data.schema import Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.registry import Term
from sonar.telling.text import count

Matrix = NDArray[np.float64]
MOST_PAIRWISE = 22


@dataclass(frozen=True, eq=False)
class Correlations(Report):
    """Of each two of `names`: `r`, `tvalues` and `pvalues` of r = 0, and `nobs` rows, all [columns, columns].

    NaN where a column is constant, and on the diagonal of `tvalues` and `pvalues`. `covariance`: of n - 1.
    """

    names: tuple[str, ...]
    r: Matrix
    tvalues: Matrix
    pvalues: Matrix
    nobs: Matrix
    covariance: Matrix
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What this is."""
        return "Correlations"

    def plot(self, ax: Any = None) -> Any:
        """Draw a heat map on matplotlib's axes, and return them. Raises ClientMissing."""
        return plots.heat_map(self.names, self.r, title=self.title, ax=ax)

    @property
    def tables(self) -> Sequence[Table]:
        """The matrix, then the pairs by themselves."""
        rows = tuple((name, tuple(map(float, row))) for name, row in zip(self.names, self.r, strict=True))
        pairs = tuple(
            (
                f"{self.names[i]}, {self.names[j]}",
                (int(self.nobs[i, j]), *(float(each[i, j]) for each in (self.r, self.tvalues, self.pvalues))),
            )
            for i, j in combinations(range(len(self.names)), 2)
        )
        return Table(self.names, rows), Table(("rows", "r", "t", "P>|t|"), pairs, "pair")


class Correlation(Statistic):
    """Pearson's correlations of `columns` (None: all columns of numbers), as pandas' `corr` has them.

    `rows`: those that are "complete" in all of the columns, or for each pair ("pairwise") those complete in
    the two. Of pairs, a mine refuses where only 1 to 4 rows make the difference.
    """

    kind: Literal["correlation"] = "correlation"
    columns: Names | None = None
    rows: Literal["complete", "pairwise"] = "complete"

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        names = self.columns or tuple(c.name for c in columns if isinstance(c, NumberColumn))
        for name in names:
            number_column(columns, name, "columns")
        if len(set(names)) < max(len(names), 2):
            hint = "name at least two columns of numbers, each once"
            raise ConfigError("statistic.columns", f"{len(names)} are no pairs of columns", hint=hint)
        declared = used(columns, names)
        terms: list[Term] = [Outside(name="outside", columns=names)]
        if self.rows == "complete" or not any(column.missing for column in declared):
            terms.append(Moments(name="moments", columns=names))
        elif len(names) > MOST_PAIRWISE:
            problem = f"has {len(names)} columns; {MOST_PAIRWISE} at most can be taken in pairs"
            raise ConfigError("statistic.columns", problem, hint='name fewer, or say rows = "complete"')
        else:
            terms += [
                Moments(name=f"pair {i} {j}", columns=(names[i], names[j])) for i, j in _pairs(len(names))
            ]
        return SumsSpec(columns=declared, terms=tuple(terms), rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Correlations:
        """See `Statistic`."""
        last, d = seen[-1], len(spec.columns)
        cross, nobs = np.full((d, d), np.nan), np.zeros((d, d))
        r, constant = np.eye(d), np.zeros(d, dtype=bool)
        for places, gram in _grams(spec, last):
            if self.rows == "complete" and gram.weight < 2:
                what = f"{count(round(gram.weight), 'row')} with all of the columns; at least 2 are needed"
                raise DataError("rows", what, hint='wait for more mines, or say rows = "pairwise"')
            constant[places] |= (gram.noise > CONSTANT) | (np.diag(gram.cross) <= 0)
            where = np.ix_(places, places)
            nobs[where], size = gram.weight, max(gram.weight - 1, 1.0)
            cross[where] = gram.cross / size
            with np.errstate(divide="ignore", invalid="ignore"):
                deviation = np.sqrt(np.diag(gram.cross))
                r[where] = np.clip(gram.cross / np.outer(deviation, deviation), -1, 1)
        r[constant], r[:, constant] = np.nan, np.nan
        r[~np.eye(d, dtype=bool) & (nobs < 2)] = np.nan
        np.fill_diagonal(r, np.where(constant, np.nan, 1.0))
        tvalues, pvalues = _tests(r, nobs)
        warnings = [
            f"Column {spec.columns[i].name!r} is constant; its correlation coefficients are not defined."
            for i in np.flatnonzero(constant).tolist()
        ]
        names = tuple(column.name for column in spec.columns)
        told = (*outside(spec, last.totals), *warnings)
        return Correlations(names, r, tvalues, pvalues, nobs, cross, told)


def _pairs(d: int) -> Iterator[tuple[int, int]]:
    return combinations(range(d), 2)


def _grams(spec: SumsSpec, seen: Seen) -> Iterator[tuple[list[int], Gram]]:
    """Yield the sums of all columns at once, or of pairs, with the columns' places."""
    if "moments" in spec.shapes:
        yield list(range(len(spec.columns))), grams_of(spec, seen.totals, seen.mines)[0]
        return
    for i, j in _pairs(len(spec.columns)):
        yield [i, j], grams_of(spec, seen.totals, seen.mines, f"pair {i} {j}")[0]


def _tests(r: Matrix, nobs: Matrix) -> tuple[Matrix, Matrix]:
    """Return t and p of each r; NaN for fewer than three rows and on the diagonal."""
    df = np.where(nobs > 2, nobs - 2, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        tvalues = r * np.sqrt(df / ((1 - r) * (1 + r)))
    np.fill_diagonal(tvalues, np.nan)
    return tvalues, t_p_values(tvalues, df)
