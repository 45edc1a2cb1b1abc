"""The demo's job in the clear: no encryption, chain or store."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sklearn.datasets import load_diabetes

from pysonar.bounty.request import Bounty
from sonar.data import examples
from sonar.families.quadratic.optimisers.base import ORIGIN, Ground, Visited
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from tests.family_kit import losses_of, map_of, run_clear


def clear_losses(mines: int, rounds: int) -> list[int]:
    """The loss on the first 42 patients, in millionths of their variance, at the start and after each round.

    From scikit-learn's own data, in plain floats, with no rounding to fixed point.
    """
    x, y = load_diabetes(return_X_y=True)
    held_x, held_y = x[:42], y[:42]
    phi = np.column_stack([np.clip((x - held_x.mean(axis=0)) / held_x.std(axis=0), -8, 8), np.ones(len(x))])
    z = (y - held_y.mean()) / held_y.std()
    held, target = phi[:42], z[:42]
    shards = [
        (part.T @ part / len(part), part.T @ own / len(part), len(part))
        for part, own in zip(np.array_split(phi[42:], mines), np.array_split(z[42:], mines), strict=True)
    ]
    total = sum(rows for _, _, rows in shards)
    optimiser = GradientMemory(Ground(held.T @ held / 42, 42, 1, 1e6))
    weights, coefficients, visited = np.zeros(phi.shape[1]), ORIGIN, []
    losses = [1_000_000]
    for number in range(1, rounds + 1):
        gradient = sum(rows * (b - a @ weights) for a, b, rows in shards) / total
        visited.append(Visited(number, weights, gradient, frozenset("all"), coefficients))
        step = optimiser.step(visited)
        weights, coefficients = step.weights, step.coefficients
        losses.append(round(1e6 * float(np.mean((held @ weights - target) ** 2))))
    return losses


def rounded_losses(mines: int, rounds: int, absent: Collection[int] = ()) -> list[int]:
    """The same in the mines' own fixed point: exactly what a run on encrypted weights must give."""
    bounty = Bounty.example("diabetes", cohort=mines, min_mines=2)
    spec, plan, table = bounty.design.spec, bounty.design.plan, examples.load("diabetes")
    shards = [examples.shard(table, i, mines) for i in range(mines) if i not in absent]
    maps = [map_of(spec, s.matrix(spec.features), s.matrix(bounty.targets), plan.data_frac) for s in shards]
    return losses_of(run_clear(bounty.design, maps, rounds, bounty.optimiser))
