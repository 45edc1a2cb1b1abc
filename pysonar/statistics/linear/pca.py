"""Principal components in one round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import Names, number_column, outside, told_constant, used
from pysonar.statistics.fitted import design
from pysonar.statistics.linear.gram import Gram, grams_of
from pysonar.statistics.linear.usable import CONSTANT
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Column, NumberColumn, Schema
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside
from sonar.telling.text import count

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PcaResult(Report):
    """Components as scikit-learn's PCA has them, signs too: the largest loading of each is positive.

    `components` [k, columns], `explained_variance` and `explained_variance_ratio` [k], `singular_values` [k],
    `mean` and `deviation` [columns]: what columns are shifted by, and divided by (1 unless standardised).
    """

    names: tuple[str, ...]
    components: Matrix
    explained_variance: Vector
    explained_variance_ratio: Vector
    singular_values: Vector
    noise_variance: float
    mean: Vector
    deviation: Vector
    nobs: int
    column_deviations: Vector
    """Of n - 1, after the division by `deviation`."""
    warnings: tuple[str, ...] = ()
    schema: Schema = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """What this is."""
        return "Principal components"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """How many rows there are."""
        return (
            ("No. Observations", self.nobs),
            ("Standardised", "yes" if (self.deviation != 1).any() else "no"),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The components' names: PC1 and so on."""
        return tuple(f"PC{place + 1}" for place in range(len(self.components)))

    @property
    def tables(self) -> Sequence[Table]:
        """The loadings, then how much each component explains."""
        loadings = tuple(
            (name, tuple(map(float, column)))
            for name, column in zip(self.names, self.components.T, strict=True)
        )
        ratios = self.explained_variance_ratio
        shares = zip(self.explained_variance, ratios, np.cumsum(ratios), strict=True)
        rows = tuple((label, tuple(map(float, row))) for label, row in zip(self.labels, shares, strict=True))
        return Table(self.labels, loadings), Table(("variance", "share", "cumulative"), rows, "component")

    def plot(self, ax: Any = None) -> Any:
        """Draw the columns' correlations with two components on axes, and return them.

        Raises DataError if there is only one component, ClientMissing.
        """
        if len(self.components) < 2:
            raise DataError("components", "there is one; a picture needs two")
        deviation = np.where(self.column_deviations > 0, self.column_deviations, 1.0)
        loadings = self.components[:2].T * np.sqrt(self.explained_variance[:2]) / deviation[:, None]
        return plots.biplot(self.names, loadings, self.explained_variance_ratio, ax=ax)

    def transform(self, table: Any) -> Matrix:
        """Return the components float64[rows, k] of a data frame or a mapping. Raises DataError."""
        x = design(self.schema, self.names, table)
        return np.asarray((x - self.mean) / self.deviation @ self.components.T)


class Pca(Statistic):
    """Principal components of `columns` (None: all columns of numbers), over rows that have all of them.

    `components`: how many; None: all. `standardize`: whether columns are divided by their deviations first.
    """

    kind: Literal["pca"] = "pca"
    columns: Names | None = None
    components: Annotated[int, Field(ge=1)] | None = None
    standardize: bool = False

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        names = self.columns or tuple(c.name for c in columns if isinstance(c, NumberColumn))
        for name in names:
            number_column(columns, name, "columns")
        if not names:
            raise ConfigError("statistic.columns", "there is no column of numbers", hint="declare one")
        if self.components is not None and self.components > len(names):
            problem = f"is {self.components}; there are {len(names)} columns"
            raise ConfigError("statistic.components", problem, hint=f"take at most {len(names)}")
        terms = Outside(name="outside", columns=names), Moments(name="moments", columns=names)
        return SumsSpec(columns=used(columns, names), terms=terms, rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> PcaResult:
        """See `Statistic`."""
        last = seen[-1]
        (gram,) = grams_of(spec, last.totals, last.mines)
        n = round(gram.weight)
        if n < 2:
            raise DataError("rows", f"{count(n, 'row')} with all of the columns; at least 2 are needed")
        covariance = gram.cross / (n - 1)
        deviation = np.sqrt(np.diag(gram.cross) / n) if self.standardize else np.ones(len(gram.labels))
        self._require_variation(gram)
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
        largest = np.argmax(np.abs(vectors), axis=1)
        vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
        k = self.components or len(values)
        kept = min(k, n)
        return PcaResult(
            names=gram.labels,
            components=vectors[:kept].astype(np.float64),
            explained_variance=values[:kept],
            explained_variance_ratio=values[:kept] / values.sum(),
            singular_values=np.sqrt(values[:kept] * (n - 1)),
            noise_variance=float(values[kept:].mean()) if kept < min(n, len(values)) else 0.0,
            mean=gram.mean,
            deviation=deviation,
            nobs=n,
            column_deviations=np.sqrt(np.diag(covariance)) / deviation,
            warnings=outside(spec, last.totals),
            schema=spec.columns,
        )

    def _require_variation(self, gram: Gram) -> None:
        """Refuse constant columns where they would be divided by their deviations. Raises DataError."""
        constant = [name for name, noise in zip(gram.labels, gram.noise, strict=True) if noise > CONSTANT]
        if constant and (self.standardize or len(constant) == len(gram.labels)):
            hint = f"leave {'it' if len(constant) == 1 else 'them'} out"
            raise DataError("columns", told_constant(constant), hint=hint)
