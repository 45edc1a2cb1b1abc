"""What the tests of single updates miss, and which honest mines they leave out: `python -m
benchmarks.inspection`.

Campaigns of honest mines run in the clear, on the integers that opening would give. In each, one mine's
updates are forged from some round on, and the tests say when they notice. Nothing here is timed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data import examples
from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.answer import LocalMap, local_map, moments
from sonar.families.quadratic.comparison import Reference, reference_of
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.inspection import ROUND_ONLY, Rules, inspect, rules_of
from sonar.families.quadratic.losses.base import mapped
from sonar.families.quadratic.noisy.releasing import released_map, row_sums
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from sonar.families.registry import family_of
from sonar.privacy.release import noisy

Array = NDArray[np.float64]
Update = tuple[int, ...]
Forge = Callable[[Update, np.random.Generator, Design, Sequence[int]], Update]

ROUNDS, HOLDOUT = 7, 42
CHEAT = "0"
PLAIN = Wish(key_bits=2048)


def _random(update: Update, rng: np.random.Generator, design: Design, _w: Sequence[int]) -> Update:
    """Within the declared bounds, and on the lattice of what zero weights give."""
    most = design.plan.bounds.b_max
    return tuple(int(x) << design.plan.weight_frac for x in rng.integers(-most, most, len(update)))


def _constant(update: Update, _rng: np.random.Generator, design: Design, _w: Sequence[int]) -> Update:
    """The same in every round: half of the target's unit in each entry."""
    return (1 << (design.plan.scale_bits - 1),) * len(update)


def _no_data(_u: Update, _rng: np.random.Generator, design: Design, weights: Sequence[int]) -> Update:
    """A map of its own making, b = 0 and A = I: what uncorrelated columns of the published constants give."""
    return tuple(-(w << design.plan.data_frac) for w in weights)


def _times(factor: int) -> Forge:
    return lambda update, _rng, _design, _w: tuple(factor * value for value in update)


ATTACKS: dict[str, Forge] = {
    "x3": _times(3),
    "x-1": _times(-1),
    "x-3": _times(-3),
    "x10": _times(10),
    "random": _random,
    "constant": _constant,
    "no data": _no_data,
}


@dataclass(frozen=True)
class Honest:
    """A campaign of honest mines: the model, and each round as opening it would give it."""

    design: Design
    opened: list[Opened]

    @cached_property
    def references(self) -> list[Reference]:
        """What the holdout says of each round's answers."""
        return [reference_of(self.design, each.weights) for each in self.opened]

    @property
    def rules(self) -> Rules:
        """What the manifest says of updates."""
        return rules_of(self.design.spec, self.design.plan, 2, lambda bits: 0x9E3779B97F4A7C15 % (1 << bits))


def tables(seed: int) -> Iterator[tuple[str, Array, Array, int]]:
    """Yield (name, x [n, f], y [n], mines): a partition of diabetes, and targets of several kinds."""
    rng = np.random.default_rng(seed)
    diabetes = examples.load("diabetes")
    order = rng.permutation(diabetes.rows)
    x, y = diabetes.matrix(examples.DIABETES_FEATURES)[order], diabetes.column("target")[order]
    yield "diabetes", x, y, 10
    yield "diabetes, 4 mines", x, y, 4
    n, w = HOLDOUT + 400, rng.normal(size=6)
    z = rng.normal(size=(n, 6))
    skewed = np.exp(z @ w * 0.4 + 0.4 * rng.normal(size=n))
    yield "skewed target", z, skewed, 10
    yield "skewed columns and target", np.exp(z), skewed, 10
    yield "heavy-tailed", z, z @ w + 2 * rng.standard_t(2.2, n), 10
    yield "small spread", z, 0.3 + 0.02 * (z @ w * 0.2 + rng.normal(size=n)), 10


