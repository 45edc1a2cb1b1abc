"""Log-likelihood, deviance and dispersion of a fitted generalised linear model, as statsmodels has them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pysonar.statistics.fits.newton import Optimum
from pysonar.statistics.glm.opened import Common, Opened
from sonar.families.sums.likelihoods import GlmFamily


@dataclass(frozen=True)
class Fit:
    """How well a model fits: `null` is of the model with a constant alone. `scale` is the dispersion."""

    log_likelihood: float
    null_log_likelihood: float
    deviance: float
    null_deviance: float
    pearson_chi2: float
    scale: float


def fit_of(family: GlmFamily, optimum: Optimum, last: Opened, df_resid: float) -> Fit:
    """Return it, of the sums at the last point and what the step after it adds."""
    at, pearson = last.common, last.sums["pearson"] + last.sums["pearson_beyond"]
    own = at.sums["own"]
    model, null = optimum.value, null_model(family, at)
    scale = pearson / df_resid if family == "gamma" else 1.0
    whole = [likelihood_of(family, at, part, scale) for part in (model, null)]
    return Fit(whole[0], whole[1], max(2 * (own - model), 0.0), max(2 * (own - null), 0.0), pearson, scale)


def likelihood_of(family: GlmFamily, at: Common, model: float, scale: float) -> float:
    """Return the log-likelihood of which `model` is the part that depends on the mean."""
    base = at.sums["base"]
    if family != "gamma":
        return model + base
    shape = 1 / scale
    whole = shape * (model + base) - base
    return whole + at.weight * (shape * math.log(shape) - math.lgamma(shape))


def null_model(family: GlmFamily, at: Common) -> float:
    """Return the part that depends on the mean, of the model whose mean is in proportion to the exposure."""
    weight, y = at.weight, at.y
    exposure, log_exposure = at.sums["exposure"], at.sums["log_exposure"]
    if family == "binomial":
        share = y / weight
        return y * math.log(share) + (weight - y) * math.log(1 - share)
    if family == "poisson":
        rate = y / exposure
        return y * math.log(rate) + log_exposure - rate * exposure
    rate = exposure / weight
    return -weight * math.log(rate) - log_exposure - weight
