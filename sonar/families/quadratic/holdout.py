"""The scientist's held-out rows: the loss, its gradient, and an estimate of the mines' curvature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ConfigError, UsageError
from sonar.families.quadratic.answer import curvature, row_answers
from sonar.families.quadratic.losses.base import Loss, Metric
from sonar.families.quadratic.losses.classes import (
    best_outputs,
    calibration,
    class_accuracy,
    class_losses,
    classes_in,
)
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.noisy.shortening import shortened
from sonar.families.quadratic.spec import QuadraticSpec, by_output

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MILLION = 1_000_000
"""The null model's loss, on the chain."""
LOSS_MAX = (1 << 64) - 1
"""The largest loss that the contract can hold; a worse one is reported as this."""
LEAST_GAIN = 100
"""The least distance from start to target, in millionths: with less, rounding would decide the reward."""


@dataclass(frozen=True)
class Holdout:
    """Held-out rows, judged by `spec`: x float64[n, f] raw columns, y float64[n, k] targets.

    Weights are float64[d k], output by output. A loss is told in millionths of the null model's, the mean
    over all targets, or that of all classes. `metric` is one of `metrics`; None stands for the first.
    """

    spec: QuadraticSpec
    x: Matrix
    y: Matrix

    @classmethod
    def of(cls, spec: QuadraticSpec, x: Matrix, y: Matrix) -> Self:
        """Return held-out rows of which `y` is a table's last columns: of labels the one with their codes.

        Raises DataError for a label that is none.
        """
        return cls(spec, x, spec.learned(y))

    @cached_property
    def phi(self) -> Matrix:
        """The rows after the feature map, float64[n, d], the bias last."""
        return self.spec.transform(self.x)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics in which a target can be given and the loss measured."""
        return {metric.name: metric for metric in self._loss.metrics}

    def metric(self, name: str | None) -> Metric:
        """Return one of `metrics`. Raises ConfigError naming the metric."""
        if name is None:
            return self._loss.metrics[0]
        if name not in self.metrics:
            known = ", ".join(self.metrics)
            problem = f"is not a metric of the loss {self._loss.name!r}"
            raise ConfigError(name, problem, hint=f"give the target as {known}")
        return self.metrics[name]

    def loss(self, w: Vector, metric: str | None = None) -> int:
        """Return the loss of weights in millionths, as the contract takes it: exactly a million for zeros.

        Raises UsageError when it is not a number, ConfigError for a metric that there is not.
        """
        return self.loss_of_scores(self.scores(w), metric)

    def loss_of_scores(self, s: Matrix, metric: str | None = None) -> int:
        """Return the loss of phi w = s float64[n, k], as `loss` does."""
        return _millionths(self._ratio(self.metric(metric), s), round)

    def millionths(self, w: Vector, metric: str | None = None) -> float:
        """Return the loss of weights in millionths before it is rounded. Raises as `loss`."""
        ratio = self._ratio(self.metric(metric), self.scores(w))
        _millionths(ratio, round)
        return MILLION * ratio

    def floor(self, metric: str | None = None) -> int:
        """Return approximately the least loss of any weights on these rows, in millionths, rounded down."""
        found = self.metric(metric)
        if self.spec.labels is None:
            each = zip(self.spec.targets, self.y.T, strict=True)
            least = [found.floor(target, y, self.phi) for target, y in each]
        else:
            least = self._losses(found, best_outputs(self.spec.targets, self.y, self.phi))
        parts = [loss / null for loss, null in zip(least, self.nulls(metric), strict=True)]
        return _millionths(float(np.mean(parts)), math.floor)

    def nulls(self, metric: str | None = None) -> list[float]:
        """Return the null model's loss for each target, or of all classes, in the metric's unit."""
        return self._losses(self.metric(metric), np.zeros(self.y.shape))

    def _losses(self, metric: Metric, s: Matrix) -> list[float]:
        """Return the losses of phi w = s float64[n, k], one for each of `nulls`."""
        targets = self.spec.targets
        if self.spec.labels is not None:
            return class_losses(metric.name, targets, classes_in(self.y), s)
        return [metric.loss(*each) for each in zip(targets, self.y.T, s.T, strict=True)]

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient of the quadratic loss at w, float64[d k], in parts of the null model's loss.

        Of squared error it is the loss itself; for another metric its surrogate.
        """
        half = self._loss.half
        residual = half * self.scores(w) - self.z
        scale = 2.0 * half / (self.spec.outputs * np.sum(self.z**2, axis=0))
        return np.asarray((self.phi.T @ residual * scale).T.ravel())

    @cached_property
    def curvature(self) -> Matrix:
        """The matrix A of the map u(w) = b - A w that a mine with these rows would have, float64[d, d].

        Raises BoundsError when local steps diverge on these rows.
        """
        return curvature(self.spec, self.learned[0])

    def answers(self, w: Vector) -> NDArray[np.float64]:
        """Return what each held-out row would answer to weights w, float64[n, k, d]. Raises BoundsError."""
        return row_answers(self.spec, *self.learned, by_output(self.spec, w))

    def told(self, w: Vector) -> dict[str, float]:
        """Return how good weights are, in people's units.

        Of several targets: the mean, and each by its name.
        """
        s = self.scores(w)
        if self.spec.labels is not None:
            return _told_of_classes(self, s)
        each = [
            self._loss.told(target, y, s[:, i])
            for i, (target, y) in enumerate(zip(self.spec.targets, self.y.T, strict=True))
        ]
        if len(each) == 1:
            return each[0]
        told = {
            name: float(np.mean([one[name] for one in each]))
            for name in each[0]
            if name not in self.metrics or self.metrics[name].pools
        }
        for target, one in zip(self.spec.targets, each, strict=True):
            told |= {f"{name} {target.name}": value for name, value in one.items()}
        return told

    def loss_of(self, metric: str, value: float) -> int:
        """Return in millionths a target given in a metric.

        Raises ConfigError naming the metric: for what nothing can reach, what is finer than a millionth, and
        what is hardly better than the null model.
        """
        found = self._said_in(metric)
        if math.isnan(value):
            raise ConfigError(metric, "is not a number", hint=self._hint(found))
        null = self._null(metric)
        exact, finest = MILLION * found.ratio(value, null), found.value(1 / MILLION, null)
        if exact <= 0:
            problem = f"{_said(value)} is out of reach: {metric} = {found.best:g} would be a perfect model"
            raise ConfigError(metric, problem, hint=self._hint(found))
        if exact < 1:
            problem = (
                f"{_said(value)} is finer than the chain can hold: the finest is {_said(finest)}, "
                "a millionth of the null model's loss from a perfect model"
            )
            raise ConfigError(metric, problem, hint=self._hint(found))
        if exact > MILLION - LEAST_GAIN:
            least, at = found.value(1 - LEAST_GAIN / MILLION, null), found.value(1.0, null)
            problem = (
                f"{_said(value)} is no better than the null model" * (exact >= MILLION)
                or f"{_said(value)} is hardly better than the null model"
            )
            problem += f", which has {metric} = {at:.6g}; {least:.6g} is the least that can be asked for"
            raise ConfigError(metric, problem, hint=self._hint(found))
        return round(exact)

    def said(self, metric: str, loss: int) -> float:
        """Return the value of a metric at a loss in millionths: the inverse of `loss_of`.

        Raises ConfigError.
        """
        return self._said_in(metric).value(loss / MILLION, self._null(metric))

    def said_all(self, metric: str, loss: int) -> dict[str, float]:
        """Return a loss in `metric`, and in the others that measure the same."""
        found = self._said_in(metric)
        same = [one for one in self.metrics.values() if one is found or (one.exact and found.exact)]
        return {one.name: self.said(one.name, loss) for one in same if self.spec.outputs == 1 or one.pools}

    def _hint(self, metric: Metric) -> str:
        floor = metric.value(self.floor(metric.name) / MILLION, self._null(metric.name))
        about = "" if metric.exact else "about "
        return (
            f"give a value between the null model's and the best that is possible on these rows, {about}"
            f"{floor:,.6g}"
        )

    def _said_in(self, name: str) -> Metric:
        metric = self.metric(name)
        if self.spec.outputs > 1 and not metric.pools:
            others = ", ".join(one for one, other in self.metrics.items() if other.pools)
            problem = f"has a unit of its own for each of the {self.spec.outputs} targets"
            raise ConfigError(name, problem, hint=f"give it as {others}, which is a mean over the targets")
        return metric

    def _null(self, metric: str) -> float:
        return float(np.mean(self.nulls(metric)))

    def scores(self, w: Vector) -> Matrix:
        """Return phi w, float64[n, k]."""
        return self.phi @ by_output(self.spec, w)

    def _ratio(self, metric: Metric, s: Matrix) -> float:
        """Return the loss as a part of the null model's; that of zeros is 1 to the last bit."""
        with np.errstate(over="ignore", invalid="ignore"):
            nulls = self.nulls(metric.name)
            parts = [loss / null for loss, null in zip(self._losses(metric, s), nulls, strict=True)]
        return sum(parts) / len(parts)

    @cached_property
    def learned(self) -> tuple[Matrix, Matrix]:
        """phi and z as mines' sums have them: shortened where noise is added."""
        return shortened(self.spec.noise, self.phi, self.z)

    @property
    def _loss(self) -> Loss:
        return LOSSES[self.spec.loss]

    @cached_property
    def z(self) -> Matrix:
        """The targets as the model learns them, float64[n, k]; no held-out one is clipped."""
        centres = np.array([target.centre for target in self.spec.targets])
        return np.asarray((self.y - centres) / [target.scale for target in self.spec.targets])


