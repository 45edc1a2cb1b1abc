"""Where the search starts: the model of a constant alone, and a first guess, of one round's sums."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.newton import Point, solved
from pysonar.statistics.glm.opened import Common
from sonar.families.sums.likelihoods import GlmFamily

Vector = NDArray[np.float64]


def start_of(family: GlmFamily, common: Common, point: Point) -> tuple[Vector, Vector]:
    """Return the constant's model and the way to the first guess, float64[d] each.

    The guess is a step of reweighted least squares at means near the targets themselves; for a binomial
    target, linear discriminant analysis, which is nearer where columns tell the target well.
    """
    constant = np.zeros(len(point.coefficients))
    constant[0] = _constant(family, common)
    guess = (
        _discriminant(common, point) if family == "binomial" else solved(point.information, point.gradient)
    )
    return constant, guess - constant


def _constant(family: GlmFamily, common: Common) -> float:
    share = common.y / common.weight
    if family == "binomial":
        return math.log(share / (1 - share))
    if family == "poisson":
        return math.log(common.y / common.sums["exposure"])
    return math.log(common.sums["exposure"] / common.weight)


def _discriminant(common: Common, point: Point) -> Vector:
    """Return the coefficients of Fisher's discriminant (Hastie et al., 2009, 4.3), of least squares' sums."""
    ones, zeros = common.y, common.weight - common.y
    mean_1, mean_0 = common.xy[1:] / ones, (common.x - common.xy)[1:] / zeros
    within = point.information[1:, 1:] - ones * np.outer(mean_1, mean_1) - zeros * np.outer(mean_0, mean_0)
    slopes = solved(within / common.weight, mean_1 - mean_0)
    return np.concatenate([[math.log(ones / zeros) - (mean_1 + mean_0) @ slopes / 2], slopes])
