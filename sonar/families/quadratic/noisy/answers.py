"""How far a mine's noise moves its answers: the variance of any combination of an answer's values.

The noise of A is S N S / n with N symmetric, variance s^2 / 2 beside the diagonal and s^2 on it, and S the
scales of phi's columns; that of b is S N' / (t n). So for a vector v [k, d] and weights W [k, d] the noise of
<v, b - A W> is a sum over N's entries of their coefficients in S (v^T W + W^T v) S, whose variance is its
Frobenius norm squared times s^2 / 4: diagonal entries have twice the variance, and half the coefficient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.spec import QuadraticSpec

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class AnswerNoise:
    """The noise of an answer to weights float64[k, d], of a mine with the fewest rows.

    `scales` float64[d]: S of this module's text. `a`, `b`: s / n times the loss's factors, of A and b.
    """

    weights: Matrix
    scales: Matrix
    a: float
    b: float

    @classmethod
    def of(cls, spec: QuadraticSpec, weights: Matrix) -> AnswerNoise | None:
        """Return the noise of answers to weights float64[k, d]; None without noise."""
        if (noise := spec.noise) is None:
            return None
        scales, loss = np.full(spec.width, 2.0**-noise.frac), LOSSES[spec.loss]
        scales[-1] = 1.0 / noise.constant
        s = noise.deviation / math.sqrt(noise.parts) / spec.rows_min
        return cls(weights, scales, loss.a_factor * s, loss.b_factor * s / noise.target_unit)

    def along(self, direction: Matrix) -> float:
        """Return the variance of the product with a direction float64[k, d] or [k d]."""
        v = direction.reshape(self.weights.shape) * self.scales
        crossed = v.T @ (self.weights * self.scales)
        both = crossed + crossed.T
        both[-1, -1] = 0.0  # the constant's square is known
        return float(self.a**2 / 4 * np.sum(both**2) + self.b**2 / 2 * np.sum(v**2))

    def whole(self, whiten: Matrix) -> float:
        """Return the mean squared length in directions that whiten float64[d, d] makes comparable."""
        spread = whiten @ whiten.T * np.multiply.outer(self.scales, self.scales)
        w = self.weights * self.scales
        trace = float(np.trace(spread))
        of_a = trace * float(np.sum(w**2)) + float(np.sum((w @ spread) * w))
        known = 2.0 * float(spread[-1, -1]) * float(np.sum(w[:, -1] ** 2))
        return self.a**2 / 2 * (of_a - known) + self.b**2 / 2 * len(w) * trace
