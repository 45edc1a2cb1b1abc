"""How good models get on targets of small spread: `python -m benchmarks.spreads`.

Four realistic tables of 2,000 rows: a share, blood pH, haematocrit, and the logarithm of a price.
The scientist holds 400 rows out, six mines have the others, and the model is trained in the clear by the
family and the optimiser that encrypted campaigns have, for which the tests show the same losses. Each is
compared with least squares over all mines' rows: R² on the holdout round by round, and the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from tests.family_kit import least_squares, map_of, run_clear

Array = NDArray[np.float64]
ROWS, HELD_OUT, MINES, ROUNDS = 2000, 400, 6, 8


@dataclass(frozen=True)
class Table:
    """A table: x float64[rows, features], y float64[rows]."""

    name: str
    features: tuple[str, ...]
    x: Array
    y: Array


@dataclass(frozen=True)
class Reached:
    """What a campaign reached: R² on the holdout by rounds, the null model's first, and coefficients."""

    r2: list[float]
    pooled_r2: float
    coefficients: dict[str, float]
    pooled: dict[str, float]


def tables(seed: int) -> Iterator[Table]:
    """Yield the four tables of a seed."""
    rng = np.random.default_rng(seed)
    a, b, c, noise = rng.normal(size=(4, ROWS))
    abc, names = np.column_stack([a, b, c]), ("a", "b", "c")
    yield Table("share", ("a", "b"), abc[:, :2], 0.30 + 0.018 * a + 0.009 * b + 0.002 * noise)
    yield Table("blood pH", names, abc, 7.40 + 0.05 * (0.6 * a - 0.5 * b + 0.3 * c + 0.5 * noise))
    yield Table("haematocrit", names, abc, 0.42 + 0.04 * (0.7 * a + 0.3 * b - 0.4 * c + 0.5 * noise))
    area, age = rng.uniform(30, 200, ROWS), rng.integers(0, 80, ROWS)
    price = 5.2 + 0.004 * area - 0.002 * age + 0.05 * c + 0.08 * noise
    yield Table("log10 price", ("area", "age", "c"), np.column_stack([area, age, c]), price)


def trained(table: Table) -> Reached:
    """Train a bounty of the default settings on a table, in at most `ROUNDS` rounds."""
    held, rest = slice(0, HELD_OUT), slice(HELD_OUT, ROWS)
    bounty = Bounty.of(
        table.x[held], table.y[held], target="y", features=table.features, name="spread", rounds=ROUNDS
    )
    design = bounty.design
    parts = np.array_split(np.arange(ROWS)[rest], MINES)
    maps = [map_of(design.spec, table.x[part], table.y[part], design.plan.data_frac) for part in parts]
    course = run_clear(design, maps, ROUNDS, bounty.optimiser)
    with_ones = np.column_stack([table.x, np.ones(ROWS)])
    fit = least_squares(with_ones[rest], table.y[rest])
    left = table.y[held] - with_ones[held] @ fit
    return Reached(
        [1 - point.loss / 1e6 for point in course.points],
        1 - float(np.mean(left**2) / table.y[held].var()),
        LinearModel.of(design, course).coefficients,
        dict(zip((*table.features, "(bias)"), fit.tolist(), strict=True)),
    )


def main() -> None:
    """Print the four tables of one seed."""
    for table in tables(0):
        reached = trained(table)
        print(f"{table.name}: R² by rounds " + " ".join(f"{value:.4f}" for value in reached.r2))
        print(f"  least squares over all mines' rows: R² {reached.pooled_r2:.4f}")
        for name, value in reached.coefficients.items():
            print(f"  {name:8} {value:10.6f}, by least squares {reached.pooled[name]:10.6f}")


if __name__ == "__main__":
    main()
