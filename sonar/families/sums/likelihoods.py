"""Generalised linear models of one target: binomial (logit), Poisson (log) and gamma (log), row by row.

McCullagh and Nelder, Generalized Linear Models, 1989. Every value here is bounded, because the mean is held
within published limits and the target within its column's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
GlmFamily = Literal["binomial", "poisson", "gamma"]
LOGIT_MAX = 30.0
"""A logit beyond it is taken for it: a probability of 9e-14."""
PEARSON_MAX = 1e6
"""A squared Pearson residual above it, 1,000 deviations, is taken for it."""
_START_POISSON = 0.1  # what R adds to counts for the first step, so that zero has a logarithm


@dataclass(frozen=True)
class Limits:
    """Where target and mean are: `low` to `high`, and `mu_low` to `mu_high`."""

    low: float
    high: float
    mu_low: float
    mu_high: float


@dataclass(frozen=True)
class Working:
    """What a step adds up of each row: `weight` times x x^T, and `right` times x. float64[rows] each."""

    mu: Vector
    weight: Vector
    right: Vector


@dataclass(frozen=True)
class Sizes:
    """The most in magnitude of a row's weight, right side, model's part, own part, base and Pearson term.

    `start_weight` and `start_right` are those of the first step, without an offset.
    """

    weight: float
    right: float
    start_weight: float
    start_right: float
    model: float
    own: float
    base: float
    pearson: float


class Binomial:
    """A target of 0 or 1, or a share between; probability 1 / (1 + e^-eta)."""

    def mean(self, eta: Vector, limits: Limits) -> Vector:
        """Return the mean at a linear predictor, float64[rows]."""
        return np.asarray(1 / (1 + np.exp(-np.clip(eta, -LOGIT_MAX, LOGIT_MAX))))

    def start(self, y: Vector, offset: Vector, limits: Limits) -> Working:
        """Return the first step, which needs no coefficients: here that of least squares."""
        return Working(np.full(len(y), 0.5), np.ones(len(y)), y)

    def step(self, y: Vector, mu: Vector) -> Working:
        """Return a step from means `mu`: the information and the score."""
        return Working(mu, mu * (1 - mu), y - mu)

    def model(self, y: Vector, mu: Vector) -> Vector:
        """Return the part of the log-likelihood that depends on the mean."""
        return np.asarray(y * np.log(mu) + (1 - y) * np.log(1 - mu))

    def own(self, y: Vector) -> Vector:
        """Return the same of a model that predicts each row's target itself."""
        return _x_log_x(y) + _x_log_x(1 - y)

    def base(self, y: Vector) -> Vector:
        """Return the part of the log-likelihood without a mean."""
        return np.zeros(len(y))

    def pearson(self, y: Vector, mu: Vector) -> Vector:
        """Return (y - mu)^2 / variance."""
        return _pearson((y - mu) ** 2 / (mu * (1 - mu)))

    def sizes(self, limits: Limits) -> Sizes:
        """Return what a row's values stay within."""
        return Sizes(0.25, 1.0, 1.0, 1.0, LOGIT_MAX + 1, 2.0, 1.0, PEARSON_MAX)


class Poisson:
    """Counts of 0 or more; mean e^eta."""

    def mean(self, eta: Vector, limits: Limits) -> Vector:
        """See `Binomial`."""
        return _exp(eta, limits)

    def start(self, y: Vector, offset: Vector, limits: Limits) -> Working:
        """See `Binomial`."""
        mu = np.clip(y + _START_POISSON, limits.mu_low, limits.mu_high)
        return Working(mu, mu, mu * (np.log(mu) - offset) + y - mu)

    def step(self, y: Vector, mu: Vector) -> Working:
        """See `Binomial`."""
        return Working(mu, mu, y - mu)

    def model(self, y: Vector, mu: Vector) -> Vector:
        """See `Binomial`."""
        return np.asarray(y * np.log(mu) - mu)

    def own(self, y: Vector) -> Vector:
        """See `Binomial`."""
        return _x_log_x(y) - y

    def base(self, y: Vector) -> Vector:
        """See `Binomial`: -log(y!)."""
        values, places = np.unique(y, return_inverse=True)
        found = np.array([-math.lgamma(value + 1) for value in values])
        return found[places]

    def pearson(self, y: Vector, mu: Vector) -> Vector:
        """See `Binomial`."""
        return _pearson((y - mu) ** 2 / mu)

    def sizes(self, limits: Limits) -> Sizes:
        """See `Binomial`."""
        most, logs = max(limits.high, limits.mu_high), _log_size(limits)
        own = most * (logs + abs(math.log(max(most, 1))) + 1) + 1
        return Sizes(
            most, most, most, most * (logs + 1), own, own, math.lgamma(limits.high + 1) + 1, PEARSON_MAX
        )


class Gamma:
    """Targets above 0 whose deviation grows with the mean; mean e^eta."""

    def mean(self, eta: Vector, limits: Limits) -> Vector:
        """See `Binomial`."""
        return _exp(eta, limits)

    def start(self, y: Vector, offset: Vector, limits: Limits) -> Working:
        """See `Binomial`: least squares of log y. Its information is the expected one at any mean."""
        return Working(y, np.ones(len(y)), np.log(y) - offset)

    def step(self, y: Vector, mu: Vector) -> Working:
        """See `Binomial`: the observed information, with which steps converge quadratically."""
        return Working(mu, y / mu, y / mu - 1)

    def model(self, y: Vector, mu: Vector) -> Vector:
        """See `Binomial`, for a dispersion of 1."""
        return np.asarray(-np.log(mu) - y / mu)

    def own(self, y: Vector) -> Vector:
        """See `Binomial`."""
        return np.asarray(-np.log(y) - 1)

    def base(self, y: Vector) -> Vector:
        """See `Binomial`: here log y, of which the dispersion's part is made."""
        return np.log(y)

    def pearson(self, y: Vector, mu: Vector) -> Vector:
        """See `Binomial`."""
        return _pearson(((y - mu) / mu) ** 2)

    def sizes(self, limits: Limits) -> Sizes:
        """See `Binomial`."""
        ratio, logs = limits.high / limits.mu_low + 1, _log_size(limits)
        return Sizes(ratio, ratio, 1.0, logs, ratio + logs, logs + 1, logs, PEARSON_MAX)


FAMILIES: dict[str, Binomial | Poisson | Gamma] = {
    "binomial": Binomial(),
    "poisson": Poisson(),
    "gamma": Gamma(),
}


def _pearson(squares: Vector) -> Vector:
    return np.minimum(squares, PEARSON_MAX)


def _exp(eta: Vector, limits: Limits) -> Vector:
    return np.asarray(np.exp(np.clip(eta, math.log(limits.mu_low), math.log(limits.mu_high))))


def _log_size(limits: Limits) -> float:
    ends = [limits.mu_low, limits.mu_high, limits.high]
    return max(abs(math.log(end)) for end in ends if end > 0) + 1


def _x_log_x(x: Vector) -> Vector:
    return np.asarray(x * np.log(np.where(x > 0, x, 1.0)))
