"""Linear and quadratic discriminant analysis in one round: covariances of n, as of scikit-learn 1.9 on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.classes.model import ClassModel, present
from pysonar.statistics.columns import Names, category_column, chosen, outside, used
from pysonar.statistics.fitted import design
from pysonar.statistics.linear.gram import Gram, grams_of, impossible
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside
from sonar.protocol.record import Name
from sonar.telling.text import count

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
RANK = 1e-8
"""A direction with less of the variance within classes, as a share of its columns', counts for nothing.

The square of scikit-learn's `tol`.
"""
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class LdaResult(ClassModel):
    """The score of a class is x @ `coef` + `intercept`, float64[classes, names] and [classes]."""

    coef: Matrix
    intercept: Vector

    @property
    def title(self) -> str:
        """What this is."""
        return "Linear discriminant analysis"

    def decision(self, table: Any) -> Matrix:
        """See `ClassModel`."""
        return np.asarray(design(self.schema, self.names, table) @ self.coef.T + self.intercept)


@dataclass(frozen=True, eq=False)
class QdaResult(ClassModel):
    """`covariances` float64[classes, names, names], of n, their `inverses`, and logs of determinants."""

    covariances: Matrix
    inverses: Matrix = field(repr=False)
    log_determinants: Vector

    @property
    def title(self) -> str:
        """What this is."""
        return "Quadratic discriminant analysis"

    def decision(self, table: Any) -> Matrix:
        """See `ClassModel`."""
        x = design(self.schema, self.names, table)
        found = []
        for place in range(len(self.classes)):
            off = x - self.means[place]
            squares = np.einsum("ij,jk,ik->i", off, self.inverses[place], off)
            found.append(np.log(self.priors[place]) - (squares + self.log_determinants[place]) / 2)
        return np.column_stack(found)


class Discriminant(Statistic):
    """A discriminant of `target`, a column of categories, on `columns` (None: all others).

    Rows count that have all of them. `priors`: a probability for each class of the vocabulary; None: the
    shares of the rows.
    """

    target: Name
    columns: Names | None = None
    priors: Annotated[tuple[Share, ...], Field(strict=False, min_length=2)] | None = None

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        levels = category_column(columns, self.target, "target").levels
        names = chosen(columns, self.columns, "columns", {"target": self.target})
        if self.priors is not None and len(self.priors) != len(levels):
            problem = f"has {len(self.priors)} numbers; {self.target!r} has {len(levels)} classes"
            raise ConfigError("statistic.priors", problem, hint="give one for each level, in their order")
        if self.priors is not None and abs(sum(self.priors) - 1) > 1e-6:
            raise ConfigError("statistic.priors", f"adds up to {sum(self.priors):.6g}", hint="make it 1")
        declared = used(columns, [*names, self.target])
        terms = self.moments(names), Outside(name="outside", columns=tuple(c.name for c in declared))
        return SumsSpec(columns=declared, terms=terms, rows_min=rows_min, rows_max=rows_max)

    def moments(self, names: tuple[str, ...]) -> Moments:
        """Return the term that the discriminant is made of."""
        raise NotImplementedError

    def shared(self, spec: SumsSpec, seen: Seen, counts: Sequence[int]) -> tuple[list[int], dict[str, Any]]:
        """Return the places of classes that rows have, and fields of a result. Raises DataError."""
        levels = category_column(spec.columns, self.target, "target").levels
        there, warnings = present(levels, counts, self.target)
        if len(there) < 2:
            names = ", ".join(repr(levels[place]) for place in there) or "none"
            problem = f"has {len(there)} class among the complete rows ({names}); at least 2 are needed"
            raise DataError(f"column {self.target!r}", problem, hint="wait for more mines")
        priors = np.array([(self.priors or counts)[place] for place in there], dtype=np.float64)
        return there, {
            "target": self.target,
            "classes": tuple(levels[place] for place in there),
            "counts": tuple(counts[place] for place in there),
            "priors": priors / priors.sum(),
            "warnings": [*outside(spec, seen.totals), *warnings],
            "schema": spec.columns,
        }


class Lda(Discriminant):
    """Classes of one covariance: equals scikit-learn's LinearDiscriminantAnalysis."""

    kind: Literal["lda"] = "lda"

    def moments(self, names: tuple[str, ...]) -> Moments:
        """See `Discriminant`: the products with the classes' indicators are the classes' sums."""
        return Moments(name="moments", columns=(*names, self.target))

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> LdaResult:
        """See `Statistic`."""
        (gram,) = grams_of(spec, seen[-1].totals, seen[-1].mines)
        d = len(gram.labels) - len(category_column(spec.columns, self.target, "target").levels) + 1
        rest = gram.weight * gram.mean[d:]
        counts = [round(gram.weight - float(rest.sum())), *(round(float(count)) for count in rest)]
        there, fields = self.shared(spec, seen[-1], counts)
        sums = np.column_stack([-gram.cross[:d, d:].sum(axis=1), gram.cross[:d, d:]])[:, there]
        number = np.array([counts[place] for place in there], dtype=np.float64)
        means = gram.mean[:d] + (sums / number).T
        within = gram.cross[:d, :d] - (sums / number) @ sums.T
        if min(counts) < 0 or (np.diag(within) < -1e-6 * np.diag(gram.cross)[:d]).any():
            raise impossible()
        within[np.diag_indices(d)] = np.maximum(np.diag(within), 0.0)
        n = round(gram.weight)
        if n <= len(there):
            raise DataError("rows", f"{n} are too few for {len(there)} classes", hint="wait for more mines")
        inverse = _inverse(within / n, fields["warnings"])
        centre = fields["priors"] @ means
        coef = (means - centre) @ inverse
        intercept = np.log(fields["priors"]) - np.einsum("ij,ij->i", coef, means + centre) / 2
        fields["warnings"] = tuple(fields["warnings"])
        return LdaResult(**fields, names=gram.labels[:d], means=means, coef=coef, intercept=intercept)