def played(
    x: Array, y: Array, mines: int, wish: Wish = PLAIN, parts: Sequence[NDArray[np.intp]] | None = None
) -> Honest:
    """Return the campaign of honest mines on these rows, the first ones held out.

    `parts`: the places of each mine's rows, by default equally many.
    """
    names = [f"c{i}" for i in range(x.shape[1])]
    held = x[:HOLDOUT], y[:HOLDOUT, None]
    design = design_of(wish, *held, names, ["y"], np.random.RandomState)
    parts = np.array_split(np.arange(HOLDOUT, len(x)), mines) if parts is None else parts
    maps = [map_of(design, x[rows], y[rows], i) for i, rows in enumerate(parts)]
    family, optimiser = family_of(design.spec), GradientMemory(design.ground)
    weights = [min(one.rows, design.plan.weight_rows) for one in maps]
    course, opened = family.start(design), []
    for number in range(1, ROUNDS + 1):
        w = course.current.weights_int
        answers = {str(i): tuple(one.answer(w, design.plan.weight_frac)) for i, one in enumerate(maps)}
        opened.append(Opened(w, answers))
        sums = [
            sum(n * value for n, value in zip(weights, column, strict=True))
            for column in zip(*answers.values(), strict=True)
        ]
        course = course.seen(number, sums, sum(weights), list(answers), design.plan)
        course = course.moved(family.step(design, optimiser, course))
    return Honest(design, opened)


def map_of(design: Design, x: Array, y: Array, seed: int) -> LocalMap:
    """Return what a mine with these rows answers by, with the noise that the model declares."""
    if (noise := design.spec.noise) is not None:
        sums = row_sums(design.spec, [np.column_stack([x, y])])
        values = noisy(sums, noise.parts, np.random.default_rng([seed, *sums.values[:1]]).bytes)
        return released_map(design.spec, design.plan, values, sums.rows)
    z = mapped(design.spec.targets[0], y)[:, None]
    return local_map(design.spec, moments(design.spec.transform(x), z), design.plan.data_frac)


def verdicts(honest: Honest, opened: Sequence[Opened]) -> dict[str, str | None]:
    """Return the failed test of each mine in the last of these rounds."""
    *before, now = opened
    return inspect(honest.rules, Rounds(before), now, lambda _mine: True, honest.references[len(before)])


def caught(honest: Honest, forge: Forge, start: int, joined: int, rng: np.random.Generator) -> int:
    """Return in how many rounds a cheat counts that comes in round `joined`, and forges from `start` on."""
    opened, aggregated = [], 0
    for number, each in enumerate(honest.opened, 1):
        updates = dict(each.updates)
        own = updates.pop(CHEAT)
        assert own is not None
        if number >= joined:
            sent = forge(own, rng, honest.design, each.weights) if number >= start else own
            updates[CHEAT] = sent
        opened.append(Opened(each.weights, updates))
        if number >= start:
            test = verdicts(honest, opened)[CHEAT]
            if test not in (None, *ROUND_ONLY):
                return aggregated  # for good
            aggregated += test is None
    return aggregated


def measure(partitions: int) -> dict[str, Any]:
    """Return per table: honest mines left out of a round, by test; and in how many rounds cheats counted."""
    found: dict[str, Any] = {}
    for seed in range(partitions):
        for name, x, y, mines in tables(seed):
            honest = played(x, y, mines)
            line = found.setdefault(
                name, {"mines": 0, "left out": Counter(), "rounds aggregated, of those forged": {}}
            )
            line["mines"] += mines
            out: dict[str, str] = {}
            for number in range(1, ROUNDS + 1):
                tests = verdicts(honest, honest.opened[:number])
                out |= {mine: test for mine, test in tests.items() if test}
            line["left out"].update(out.values())
            for attack, forge in ATTACKS.items():
                for start, joined in ((1, 1), (2, 1), (3, 1), (5, 1), (3, 3)):
                    rng = np.random.default_rng([seed, start, joined])
                    when = "late" if joined > 1 else f"from round {start}"
                    table = line["rounds aggregated, of those forged"].setdefault(attack, {})
                    counts = table.setdefault(when, Counter())
                    counts[caught(honest, forge, start, joined, rng)] += 1
    return found


def main() -> int:
    """Print the table, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspection", description=__doc__)
    parser.add_argument("--partitions", type=int, default=60)
    found = measure(parser.parse_args().partitions)
    print(json.dumps(found, indent=1, default=dict))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
