"""Whether tests leave out honest mines that add noise: `python -m benchmarks.noise`.

The campaigns of `benchmarks.inspection`, with the product's own sums, sampler and release, and rows drawn
again from each table's own where a mine has more. Every answer is tested opened and by functionals. Nothing
is timed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.functionals import judged
from benchmarks.inspection import HOLDOUT, PLAIN, ROUNDS, Honest, played, tables, verdicts
from benchmarks.masked import answers_of
from sonar.families.quadratic.inspection import same
from sonar.families.quadratic.noisy.choosing import NoiseWish
from sonar.privacy.accounting import rho_of

DELTA = 1e-5
FEW, MANY = 40, 4420


@dataclass(frozen=True)
class Case:
    """What is declared, and how many rows the first and the last mine have; those between lie between."""

    epsilon: float
    parts: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """For people."""
        rows = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"epsilon {self.epsilon:g}, {'local' if self.parts == 1 else 'shared'}, {rows} rows"

    def campaign(self, x: NDArray[np.float64], y: NDArray[np.float64], mines: int, seed: int) -> Honest:
        """Return the campaign of honest mines on these rows."""
        counts = np.rint(np.geomspace(self.first, self.last, mines)).astype(int)
        rng = np.random.default_rng([seed, self.last])
        drawn = rng.permutation(np.resize(np.arange(HOLDOUT, len(x)), int(counts.sum())))
        wish = NoiseWish(rho_of(self.epsilon, DELTA), min(self.parts, mines))
        parts = np.split(drawn, np.cumsum(counts)[:-1])
        return played(x, y, mines, replace(PLAIN, cohort=mines, noise=wish), parts)


def cases() -> Iterator[Case]:
    """Yield every case that is measured."""
    for epsilon in (1.0, 4.0, 8.0):
        for parts in (1, 3):
            for first, last in ((FEW, FEW), (MANY, MANY), (FEW, MANY)):
                yield Case(epsilon, parts, first, last)


def measure(case: Case, partition: int) -> dict[str, Counter[str]]:
    """Return which honest answers of one partition of each table are left out, opened and by functionals."""
    found: dict[str, Counter[str]] = {"opened": Counter(), "functionals": Counter()}
    for name, x, y, mines in tables(partition):
        honest = case.campaign(x, y, mines, partition)
        counts = np.rint(np.geomspace(case.first, case.last, mines)).astype(int)
        rows = {str(i): int(count) for i, count in enumerate(counts)}
        answers = answers_of(honest.design.plan, partition)
        for number in range(1, ROUNDS + 1):
            today = verdicts(honest, honest.opened[:number])
            now, twins, _ = judged(honest, answers, honest.opened[:number], rows)
            twins_opened = same(honest.rules, honest.opened[number - 1], rows, honest.references[number - 1])
            for way, tests, alike in (("opened", today, twins_opened), ("functionals", now, twins)):
                found[way].update(f"{name}, {test}" for test in tests.values() if test)
                found[way].update(f"{name}, twins" for _ in alike)
                found[way]["answers"] += len(tests)
    return found


def main() -> int:
    """Print a line for each case, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        for case in cases():
            total: dict[str, Any] = {"opened": Counter(), "functionals": Counter()}
            for found in pool.map(partial(measure, case), range(options.partitions)):
                for way, counts in found.items():
                    total[way].update(counts)
            print(json.dumps({case.name: total}), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