class Qda(Discriminant):
    """A covariance for each class: equals scikit-learn's QuadraticDiscriminantAnalysis."""

    kind: Literal["qda"] = "qda"

    def moments(self, names: tuple[str, ...]) -> Moments:
        """See `Discriminant`."""
        return Moments(name="moments", columns=names, by=self.target)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> QdaResult:
        """See `Statistic`."""
        grams = grams_of(spec, seen[-1].totals, seen[-1].mines)
        there, fields = self.shared(spec, seen[-1], [round(gram.weight) for gram in grams])
        found = [grams[place] for place in there]
        for name, gram in zip(fields["classes"], found, strict=True):
            _require_rank(name, gram)
        covariances = np.stack([gram.cross / gram.weight for gram in found])
        scale = np.sqrt(np.einsum("kii->ki", covariances))
        correlations = covariances / (scale[:, :, None] * scale[:, None, :])
        inverses = np.linalg.inv(correlations) / (scale[:, :, None] * scale[:, None, :])
        fields["warnings"] = tuple(fields["warnings"])
        return QdaResult(
            **fields,
            names=found[0].labels,
            means=np.stack([gram.mean for gram in found]),
            covariances=covariances,
            inverses=inverses,
            log_determinants=np.linalg.slogdet(correlations)[1] + 2 * np.log(scale).sum(axis=1),
        )


def _inverse(covariance: Matrix, warnings: list[str]) -> Matrix:
    """Return the inverse in the directions in which columns vary within classes."""
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    kept = values > RANK
    if not kept.all():
        warnings.append("Variables are collinear; directions without variance within classes are left out.")
    half = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
    return np.asarray(half @ half.T)


def _require_rank(name: str, gram: Gram) -> None:
    """Refuse a class whose covariance has no inverse. Raises DataError, which names class and columns."""
    n, d = round(gram.weight), len(gram.labels)
    what = f"class {name!r}"
    hint = "take fewer columns, lda, or wait for more mines"
    if n <= d:
        problem = f"has {count(n, 'row')}; a covariance of {count(d, 'column')} needs at least {d + 1}"
        raise DataError(what, problem, hint=hint)
    flat = [label for label, noise in zip(gram.labels, gram.noise, strict=True) if noise > 1e-2]
    if flat:
        raise DataError(what, f"column {', '.join(map(repr, flat))} is constant in it", hint=hint)
    scale = np.sqrt(np.diag(gram.cross))
    if float(np.linalg.eigvalsh(gram.cross / np.outer(scale, scale))[0]) < 1e-12:
        raise DataError(
            what, "the covariance matrix is not full rank: columns are collinear in it", hint=hint
        )
