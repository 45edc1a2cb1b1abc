"""Standard errors that hold where residuals vary more in some rows than in others, from a second round.

Source: H. White, "A heteroskedasticity-consistent covariance matrix estimator", Econometrica 48 (1980); HC1
is that times n / (n - k).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.linear.gram import Gram
from sonar.data.schema import NumberColumn
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def standard_params(
    spec: SumsSpec, columns: tuple[str, ...], target: NumberColumn, params: dict[str, float]
) -> Vector:
    """Return coefficients in own units, by label, as those of a standard design and target, float64[width].

    The intercept is "Intercept"; a label that is not there has a coefficient of 0.
    """
    found = []
    first = (params.get("Intercept", 0.0) - target.centre) / target.scale
    for label in labels_of(spec.by_name, columns)[1:]:
        slope, column = params.get(label, 0.0), spec.by_name.get(label)
        if isinstance(column, NumberColumn):
            first += slope * column.centre / target.scale
            slope *= column.scale
        found.append(slope / target.scale)
    return np.array([first, *found])


def sandwich(gram: Gram, squares: Gram, unit: float, intercept: bool) -> Matrix:
    """Return the covariance of coefficients, float64[k, k], an intercept first.

    `gram` of the columns, and `squares` of the same columns weighted by e^2 / `unit`, e in the target's unit.
    All is about the columns' means, so that nothing cancels where they lie far from zero.
    """
    n, weight = gram.weight, squares.weight * unit
    if not intercept:
        inverse = np.linalg.inv(gram.cross + n * np.outer(gram.mean, gram.mean))
        meat = squares.cross * unit + weight * np.outer(squares.mean, squares.mean)
        return np.asarray(inverse @ meat @ inverse)
    off = squares.mean - gram.mean
    inverse = np.linalg.inv(gram.cross)
    slopes = inverse @ (squares.cross * unit + weight * np.outer(off, off)) @ inverse
    with_level = inverse @ off * weight / n
    corner = weight / n**2 - 2 * gram.mean @ with_level + gram.mean @ slopes @ gram.mean
    edge = with_level - slopes @ gram.mean
    return np.block([[np.array([[corner]]), edge[None, :]], [edge[:, None], slopes]])
