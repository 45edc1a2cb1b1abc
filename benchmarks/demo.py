"""`sonar demo` from start to end, against Flower's simulation of the same job.

Ours is encrypted, on a chain, paid and reported, every party a process of its own; Flower's is in the clear.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.race import Result, race

ROUNDS = 5
ROOT = Path(__file__).parents[1]
FLOWER = ROOT / ".venv-flower" / "bin" / "python"
MSE_MAX = 2_620.0
"""Both must train a useful model: least squares on the pooled rows has 2,505, the mean 5,572."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "FLWR_TELEMETRY_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


def demo(rounds: int, quick: bool) -> Result:
    """Wall time of both, alternating; the ratio is ours over Flower's."""
    with tempfile.TemporaryDirectory() as folder:
        runners: dict[str, Callable[[], float]] = {"sonar": lambda: _sonar(Path(folder))}
        if FLOWER.exists():
            runners["Flower"] = _flower
        medians = race(runners, 2 if quick else min(rounds, ROUNDS))
    there = "Flower" in medians
    return Result(
        {"Flower": medians["sonar"] / medians["Flower"]} if there else {},
        medians,
        rounds=2 if quick else min(rounds, ROUNDS),
        note="wall time from start to end; the ratio is ours over Flower's, unlike in the other measures",
        missing=() if there else ("Flower",),
    )


def demo_capsules(rounds: int, quick: bool) -> Result:
    """Wall time with three capsules and without, alternating; the ratio is with over without.

    Raises RuntimeError if their losses are not the same, to the last digit.
    """
    losses: list[list[int]] = []

    def run(*options: str) -> float:
        seconds, found = _run(Path(folder), *options)
        losses.append([row["loss"] for row in found["rounds"]])
        return seconds

    with tempfile.TemporaryDirectory() as folder:
        runners = {"sonar": run, "no capsules": lambda: run("--no-capsules")}
        medians = race(runners, 2 if quick else min(rounds, ROUNDS))
    if any(one != losses[0] for one in losses):
        raise RuntimeError(f"capsules change the losses: {losses}")
    return Result(
        {"no capsules": medians["sonar"] / medians["no capsules"]},
        medians,
        rounds=2 if quick else min(rounds, ROUNDS),
        note="wall time from start to end; the ratio is with capsules over without, as for `demo`",
    )


def _sonar(folder: Path) -> float:
    return _run(folder)[0]


def _run(folder: Path, *options: str) -> tuple[float, dict[str, Any]]:
    home = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "sonar", "demo", "--json", "--home", home, *options]
    seconds, told = timed_run(command, {})
    found: dict[str, Any] = json.loads(told)
    _check("sonar demo", min(row["figures"]["mse"] for row in found["rounds"]))
    return seconds, found


def _flower() -> float:
    table = str(resources.files("sonar.data") / "tables" / "diabetes.csv")
    job = str(Path(__file__).with_name("flower_job.py"))
    seconds, told = timed_run([str(FLOWER), job, table], _QUIET)
    _check("Flower", json.loads(told.splitlines()[-1])[-1])
    return seconds


def timed_run(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Seconds from start to end, and what it printed. Raises RuntimeError with its last words."""
    start = time.perf_counter()
    run = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr[-2000:]}")
    return seconds, run.stdout


def _check(who: str, mse: Any) -> None:
    if not mse <= MSE_MAX:
        raise RuntimeError(f"{who} came to an MSE of {mse}, and {MSE_MAX} is the limit")
