"""Measures of a mine's update: alone, in a round of ten, with more rows, with more local steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import numpy as np

from benchmarks.contenders import ROWS, Blob, Contender, Mine, Phe, Sonar, Task, ours_and_phe
from benchmarks.peers import BITS, installed
from benchmarks.race import Result, race, ratios, timed

MINES = 10
TURN_S = 0.1
SAMPLE = 1  # of phe's ten updates, in a quick run


def update(bits: int, rounds: int) -> Result:
    """One mine's update, against all peers at 2048 bits and against phe at others."""
    task = Task(bits)
    others, missing = installed(task) if bits == BITS else ([], ())
    contenders = [*ours_and_phe(task), *others]
    idle: list[float] = []
    medians = race({each.name: checked(each, task, idle) for each in contenders}, rounds, TURN_S)
    pool_entry = median(idle)
    return Result(
        ratios(medians),
        medians | {"sonar, its pool entry": pool_entry},
        rounds=rounds,
        note="processor time, from rows and encrypted weights to the bytes published",
        missing=missing,
        ratio_with_pool_entry={
            name: value * medians["sonar"] / (medians["sonar"] + pool_entry)
            for name, value in ratios(medians).items()
        },
    )


def round_ten(cores: int, rounds: int, quick: bool) -> Result:
    """Ten mines' updates, ours spread over `cores` processes; phe's one after the other on one core.

    On one core both are charged their processor time; on more, both the time that passes.
    """
    task, clock = Task(BITS), time.process_time if cores == 1 else time.perf_counter
    mine, naive = Mine.of(task), Phe(task, "phe")
    sample = SAMPLE if quick else MINES

    def theirs() -> float:
        return timed(lambda: [naive.run() for _ in range(sample)], clock)[0] * MINES / sample

    with ProcessPoolExecutor(cores, get_context("spawn")) as processes:
        spread = processes.map if cores > 1 else map

        def ours() -> float:
            entries = [mine.pool() for _ in range(MINES)]
            shares = [entries[i::cores] for i in range(cores)]
            return timed(lambda: list(spread(_updates, [mine] * cores, shares)), clock)[0]

        ours()  # the processes have started, and imported what they need
        medians = race({"sonar": ours, "phe": theirs}, rounds)
    kind = "processor" if cores == 1 else "wall"
    scaled = f", {sample} of phe's {MINES} updates timed and scaled" if sample < MINES else ""
    return Result(
        ratios(medians), medians, rounds=rounds, note=f"{kind} time, sonar in {cores} process(es){scaled}"
    )


def rows_44000_vs_44(rounds: int) -> Result:
    """Our update from a thousand times as many rows, A and b included."""
    return _against({"44 rows": Sonar(Task(BITS)), "44,000 rows": Sonar(Task(BITS, 1000 * ROWS))}, rounds)


def steps_1000_vs_1(rounds: int) -> Result:
    """Our update of a thousand local steps, A and b included."""
    task = Task(BITS)
    return _against({"1 step": Sonar(task), "1,000 steps": Sonar(task, steps=1000)}, rounds)


def checked(contender: Contender, task: Task, idle: list[float] | None = None) -> Callable[[], float]:
    """A runner that compares each result with the gradient in the clear; `idle` collects our preparations."""

    def run() -> float:
        prepared, _ = timed(contender.prepare)
        if idle is not None and contender.name == "sonar":
            idle.append(prepared)
        elapsed, blob = timed(contender.run)
        error = float(np.abs(contender.result(blob) - task.gradient).max())
        if error > contender.tolerance:
            raise RuntimeError(f"{contender.name} is off by {error}")
        return elapsed

    return run


def _against(ours: dict[str, Sonar], rounds: int) -> Result:
    """The ratio of the second to the first."""

    def runner(one: Sonar) -> Callable[[], float]:
        if one.mine.steps == 1:
            return checked(one, one.task)

        def run() -> float:
            one.prepare()
            return timed(one.run)[0]

        return run

    medians = race({name: runner(one) for name, one in ours.items()}, rounds, TURN_S)
    first, second = medians
    return Result({first: medians[second] / medians[first]}, medians, rounds=rounds, note="processor time")


def _updates(mine: Mine, shares: Sequence[Sequence[int]]) -> list[Blob]:
    return [mine.update(entries) for entries in shares]
