"""The job in the clear: what mines answer, and a whole campaign of them without key, chain or store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.answer import LocalMap, local_map, moments
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.losses.base import mapped
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.registry import family_of

Array = NDArray[np.float64]


def design_like(x: Array, y: Array, features: Sequence[str], targets: Sequence[str], **wishes: Any) -> Design:
    """Return the design for held-out rows x [n, f] and y [n, k], with the defaults of a bounty."""
    wish = Wish(**{"key_bits": 2048} | wishes)
    return design_of(wish, x, y.reshape(len(x), -1), features, targets, np.random.RandomState)


def least_squares(phi: Array, z: Array) -> Array:
    """Return the weights [d] or [d, k] of least squares over rows phi [n, d] and z [n] or [n, k]."""
    return np.asarray(np.linalg.lstsq(phi, z, rcond=None)[0], np.float64)


def map_of(spec: QuadraticSpec, x: Array, y: Array, data_frac: int) -> LocalMap:
    """Return (A, b) of rows x [n, f] and y [n] or [n, k], without the checks that a mine makes."""
    y = y.reshape(len(x), -1)
    z = np.column_stack([mapped(target, column) for target, column in zip(spec.targets, y.T, strict=True)])
    return local_map(spec, moments(spec.transform(x), z), data_frac)


def opened_sum(maps: Sequence[LocalMap], course: Course, design: Design) -> list[int]:
    """Return the sum over a cohort, as the key opens it."""
    w, frac = course.current.weights_int, design.plan.weight_frac
    answers = [[weight_of(one, design) * value for value in one.answer(w, frac)] for one in maps]
    return [sum(column) for column in zip(*answers, strict=True)]


def weight_of(one: LocalMap, design: Design) -> int:
    """Return what a mine's answer weighs in the sum."""
    return min(one.rows, design.plan.weight_rows)


def run_clear(
    design: Design,
    maps: Sequence[LocalMap],
    rounds: int,
    optimiser: Optimiser | None = None,
    present: Callable[[int], Collection[int]] | None = None,
) -> Course:
    """Return the course of a campaign: exactly what one on encrypted weights must go."""
    family = family_of(design.spec)
    optimiser = optimiser or GradientMemory(design.ground)
    course: Course = family.start(design)
    for number in range(1, rounds + 1):
        cohort = sorted(present(number)) if present else range(len(maps))
        there = [maps[i] for i in cohort]
        sums = opened_sum(there, course, design)
        rows = sum(weight_of(one, design) for one in there)
        course = course.seen(number, sums, rows, [str(i) for i in cohort], design.plan)
        course = course.moved(family.step(design, optimiser, course))
    return course


def losses_of(course: Course) -> list[int]:
    """Return the losses in millionths, the start's first."""
    return [point.loss for point in course.points]
