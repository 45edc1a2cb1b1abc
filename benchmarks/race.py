"""Interleaved rounds: every contender runs once a round, in random order, so that noise hits all alike."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contenders import Task, contenders

_TOLERANCE = 1e-3  # of the gradient, whose values are about 100


@dataclass(frozen=True)
class Race:
    """Processor seconds by contender and round; `pool`: what the pool for one of our updates took."""

    measure: str
    seconds: dict[str, list[float]]
    pool: list[float]

    @property
    def medians_ms(self) -> dict[str, float]:
        return {name: median(times) * 1e3 for name, times in self.seconds.items()}

    def to_json(self) -> dict[str, Any]:
        """Medians in milliseconds, and each peer's ratio to ours, without and with the pool entry's cost."""
        medians = self.medians_ms
        ours, pool = medians.pop("sonar"), median(self.pool) * 1e3
        return {
            "sonar_ms": ours,
            "pool_entry_ms": pool,
            "peers_ms": medians,
            "ratio": {name: value / ours for name, value in medians.items()},
            "ratio_with_pool_entry": {name: value / (ours + pool) for name, value in medians.items()},
            "rounds": len(self.pool),
        }


def race_update(bits: int, rounds: int) -> Race:
    """One mine's update at a key size. Every result is decrypted and held to the gradient in the clear."""
    task = Task(bits)
    runners = contenders(task)
    seconds: dict[str, list[float]] = {runner.name: [] for runner in runners}
    pool: list[float] = []
    for _ in range(rounds):
        for runner in random.sample(runners, len(runners)):
            prepared = _timed(runner.prepare)[0]
            if runner.name == "sonar":
                pool.append(prepared)
            elapsed, blob = _timed(runner.run)
            seconds[runner.name].append(elapsed)
            error = float(np.abs(runner.result(blob) - task.gradient).max())
            if error > _TOLERANCE:
                raise RuntimeError(f"{runner.name} is off by {error} at {bits} bits")
    return Race(f"update_{bits}", seconds, pool)


def _timed(call: Any) -> tuple[float, Any]:
    """Seconds of processor time: contenders compute on one thread, and others' time is not theirs."""
    gc.collect()
    start = time.process_time()
    answer = call()
    return time.process_time() - start, answer
