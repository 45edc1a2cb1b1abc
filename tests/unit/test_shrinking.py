"""The ridge that is made of the sums which a campaign has opened, beside one on all rows in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.prepare import prepare
from sonar.families.quadratic.shrinking import RIDGES, path, pooled_curvature, shrunk
from tests.family_kit import run_clear

RNG = np.random.default_rng(8)


def campaign(classes: int, rounds: int, columns: int = 6) -> tuple[Design, Course, list[LocalMap]]:
    """A course over three mines, and their maps."""
    x = RNG.normal(size=(400, columns)) @ np.triu(np.ones((columns, columns)))
    kinds = (x @ RNG.normal(size=(columns, classes)) + RNG.normal(size=(400, classes))).argmax(axis=1)
    settings: dict[str, Any] = {"name": "r", "loss": "logistic-taylor", "key_bits": 2048, "cohort": 3}
    names = [f"c{i}" for i in range(columns)]
    one = Bounty.of(x[:100], kinds[:100], target="kind", features=names, **settings)
    spec, plan = one.design.spec, one.design.plan
    rows = np.split(np.arange(100, 400), 3)
    maps = [prepare(spec, plan, [np.column_stack([x, kinds])[part]]) for part in rows]
    return one.design, run_clear(one.design, maps, rounds), maps


def pooled(design: Design, maps: list[LocalMap]) -> tuple[Any, Any]:
    scale = len(maps) * 2.0**design.plan.data_frac
    return (
        np.sum([one.a_int.astype(float) for one in maps], axis=0) / scale,
        np.sum([one.b_int.astype(float) for one in maps], axis=0) / scale,
    )


@pytest.mark.parametrize(("classes", "rounds"), [(2, 9), (4, 4)])
def test_after_enough_steps_it_is_the_pooled_ridge(classes: int, rounds: int) -> None:
    """Four outputs show the curvature in four directions at a time."""
    design, course, maps = campaign(classes, rounds)
    a, b = pooled(design, maps)
    assert pooled_curvature(design, course) == pytest.approx(a, abs=2e-4 * np.abs(a).max())
    shrinks = np.diag([1.0] * (len(a) - 1) + [0.0]) * np.trace(a) / len(a)
    for part, weights in zip(RIDGES, path(design, course), strict=True):
        wanted = np.linalg.solve(a + part * shrinks, b).T.ravel()
        assert weights == pytest.approx(wanted, abs=2e-3 * np.abs(wanted).max())


def test_before_it_agrees_with_what_was_seen() -> None:
    design, course, maps = campaign(2, 4)
    a, _ = pooled(design, maps)
    found = pooled_curvature(design, course)
    assert np.linalg.eigvalsh(found).min() > 0
    first, second = course.visited[1:3]
    step = second.weights - first.weights
    assert found @ step == pytest.approx(a @ step, abs=1e-4 * np.abs(a @ step).max())
    prior = design.ground.curvature
    assert np.linalg.norm(found - a) < np.linalg.norm(prior - a)


def test_it_is_never_worse_on_the_holdout() -> None:
    for rounds in (1, 3, 6):
        design, course, _ = campaign(3, rounds)
        weights, loss = shrunk(design, course)
        assert loss == design.holdout.loss(weights, design.metric) <= course.best.loss


def test_before_any_sum_there_is_none() -> None:
    design, course, _ = campaign(3, 0)
    assert path(design, course) == []
    assert shrunk(design, course)[1] == design.initial_loss
