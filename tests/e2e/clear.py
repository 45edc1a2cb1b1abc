"""The demo's job in the clear: scikit-learn's own data, plain floats, no encryption, chain, store or rounding."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_diabetes

from pysonar.optimise import ORIGIN, GradientMemory, Visited


def clear_losses(mines: int, rounds: int) -> list[int]:
    """The loss (MSE x 1000 on the first 42 patients) at the start and after each round."""
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
