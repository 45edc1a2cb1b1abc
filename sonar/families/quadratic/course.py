"""The points that a campaign's weights have visited, and the step that one opened sum leads to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.base import ORIGIN, Coefficients, Listed, Optimiser, Visited
from sonar.families.quadratic.score import score_vectors
from sonar.paillier.slots import SlotPlan, decode_update, decode_weights

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """Weights that a campaign has reached: int[d k] in fixed point, how they came about, and their loss."""

    weights_int: tuple[int, ...]
    coefficients: Coefficients
    loss: int

    def listed(self) -> Listed:
        """Return how they came about, for a journal."""
        return self.coefficients.listed()

    def weights(self, plan: SlotPlan) -> Vector:
        """Return the weights as numbers, float64[d k], output by output."""
        return decode_weights(self.weights_int, plan).ravel(order="F")


@dataclass(frozen=True)
class Course:
    """Every point of a campaign so far, oldest first, and what came back from those that were trained on."""

    points: tuple[Point, ...]
    visited: tuple[Visited, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()

    @property
    def current(self) -> Point:
        """The newest point: what the next round trains on."""
        return self.points[-1]

    @property
    def best(self) -> Point:
        """The point of the lowest loss; of several the first."""
        return min(self.points, key=lambda point: point.loss)

    @property
    def begun(self) -> bool:
        """Whether a gradient was seen."""
        return bool(self.visited)

    def seen(
        self, number: int, sums: Sequence[int], rows: int, accepted: Collection[str], plan: SlotPlan
    ) -> Course:
        """Return the course with round `number`'s sum: `sums` int[d k] over `rows` rows of `accepted`."""
        here = self.current
        visit = Visited(
            number,
            here.weights(plan),
            decode_update(sums, plan, weight=rows).ravel(order="F"),
            frozenset(accepted),
            here.coefficients,
        )
        return Course(self.points, (*self.visited, visit), (*self.rows, (number, rows)))

    def moved(self, point: Point) -> Course:
        """Return the course with one more point."""
        return Course((*self.points, point), self.visited, self.rows)


def start_of(design: Design) -> Course:
    """Return the course of a campaign that has not begun."""
    return Course((Point(design.start, ORIGIN, design.initial_loss),))


def next_point(course: Course, optimiser: Optimiser, design: Design) -> Point:
    """Return the next point, rounded to fixed point, with its loss on the holdout."""
    step = optimiser.step(course.visited)
    weights_int = design.rounded(step.weights)
    return Point(weights_int, step.coefficients, design.loss_at(weights_int))


def held_weights(weights_int: Sequence[int], design: Design) -> list[str]:
    """Return the names of the weights at `weight_max`, which might have moved further."""
    most = design.plan.bounds.weight_max
    names = design.spec.weight_names
    return [name for name, weight in zip(names, weights_int, strict=True) if abs(weight) >= most]


def contribution_vectors(
    course: Course, new: Point, optimiser: Optimiser, design: Design
) -> dict[int, Vector]:
    """Return per round the vector that, times n_i u_i, gives mine i's part of the way from best to `new`."""
    best = course.best
    middle = (best.weights(design.plan) + new.weights(design.plan)) / 2
    gradient = design.holdout.gradient(middle)
    rows = dict(course.rows)
    return score_vectors(gradient, new.coefficients, best.coefficients, rows, optimiser.precondition)
