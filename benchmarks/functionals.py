"""What is lost where single updates are known by functionals alone: `python -m benchmarks.functionals`.

The campaigns of `benchmarks.inspection`, with every update under masks of three classes. Both ways of testing
see the same updates. Nothing here is timed, and nothing is encrypted; what is told is the product's.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.inspection import ATTACKS, CHEAT, ROUNDS, Array, Forge, Honest, played, tables, verdicts
from benchmarks.masked import Answers, answers_of
from pysonar.keys.base import scaled
from sonar.families.opened import Opened
from sonar.families.quadratic.inspection import ROUND_ONLY
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from sonar.families.quadratic.veiled.judging import Tests, tests_of
from sonar.families.registry import family_of
from sonar.families.veiled import Sent
from sonar.settling.shares import shares_of

STARTS = ((1, 1), (2, 1), (3, 1), (5, 1), (3, 3))
"""In which round a cheat begins to forge, and in which it joined."""


def judged(
    honest: Honest, answers: Answers, opened: Sequence[Opened], rows: int | Mapping[str, int]
) -> tuple[dict[str, str | None], dict[str, str], Tests]:
    """Return the failed test of each mine in the last of these rounds, and the twins, by functionals.

    `rows`: what each mine says it has, or one number for all.
    """
    rounds = [
        Sent(number, each.weights, frozenset(mine for mine, u in each.updates.items() if u is not None))
        for number, each in enumerate(opened, 1)
    ]
    draw = random.Random(len(rounds)).getrandbits
    reference = honest.references[len(rounds) - 1]
    claimed = rows if isinstance(rows, Mapping) else dict.fromkeys(rounds[-1].mines, rows)
    rules = replace(honest.rules, plan=answers.plan)
    tests = tests_of(rules, answers.plan, rounds, reference, claimed, draw)
    heard = {}
    for mine, asks in tests.asks.items():
        of = {number: each.updates.get(mine) for number, each in enumerate(opened, 1)}
        heard[mine] = tuple(
            answers.heard(asked, [of[number] or () for number, _ in asked.parts], mine) for asked in asks
        )
    return (*tests.judged(heard), tests)


def forged(honest: Honest, forge: Forge, start: int, joined: int, rng: np.random.Generator) -> list[Opened]:
    """Return the campaign in which one mine comes in round `joined`, and forges from `start` on."""
    opened = []
    for number, each in enumerate(honest.opened, 1):
        updates = dict(each.updates)
        own = updates.pop(CHEAT)
        assert own is not None
        if number >= joined:
            updates[CHEAT] = forge(own, rng, honest.design, each.weights) if number >= start else own
        opened.append(Opened(each.weights, updates))
    return opened


def shares_off(honest: Honest, answers: Answers, rows: int) -> list[tuple[int, int]]:
    """Return by how many basis points shares are off the exact ones, by functionals, and by opened answers:
    every mine and round. Scores have 16 bits either way.
    """
    design, found, sums = honest.design, list[tuple[int, int]](), dict[int, tuple[list[int], int]]()
    family, optimiser = family_of(design.spec), GradientMemory(design.ground)
    course = family.start(design)
    for number, each in enumerate(honest.opened, 1):
        mines, values = sorted(each.updates), {m: u for m, u in each.updates.items() if u is not None}
        total = [rows * sum(column) for column in zip(*values.values(), strict=True)]
        sums[number] = total, rows * len(mines)
        seen = course.seen(number, *sums[number], mines, design.plan)
        point = family.step(design, optimiser, seen)
        vectors = family.score_vectors(design, optimiser, seen, point)
        exact = {mine: math.fsum(_product(honest, s, mine, v) for s, v in vectors.items()) for mine in mines}
        listed = {s: v.tolist() for s, v in vectors.items()}
        wanted = family.veiled_scores(answers.plan, listed, dict.fromkeys(vectors, mines), mines, sums)
        heard = {
            mine: tuple(
                answers.heard(ask, [honest.opened[s - 1].updates[mine] or () for s, _ in ask.parts], mine)
                for ask in asks
            )
            for mine, asks in wanted.asks.items()
        }
        scores = wanted.scored(heard, dict.fromkeys(heard, rows))
        told, true = shares_of(scores, mines), shares_of(exact, mines)
        opened = shares_of(scaled(exact), mines)
        found += [(abs(told[mine] - true[mine]), abs(opened[mine] - true[mine])) for mine in mines]
        course = seen.moved(point)
    return found


def _product(honest: Honest, number: int, mine: str, vector: Array) -> float:
    update = honest.opened[number - 1].updates[mine]
    return float(np.array(update, dtype=np.float64) @ vector) / 2.0**honest.design.plan.scale_bits


def measure(partition: int) -> dict[str, Any]:
    """Return what one partition of each table shows."""
    found: dict[str, Any] = {}
    for name, x, y, mines in tables(partition):
        honest = played(x, y, mines)
        answers, rows = answers_of(honest.design.plan, partition), (len(x) - 42) // mines
        line: dict[str, Counter[str]] = {
            key: Counter()
            for key in ("kept today", "left out", "twins", "bits", "caught today", "missed", "by")
        }
        for number in range(1, ROUNDS + 1):
            today = verdicts(honest, honest.opened[:number])
            now, twins, tests = judged(honest, answers, honest.opened[:number], rows)
            line["kept today"]["updates"] += sum(test is None for test in today.values())
            line["left out"].update(test for m, test in now.items() if test and today[m] is None)
            line["twins"]["pairs"] += len(twins)
            bits = {sum(asked.bits for asked in asks) for asks in tests.asks.values()}
            line["bits"][f"round {number}"] = max(bits)
        off = shares_off(honest, answers, rows)
        for key, points in (("basis points off", 0), ("the same if opened", 1)):
            counts = sorted(Counter(each[points] for each in off).items())
            line[key] = Counter({str(number): times for number, times in counts})
        for attack, forge in ATTACKS.items():
            for start, joined in STARTS:
                rng = np.random.default_rng([partition, start, joined])
                opened = forged(honest, forge, start, joined, rng)
                for number in range(start, ROUNDS + 1):
                    test = verdicts(honest, opened[:number])[CHEAT]
                    if test is not None:
                        now, _, _ = judged(honest, answers, opened[:number], rows)
                        line["caught today"][attack] += 1
                        line["by"][f"{test}: {now[CHEAT]}"] += 1
                        line["missed"][f"{attack}, {start} {joined}, {test}"] += now[CHEAT] is None
                    if test not in (None, *ROUND_ONLY):
                        break
        found[name] = line
    return found


def main() -> int:
    """Print the table, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.functionals", description=__doc__)
    parser.add_argument("--partitions", type=int, default=4)
    partitions = parser.parse_args().partitions
    total: dict[str, dict[str, Counter[str]]] = {}
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(measure, range(partitions)):
            for name, line in found.items():
                for key, counts in line.items():
                    into = total.setdefault(name, {}).setdefault(key, Counter())
                    into.update({k: v for k, v in counts.items() if key != "bits"})
                    if key == "bits":
                        into |= counts
                        total[name][key] = into
    print(json.dumps(total, indent=1, default=dict))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
