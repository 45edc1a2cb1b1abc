"""Naive Bayes in one round: normal columns of numbers, and categories as they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.frames.coding import coded
from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.classes.model import ClassModel, present
from pysonar.statistics.columns import Names, category_column, chosen, outside, told_constant, used
from pysonar.statistics.single.powers import Shape, shape_of
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.cells import Cells
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.powers import Powers
from sonar.families.sums.terms.registry import Term
from sonar.protocol.record import Name

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BayesResult(ClassModel):
    """`variances` float64[classes, names], smoothing added; `shares` by column, float64[classes, levels]."""

    variances: Matrix
    shares: dict[str, Matrix] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What this is."""
        return "Naive Bayes"

    def decision(self, table: Any) -> Matrix:
        """See `ClassModel`. A missing cell says nothing."""
        columns = [column for column in self.schema if column.name != self.target]
        found = np.tile(np.log(self.priors), (1, 1))
        for column, values in zip(columns, coded(table, columns).T, strict=True):
            there = ~np.isnan(values)
            part = np.zeros((len(values), len(self.classes)))
            if isinstance(column, CategoryColumn):
                part[there] = np.log(self.shares[column.name]).T[values[there].astype(int)]
            else:
                place = self.names.index(column.name)
                mean, variance = self.means[:, place], self.variances[:, place]
                part[there] = (
                    -((values[there, None] - mean) ** 2 / variance + np.log(2 * np.pi * variance)) / 2
                )
            found = found + part
        return found


class NaiveBayes(Statistic):
    """Classes of `target`, a column of categories, by `columns` (None: all others), each by itself.

    Equals scikit-learn's GaussianNB for columns of numbers and CategoricalNB for categories, and adds up the
    two. A row counts for each column that it has. `var_smoothing`: the share of the largest variance that is
    added to all; `alpha`: how many rows are added to each level in each class.
    """

    kind: Literal["naive-bayes"] = "naive-bayes"
    target: Name
    columns: Names | None = None
    var_smoothing: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-9
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        category_column(columns, self.target, "target")
        declared = used(
            columns, [*chosen(columns, self.columns, "columns", {"target": self.target}), self.target]
        )
        terms: list[Term] = [
            Outside(name="outside", columns=tuple(column.name for column in declared)),
            Cells(name="classes", by=(self.target,)),
        ]
        for place, column in enumerate(declared[:-1]):
            if isinstance(column, NumberColumn):
                terms.append(Powers(name=f"column {place}", column=column.name, by=self.target))
            else:
                terms.append(Cells(name=f"column {place}", by=(self.target, column.name)))
        return SumsSpec(columns=declared, terms=tuple(terms), rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> BayesResult:
        """See `Statistic`."""
        found = seen[-1].totals
        levels = category_column(spec.columns, self.target, "target").levels
        counts = [round(float(count)) for count in found["classes"]]
        there, warnings = present(levels, counts, self.target)
        if not there:
            raise DataError(f"column {self.target!r}", "no row has a class", hint="wait for more mines")
        shapes: dict[str, list[Shape]] = {}
        shares: dict[str, Matrix] = {}
        for place, column in enumerate(spec.columns[:-1]):
            sums = found[f"column {place}"][there]
            if isinstance(column, NumberColumn):
                shapes[column.name] = [
                    self._shape(column, group, levels[k]) for k, group in zip(there, sums, strict=True)
                ]
            else:
                smooth = np.maximum(np.round(sums), 0.0) + self.alpha
                shares[column.name] = smooth / smooth.sum(axis=1, keepdims=True)
        variances = (
            np.array([[shape.variance for shape in each] for each in shapes.values()])
            .reshape(-1, len(there))
            .T
        )
        smoothing = self.var_smoothing * max(map(_whole_variance, shapes.values()), default=0.0)
        if (variances + smoothing <= 0).any():
            constant = [name for name, each in shapes.items() if min(shape.variance for shape in each) <= 0]
            hint = "leave them out, or take a larger var_smoothing"
            raise DataError("columns", f"{told_constant(constant)} in a class", hint=hint)
        priors = np.array([counts[place] for place in there], dtype=np.float64)
        return BayesResult(
            target=self.target,
            classes=tuple(levels[place] for place in there),
            counts=tuple(counts[place] for place in there),
            priors=priors / priors.sum(),
            names=tuple(shapes),
            means=np.array([[shape.mean for shape in each] for each in shapes.values()])
            .reshape(-1, len(there))
            .T,
            variances=variances + smoothing,
            shares=shares,
            warnings=(*outside(spec, found), *warnings),
            schema=spec.columns,
        )

    def _shape(self, column: NumberColumn, sums: Vector, level: str) -> Shape:
        shape = shape_of(column, sums)
        if not shape.count:
            problem = f"no row of the class {level!r} has it"
            raise DataError(f"column {column.name!r}", problem, hint="leave the column out")
        return shape


def _whole_variance(groups: list[Shape]) -> float:
    """Return a column's variance over all classes."""
    counts = np.array([shape.count for shape in groups], dtype=np.float64)
    means = np.array([shape.mean for shape in groups])
    off = means - np.average(means, weights=counts)
    squares = sum(shape.squares for shape in groups) + float(counts @ off**2)
    return squares / float(counts.sum())
