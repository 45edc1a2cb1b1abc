"""The demo's job in the clear: no encryption, chain or store."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sklearn.datasets import load_diabetes

from pysonar.bounty.request import Bounty
from pysonar.campaign.aggregate import next_point, optimiser_of, start_of
from sonar.data import examples
from sonar.families.quadratic.answer import local_map
from sonar.families.quadratic.step import ORIGIN, GradientMemory, Visited
from sonar.paillier.vector import encode_weights


def clear_losses(mines: int, rounds: int) -> list[int]:
    """The loss (MSE x 1000 on the first 42 patients) at the start and after each round.

    From scikit-learn's own data, in plain floats, with no rounding to fixed point.
    """
    x, y = load_diabetes(return_X_y=True)
    mean, std = x[:42].mean(axis=0), x[:42].std(axis=0)
    phi = np.column_stack([np.clip((x - mean) / std, -8, 8), np.ones(len(x))])
    held, target = phi[:42], y[:42]
    shards = [
        (part.T @ part / len(part), part.T @ own / len(part), len(part))
        for part, own in zip(np.array_split(phi[42:], mines), np.array_split(y[42:], mines), strict=True)
    ]
    total = sum(rows for _, _, rows in shards)
    optimiser = GradientMemory(held.T @ held / 42, phi.shape[1] - 1, 1e6)
    weights, coefficients, visited = np.zeros(phi.shape[1]), ORIGIN, []
    losses = [round(1000 * float(np.mean((held @ weights - target) ** 2)))]
    for number in range(1, rounds + 1):
        gradient = sum(rows * (b - a @ weights) for a, b, rows in shards) / total
        visited.append(Visited(number, weights, gradient, frozenset("all"), coefficients))
        step = optimiser.step(visited)
        weights, coefficients = step.weights, step.coefficients
        losses.append(round(1000 * float(np.mean((held @ weights - target) ** 2))))
    return losses


def rounded_losses(mines: int, rounds: int, absent: Collection[int] = ()) -> list[int]:
    """The same in the mines' own fixed point: exactly what a run on encrypted weights must give."""
    design = Bounty.example("diabetes", cohort=mines, min_mines=2).design
    plan, table = design.plan, examples.load("diabetes")
    shards = [examples.shard(table, i, mines) for i in range(mines) if i not in absent]
    maps = [
        local_map(design.spec, s.matrix(design.spec.features), s.column(design.spec.target), data_frac=20)
        for s in shards
    ]
    optimiser, course = optimiser_of("gradient-memory", None, design), start_of(design)
    for number in range(1, rounds + 1):
        w = np.array([int(x) for x in encode_weights(course.current.weights(plan), plan)], dtype=object)
        sums = sum(m.rows * (m.b_int * 2**plan.weight_frac - m.a_int @ w) for m in maps)
        course = course.seen(number, list(sums), sum(m.rows for m in maps), ["all"], plan)
        course = course.moved(next_point(course, optimiser, design))
    return [point.loss for point in course.points]
