"""A ridge, chosen on the holdout from the sums that a campaign has opened: no further round.

Each pair of rounds of one cohort shows what the mines' curvature A makes of the step between them, in every
output, and all outputs share A. So A S = Y is known for the steps S of all outputs: after as many steps as an
output has weights, that is all of A. Until then the holdout's curvature H stands for the rest, changed least
so that it agrees (the block form of the BFGS update, Schnabel 1983):

    A' = H - H S (S^T H S)^-1 S^T H + Y (S^T Y)^-1 Y^T

With g the newest negative gradient, at w, b' = g + A' w, and (A' + lambda D)^-1 b' is a ridge regression of
all mines' rows, D the identity but for the bias. Of several lambda the holdout chooses one. These points are
the scientist's own: they are in no manifest, and nobody is paid for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.gradient_memory import EIGENVALUE_CUTOFF, pairs_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

RIDGES = tuple(10.0 ** (power / 2.0) for power in range(-8, 3))
"""Parts of the mean curvature that are tried: half a decade apart, from 1e-4 to 10."""


def shrunk(design: Design, course: Course) -> tuple[Vector, int]:
    """Return the weights float64[d k] with the least loss on the holdout, and that loss in millionths.

    Of one point for each of `RIDGES`, and the course's best one.
    """
    best, least = course.best.weights(design.plan), course.best.loss
    for weights in path(design, course):
        loss = design.holdout.loss(weights, design.metric)
        if loss < least:
            best, least = weights, loss
    return best, least


def path(design: Design, course: Course) -> list[Vector]:
    """Return the ridge regression for each of `RIDGES`, float64[d k] each; none before a sum was opened."""
    if not course.visited:
        return []
    last, outputs = course.visited[-1], design.spec.outputs
    a = pooled_curvature(design, course)
    b = last.gradient.reshape(outputs, -1).T + a @ last.weights.reshape(outputs, -1).T
    shrinks = np.diag(np.append(np.ones(len(a) - 1), 0.0)) * float(np.trace(a)) / len(a)
    found = [np.linalg.solve(a + part * shrinks, b).T.ravel() for part in RIDGES]
    return [np.clip(weights, -design.weight_max, design.weight_max) for weights in found]


def pooled_curvature(design: Design, course: Course) -> Matrix:
    """Return the mines' pooled A, float64[d, d], as far as it is known: A' of this module's text.

    Directions in which pairs of several cohorts disagree are left to the holdout.
    """
    prior = design.ground.curvature
    prior = prior + float(np.trace(prior)) / design.ground.rows * np.eye(len(prior))
    pairs = pairs_of(course.visited, design.weight_max)
    if not pairs:
        return prior
    shape = design.spec.outputs, -1
    steps = np.column_stack([(new.weights - old.weights).reshape(shape).T for old, new in pairs])
    drops = np.column_stack([(old.gradient - new.gradient).reshape(shape).T for old, new in pairs])
    sizes = np.linalg.norm(steps, axis=0)
    steps, drops = steps[:, sizes > 0] / sizes[sizes > 0], drops[:, sizes > 0] / sizes[sizes > 0]
    measured = steps.T @ drops
    disagreement = float(np.linalg.norm((measured - measured.T) / 2, ord=2))
    values, vectors = np.linalg.eigh((measured + measured.T) / 2)
    keep = values > max(EIGENVALUE_CUTOFF * float(values[-1]), disagreement)
    steps, drops = steps @ vectors[:, keep], drops @ vectors[:, keep]
    bent = prior @ steps
    known = bent @ np.linalg.solve(steps.T @ bent, bent.T)
    found: Matrix = prior - known + (drops / values[keep]) @ drops.T
    return (found + found.T) / 2
