"""Interleaved rounds: every contender runs once a round, in random order, so that noise hits all alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a measure found: medians by contender, and by peer the ratio of its median to ours.

    `ratio_with_pool_entry` counts what our pool entry took as well; `missing` names the peers that are not
    installed; `note` says how it was timed.
    """

    ratio: dict[str, float]
    medians: dict[str, float]
    unit: str = "s"
    rounds: int = 1
    note: str = ""
    missing: tuple[str, ...] = ()
    ratio_with_pool_entry: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same, without what does not apply."""
        always = {"ratio": self.ratio, "medians": self.medians, "unit": self.unit, "rounds": self.rounds}
        others = {
            "note": self.note,
            "missing": list(self.missing),
            "ratio_with_pool_entry": self.ratio_with_pool_entry,
        }
        return always | {name: value for name, value in others.items() if value}


def race(runners: Mapping[str, Callable[[], float]], rounds: int, turn_s: float = 0.0) -> dict[str, float]:
    """The median of what each runner says it took, over `rounds` interleaved rounds.

    A runner whose turn is over before `turn_s` runs again, so that the short ones are not measured by the
    caches that the others leave behind; its median counts for the round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name in random.sample(list(runners), len(runners)):
            turn = [runners[name]()]
            while sum(turn) < turn_s:
                turn.append(runners[name]())
            seconds[name].append(median(turn))
    return {name: median(times) for name, times in seconds.items()}


def ratios(medians: Mapping[str, float], ours: str = "sonar") -> dict[str, float]:
    """By contender, how many times as long as ours it took."""
    return {name: value / medians[ours] for name, value in medians.items() if name != ours}


def timed(call: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> tuple[float, Any]:
    """Seconds and the answer. Processor time unless `clock` is another: others' time is not ours."""
    gc.collect()
    start = clock()
    answer = call()
    return clock() - start, answer
