"""Logistic loss for labels y in {-1, +1}, in second order.

With p the published frequency of label 1 and t = log(p / (1 - p)) + phi w the log odds,

    log(1 + exp(-y t)) <= L_0 - (y - c) phi w / 2 + (phi w)^2 / 8

with c = 2 p - 1 the mean label, and L_0 the loss of weights of zero, which are the null model: its slope
there is exact, and 1/4 is the most that the logistic loss curves (Boehning and Lindsay, Annals of the
Institute of Statistical Mathematics 40, 1988). The bound has the negative gradient b - A w with A = phi^T phi
/ (4 n) and b = phi^T (y - c) / (2 n). For p = 1/2 it is the Taylor polynomial of Hardy et al. (2017, arXiv
1711.10677).
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import Q32_ONE, to_q32
from sonar.errors import DataError
from sonar.families.quadratic.losses.base import Loss, Matrix, Metric, Vector
from sonar.families.quadratic.target import Target

_STEPS = 50
_RIDGE = 1e-9


def log_odds(target: Target, s: Vector) -> Vector:
    """Return t of this module's text where phi w is s float64[n]."""
    return np.asarray(math.log1p(target.centre) - math.log1p(-target.centre) + s)


def area_under(ones: NDArray[np.bool_], s: Vector) -> float:
    """Return the chance that a row of `ones` is ranked above another; ties count half."""
    _, places, counts = np.unique(s, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n = int(np.sum(ones))
    return float((ranks[ones].sum() - n * (n + 1) / 2) / (n * (len(s) - n)))


class LogLoss(Metric):
    """Mean log(1 + exp(-y t))."""

    name: ClassVar[str] = "log_loss"
    best: ClassVar[float] = 0.0

    def loss(self, target: Target, y: Vector, s: Vector) -> float:
        """Return it in nats."""
        return float(np.mean(np.logaddexp(0.0, -y * log_odds(target, s))))

    def floor(self, target: Target, y: Vector, phi: Matrix) -> float:
        """Return where Newton's method ends: next to nothing where a plane parts the labels."""
        return self.loss(target, y, phi @ self.fitted(target, y, phi))

    def fitted(self, target: Target, y: Vector, phi: Matrix) -> Vector:
        """Return the weights float64[width] where Newton's method ends."""
        w, best = np.zeros(phi.shape[1]), self.loss(target, y, np.zeros(len(y)))
        for _ in range(_STEPS):
            p = 1.0 / (1.0 + np.exp(-np.clip(log_odds(target, phi @ w), -500, 500)))
            hessian = (phi.T * (p * (1 - p))) @ phi / len(y) + _RIDGE * np.eye(len(w))
            step = np.linalg.solve(hessian, phi.T @ ((y + 1) / 2 - p) / len(y))
            now = self.loss(target, y, phi @ (w + step))
            if not now < best - 1e-12:
                break
            w, best = w + step, now
        return w

    def value(self, ratio: float, null: float) -> float:
        """Return ratio times the null model's."""
        return ratio * null

    def ratio(self, value: float, null: float) -> float:
        """Return value over the null model's."""
        return value / null


class Auc(Metric):
    """The chance that a row of label 1 is ranked above one of label -1; ties count half."""

    name: ClassVar[str] = "auc"
    best: ClassVar[float] = 1.0

    def loss(self, target: Target, y: Vector, s: Vector) -> float:
        """Return 1 - AUC: 1/2 for the null model."""
        return 1.0 - area_under(y > 0, s)

    def floor(self, target: Target, y: Vector, phi: Matrix) -> float:
        """Return what the weights of the least log loss have: a better order of the rows is rare."""
        return self.loss(target, y, phi @ LogLoss().fitted(target, y, phi))

    def value(self, ratio: float, null: float) -> float:
        """Return 1 - ratio / 2."""
        return 1.0 - ratio * null

    def ratio(self, value: float, null: float) -> float:
        """Return 2 (1 - value)."""
        return (1.0 - value) / null


class LogisticTaylor(Loss):
    """For labels -1 and 1."""

    def target(self, name: str, y: Vector, clip: float) -> Target:
        """Return the mean label, and a scale of 1; no label is clipped."""
        self.check(name, y)
        if np.ptp(y) == 0:
            problem = f"is {y[0]:g} in every held-out row, so the holdout cannot tell models apart"
            raise DataError(f"column {name!r}", problem, hint="hold out rows of both labels")
        return Target(name=name, centre_q32=to_q32(float(y.mean())), scale_q32=Q32_ONE, clip_q32=2 * Q32_ONE)

    def accept(self, target: Target) -> None:
        """Refuse a mean label that is none, and a scale that is not 1."""
        if not abs(target.centre_q32) < Q32_ONE or target.scale_q32 != Q32_ONE:
            raise ValueError(
                f"targets: {target.name}: a mean label lies between -1 and 1, and its scale is 1"
            )

    def takes(self, y: Vector) -> NDArray[np.bool_]:
        """Take labels only."""
        return np.isin(y, self.labels)

    def check(self, name: str, y: Vector) -> None:
        """Take labels only."""
        wrong = y[~self.takes(y)]
        if len(wrong):
            problem = f"has the label {wrong[0]:g}; -1 and 1 are expected"
            raise DataError(f"column {name!r}", problem, hint="recode the labels: 2 y - 1 of 0 and 1")

    def predict(self, target: Target, s: Vector) -> Vector:
        """Return the log odds of label 1."""
        return log_odds(target, s)

    def told(self, target: Target, y: Vector, s: Vector) -> dict[str, float]:
        """Return the metrics, and the part of the rows whose label is the likelier one."""
        right = (self.predict(target, s) > 0) == (y > 0)
        return {**super().told(target, y, s), "accuracy": float(np.mean(right))}


LOGISTIC_TAYLOR = LogisticTaylor("logistic-taylor", 0.25, 0.5, (LogLoss(), Auc()), labels=(-1.0, 1.0))
