"""Least squares of means and products: coefficients, their covariance, and how many digits they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.linear.gram import Gram
from pysonar.statistics.linear.usable import correlation_of
from sonar.errors import DataError
from sonar.telling.text import count

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
FIGURE_ERROR = 1e-6
_CONDITION = 1000.0


@dataclass(frozen=True, eq=False)
class Fit:
    """`params` [k], an intercept first; `unscaled` [k, k] = (X^T W X)^-1; `rss` and `tss` are weighted.

    About how much may be rounding, as a share: `error` of the coefficients, `rss_error` of the residual sum.
    """

    params: Vector
    unscaled: Matrix
    rss: float
    tss: float
    condition_number: float
    error: float
    rss_error: float


def least_squares(gram: Gram, target: Gram, cross: Vector, intercept: bool) -> Fit:
    """Return the fit of a target on the columns of `gram`; `cross` [d]: their centred products with it.

    `target` has one column. Raises DataError for a singular design.
    """
    size, d = gram.weight, len(gram.labels)
    products = gram.cross if intercept else gram.cross + size * np.outer(gram.mean, gram.mean)
    moment = cross if intercept else cross + size * gram.mean * target.mean[0]
    tss = float(target.cross[0, 0]) + (0.0 if intercept else size * float(target.mean[0]) ** 2)
    deviation = np.sqrt(np.diag(products))
    corr = correlation_of(products)
    share = moment / deviation / np.sqrt(tss) if tss > 0 else np.zeros(d)
    try:
        factor = np.linalg.cholesky(corr).astype(np.float64)
        inverse = np.linalg.inv(factor).astype(np.float64)
    except np.linalg.LinAlgError as fault:
        raise DataError("columns", "the design matrix is singular", hint="leave a column out") from fault
    half = inverse @ share
    slopes = (inverse.T @ half) * np.sqrt(tss) / deviation
    left = max(1 - float(half @ half), 0.0)
    unscaled = (inverse.T @ inverse) / np.outer(deviation, deviation)
    lowest = float(np.linalg.eigvalsh(corr)[0]) if d else 1.0
    noise = float(max([*gram.noise, *target.noise]))
    return Fit(
        params=_with_intercept(slopes, gram, target) if intercept else slopes,
        unscaled=_bordered(unscaled, gram) if intercept else unscaled,
        rss=left * tss,
        tss=tss,
        condition_number=_condition(factor, deviation, gram, intercept),
        error=noise / lowest,
        rss_error=noise / max(left, noise),
    )


def _with_intercept(slopes: Vector, gram: Gram, target: Gram) -> Vector:
    return np.concatenate([[target.mean[0] - slopes @ gram.mean], slopes])


def _bordered(unscaled: Matrix, gram: Gram) -> Matrix:
    """Return (X^T W X)^-1 of a design with ones, of that of the centred columns."""
    edge = unscaled @ gram.mean
    corner = 1 / gram.weight + gram.mean @ edge
    return np.block([[np.array([[corner]]), -edge[None, :]], [-edge[:, None], unscaled]])


def _condition(factor: Matrix, deviation: Vector, gram: Gram, intercept: bool) -> float:
    """Return the design's condition number: of R, X^T W X = R^T R, which has X's own singular values."""
    root = (factor * deviation[:, None]).T
    if intercept:
        ones = np.sqrt(gram.weight) * np.concatenate([[1.0], gram.mean])
        root = np.vstack([ones, np.hstack([np.zeros((len(root), 1)), root])])
    singular = np.linalg.svd(root, compute_uv=False)
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else np.inf


def warnings_of(fit: Fit) -> list[str]:
    """Return warnings of a fit's condition, as statsmodels has them."""
    found = []
    if fit.condition_number > _CONDITION:
        found.append(
            f"The condition number is large, {fit.condition_number:.3g}. This might indicate that there are "
            "strong multicollinearity or other numerical problems."
        )
    if fit.error > FIGURE_ERROR:
        found.append(
            f"The coefficients have about {_digits(fit.error)}, because columns are nearly collinear, "
            "or their bounds are far wider than what they vary."
        )
    if fit.rss_error > FIGURE_ERROR:
        found.append(
            "The fit is nearly perfect, or bounds are far wider than what columns vary: "
            f"standard errors, t, p and the log-likelihood have about {_digits(fit.rss_error)}."
        )
    return found


def _digits(error: float) -> str:
    return count(max(int(-np.log10(min(error, 1.0))), 0), "digit")
