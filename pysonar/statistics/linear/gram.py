"""Means and centred products of a design, out of opened sums, in the columns' own units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import NumberColumn
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.precise import WORD_BITS
from sonar.families.sums.terms.steps.residual_moments import ResidualMoments
from sonar.families.sums.totals import Totals

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_UNIT_BITS = 96
FLOAT_NOISE = 2.0**-50
"""What rounding to floats may add to a share of a variance."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Of columns by `labels`: `mean` [d], and `cross` [d, d] = sum w (x - mean)(x - mean)^T.

    `weight`: the sum of all w, as shares of the weight column's upper bound; without one the number of rows.
    `noise`: how much of each column's own sum of squares, [d], may be rounding.
    """

    labels: tuple[str, ...]
    mean: Vector
    cross: Matrix
    weight: float
    noise: Vector

    def only(self, places: list[int]) -> Gram:
        """Return that of some columns."""
        labels = tuple(self.labels[place] for place in places)
        return Gram(
            labels, self.mean[places], self.cross[np.ix_(places, places)], self.weight, self.noise[places]
        )

    def __add__(self, other: Gram) -> Gram:
        """Return the sum of the products within two groups, and the mean of both."""
        if not self.weight or not other.weight:
            return self if self.weight else other
        weight = self.weight + other.weight
        mean = (self.weight * self.mean + other.weight * other.mean) / weight
        noise = np.maximum(self.noise, other.noise)
        return Gram(self.labels, mean, self.cross + other.cross, weight, noise)


def grams_of(spec: SumsSpec, found: Totals, mines: int, term: str = "moments") -> list[Gram]:
    """Return a Gram for each group of a term of moments. Raises DataError for sums that no rows have."""
    (moments,) = [
        each for each in spec.terms if each.name == term and isinstance(each, Moments | ResidualMoments)
    ]
    labels = labels_of(spec.by_name, moments.columns)[1:]
    centre, scale = _scales(spec, moments)
    rounding = mines**0.5 * 2.0 ** -(found.frac + WORD_BITS * (len(found[term]) - 1) + 1)
    grams = [_gram(labels, group, centre, scale, rounding) for group in np.moveaxis(found[term], 1, 0)]
    for gram in grams:
        _require_possible(gram)
    return grams


def _require_possible(gram: Gram) -> None:
    """Refuse products that no rows have. Raises DataError."""
    known = np.flatnonzero(gram.noise < 1)
    deviation = np.sqrt(np.diag(gram.cross))[known]
    correlation = gram.cross[np.ix_(known, known)] / np.outer(deviation, deviation)
    room = len(known) * float(gram.noise[known].max(initial=0.0)) + 1e-9
    if not np.isfinite(gram.cross).all() or (len(known) and np.linalg.eigvalsh(correlation)[0] < -room):
        raise impossible()


def impossible() -> DataError:
    """Return the error of sums that no rows have."""
    hint = "a mine sent others than its own; ask again without the mines that you do not trust"
    return DataError("sums", "what was opened are the sums of no rows", hint=hint)


def _scales(spec: SumsSpec, moments: Moments | ResidualMoments) -> tuple[Vector, Vector]:
    """Return how v = (x - centre) / scale was made, of each column of the design but the ones."""
    centre: list[float] = []
    scale: list[float] = []
    for name in moments.columns:
        column = spec.by_name[name]
        if isinstance(column, NumberColumn):
            centre.append(column.centre)
            scale.append(column.scale)
        else:
            centre += [0.0] * (len(column.levels) - 1)
            scale += [1.0] * (len(column.levels) - 1)
    return np.array(centre), np.array(scale)


def _gram(labels: tuple[str, ...], words: Matrix, centre: Vector, scale: Vector, rounding: float) -> Gram:
    """Return what words of sums, float64[words, triangle], say: exact integers until all is centred."""
    d = len(labels) + 1
    whole = [sum(int(np.ldexp(word, _UNIT_BITS)) for word in each) for each in words.T.tolist()]
    if whole[0] <= 0:
        empty = np.zeros(d - 1)
        return Gram(labels, empty, np.zeros((d - 1, d - 1)), 0.0, empty + np.inf)
    rows, columns = np.triu_indices(d)
    cross = np.zeros((d, d))
    for i, j, value in zip(rows.tolist(), columns.tolist(), whole, strict=True):
        cross[i, j] = cross[j, i] = (value * whole[0] - whole[i] * whole[j]) / (whole[0] << _UNIT_BITS)
    mean = np.array([value / whole[0] for value in whole[1:d]])
    np.fill_diagonal(cross, np.maximum(np.diag(cross), 0.0))  # rounding may take a constant's below 0
    variances = np.diag(cross)[1:]
    noise = np.divide(4 * rounding, variances, out=np.full(d - 1, np.inf), where=variances > 0) + FLOAT_NOISE
    own = cross[1:, 1:] * np.outer(scale, scale)
    return Gram(labels, centre + scale * mean, own, whole[0] / (1 << _UNIT_BITS), noise)
