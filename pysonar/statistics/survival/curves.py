"""Kaplan-Meier curves and log-rank tests, of counts at the times of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.chances import chi2_p_value

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Curve:
    """The survival of a group. All are float64[times]; `at_risk` is just before a time.

    Kaplan and Meier, JASA 53, 1958; intervals by Greenwood's variance of log(-log S), as lifelines has them.
    """

    group: str
    times: Vector
    events: Vector
    at_risk: Vector
    rows: int
    alpha: float = 0.05

    @cached_property
    def survival(self) -> Vector:
        """The share without an event after each time."""
        left = np.maximum(self.at_risk, 1)
        return np.asarray(np.cumprod(1 - self.events / left), dtype=np.float64)

    @cached_property
    def interval(self) -> Matrix:
        """Lower and upper ends, float64[times, 2]."""
        left = self.at_risk - self.events
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(left > 0, self.events / (self.at_risk * left), 0.0)
            logs = np.log(self.survival)
            reach = NormalDist().inv_cdf(1 - self.alpha / 2) * np.sqrt(np.cumsum(terms)) / logs
            ends = [np.exp(-np.exp(np.log(-logs) + sign * reach)) for sign in (-1, 1)]
        found = np.stack([np.fmin(*ends), np.fmax(*ends)], axis=1)
        return np.where(np.isnan(found), np.where(self.survival == 0, 0.0, 1.0)[:, None], found)

    @cached_property
    def median(self) -> float:
        """The first time at which half or less survive; infinite if there is none."""
        return self.quantile(0.5)

    @cached_property
    def median_interval(self) -> tuple[float, float]:
        """Where the interval's ends reach one half."""
        lower, upper = self.interval.T
        return _first(self.times, lower, 0.5), _first(self.times, upper, 0.5)

    def quantile(self, share: float) -> float:
        """Return the first time at which that share or less survive; infinite if there is none."""
        return _first(self.times, self.survival, share)


@dataclass(frozen=True)
class LogRankTest:
    """Whether groups have the same survival: `chi2` of `df` degrees of freedom."""

    groups: tuple[str, ...]
    chi2: float
    df: int

    @property
    def p(self) -> float:
        """The p-value."""
        return chi2_p_value(self.chi2, self.df)


def log_rank(curves: list[Curve]) -> LogRankTest:
    """Return the test of two groups or more (Mantel, 1966; Peto and Peto, 1972)."""
    events, at_risk = (np.stack([getattr(curve, name) for curve in curves]) for name in ("events", "at_risk"))
    d, n = events.sum(axis=0), at_risk.sum(axis=0)
    keep = n > 1
    events, at_risk, d, n = events[:, keep], at_risk[:, keep], d[keep], n[keep]
    apart = (events - at_risk * d / n).sum(axis=1)
    factor = d * (n - d) / (n - 1)
    shares = at_risk / n
    variance = np.diag((shares * factor).sum(axis=1)) - (shares * factor) @ shares.T
    there = np.flatnonzero(at_risk.sum(axis=1) > 0)[1:]  # what is apart adds up to 0: one group follows
    inverse = np.linalg.pinv(variance[np.ix_(there, there)], rcond=_SINGULAR, hermitian=True)
    chi2 = float(apart[there] @ inverse @ apart[there])
    df = len(curves) - 1
    return LogRankTest(tuple(curve.group for curve in curves), max(chi2, 0.0), df)


def _first(times: Vector, values: Vector, share: float) -> float:
    below = np.flatnonzero(values <= share)
    return float(times[below[0]]) if len(below) else math.inf