def calibrated(holdout: Holdout, w: Vector) -> Vector:
    """Return weights float64[d k] whose outputs say log odds as they are: of classes, times a slope.

    Of two classes a constant is added to the bias. Of a model without `labels` the weights as they are.
    """
    spec = holdout.spec
    if spec.labels is None:
        return w
    found = calibration(spec.targets, holdout.scores(w), classes_in(holdout.y))
    scaled = found.slope * w
    scaled[-1] += found.constant  # of several classes 0
    return scaled


def _told_of_classes(holdout: Holdout, s: Matrix) -> dict[str, float]:
    targets, codes, told = holdout.spec.targets, classes_in(holdout.y), dict[str, float]()
    for name, metric in holdout.metrics.items():
        null, loss = (float(np.mean(class_losses(name, targets, codes, each))) for each in (0.0 * s, s))
        told[name] = metric.value(loss / null, null)
    return {**told, "accuracy": class_accuracy(targets, codes, s)}


def _said(value: float) -> str:
    """Return a value with all its digits, as people write it: 0.9999999, or 1."""
    return repr(float(value)).removesuffix(".0")


def _millionths(ratio: float, to_int: Callable[[float], int]) -> int:
    if np.isnan(ratio):
        raise UsageError("the loss is not a number", hint="check weights and holdout for infinite values")
    return to_int(MILLION * ratio) if MILLION * ratio < LOSS_MAX else LOSS_MAX
