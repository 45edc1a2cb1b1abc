"""A study over real processes: a chain, three mines with CSV files of their own, and a scientist, by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MONEY = 'cohort = 3\nmin_mines = 2\nkey_bits = 2048\nfee = "0.01 ether"\nstake = "0.05 ether"\n'
COLUMNS = """
[columns.age]
low = 0
high = 120
unit = "years"

[columns.height]
low = 50
high = 250
unit = "cm"
missing = true

[columns.sex]
levels = ["f", "m"]
"""
ONE_ROUND = f'name = "heights"\n{MONEY}\n[statistic]\nkind = "describe"\nby = "sex"\n{COLUMNS}'
ROUNDS = (
    f'name = "middle"\n{MONEY}\n[statistic]\nkind = "quantiles"\ncolumn = "age"\nshares = [0.5]\n{COLUMNS}'
)
WAIT_S = 120.0


def rows(index: int) -> list[tuple[str, str, str]]:
    """A mine's rows: age, height (some are missing), sex."""
    rng = np.random.default_rng(index)
    ages, heights, sexes = rng.uniform(20, 90, 60), rng.normal(170, 10, 60), rng.integers(0, 2, 60)
    return [
        (f"{age:.2f}", "" if place % 10 == 3 else f"{height:.1f}", "fm"[sex])
        for place, (age, height, sex) in enumerate(zip(ages, heights, sexes.tolist(), strict=True))
    ]


class Town:
    """The programs, as a user starts them. Only what was started here is ever killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = os.environ | {"SONAR_PASSWORD": "for this test only"}
        self.env.pop("SONAR_NETWORK", None)
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._running.append(child)
        return child

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=WAIT_S,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def close(self) -> None:
        for child in reversed(self._running):
            if child.poll() is None:
                child.terminate()
        for child in self._running:
            child.wait(20)


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    made = Town(folder)
    try:
        made.start("sonar", "chain", "--home", "net")
        until_s = time.monotonic() + WAIT_S
        while not (folder / "net/network.toml").exists():
            assert time.monotonic() < until_s
            time.sleep(0.1)
        for i in range(3):
            lines = ["age,height,sex", *(",".join(row) for row in rows(i))]
            (folder / f"data{i}.csv").write_text("\n".join(lines) + "\n")
            made.run("mine", "init", "--home", f"mine{i}", "--network", "net/network.toml", "--dev",
                     "--csv", f"data{i}.csv")  # fmt: skip
        made.run("pysonar", "init", "--home", "scientist", "--network", "net/network.toml", "--dev")
        made.run("sonar", "fund", "mine0", "mine1", "mine2", "scientist", "--network", "net/network.toml")
        yield made
    finally:
        made.close()


def test_studies_from_their_files_to_their_tables(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(ONE_ROUND)
    (tmp_path / "rounds.toml").write_text(ROUNDS)
    with town(tmp_path) as made:
        assert "fees only" in made.run("pysonar", "explain", "study.toml", "--home", "scientist")
        for i in range(3):
            made.start("mine", "run", "--home", f"mine{i}", "--join-all", "--claim")

        told = made.run("pysonar", "run", "study.toml", "--home", "scientist", "--yes")
        assert "round 1 of at most 1" in told
        check_description(
            json.loads(made.run("pysonar", "result", "heights", "--home", "scientist", "--json"))
        )
        assert "height" in made.run("pysonar", "result", "heights", "--home", "scientist")

        killed_between_rounds(made)
        found = json.loads(made.run("pysonar", "result", "middle", "--home", "scientist", "--json"))
        ages = [float(row[0]) for i in range(3) for row in rows(i)]
        assert found["result"]["values"][0] == pytest.approx(np.median(ages), abs=3)

        status = made.run("pysonar", "status", "--home", "scientist")
        assert "that is all" in status
        assert "heights" in status
        assert "middle" in status
        for name in ("heights", "middle"):
            verified(made, name)
        assert "asks for a statistic" in made.run(
            "pysonar", "predict", "heights", "--csv", "data0.csv", "--home", "scientist", code=2
        )


def check_description(found: dict[str, Any]) -> None:
    assert (found["name"], found["statistic"]) == ("heights", "describe")
    pooled = [row for i in range(3) for row in rows(i)]
    text = json.dumps(found["result"])
    assert str(sum(row[2] == "f" for row in pooled)) in text
    numbers = {(one["column"], one["group"]): one for one in found["result"]["numbers"]}
    for sex in "fm":
        heights = [float(row[1]) for row in pooled if row[2] == sex and row[1]]
        assert numbers["height", sex]["mean"] == pytest.approx(np.mean(heights), rel=1e-6)


def killed_between_rounds(made: Town) -> None:
    """The scientist's program is killed after a round is over, and the same command goes on."""
    first = made.start("pysonar", "run", "rounds.toml", "--home", "scientist", "--yes", "--json")
    assert first.stdout is not None
    for line in first.stdout:
        if json.loads(line)["kind"] == "round":
            break
    first.kill()
    first.wait(20)
    made.run("pysonar", "run", "rounds.toml", "--home", "scientist", "--yes")


def verified(made: Town, name: str) -> None:
    status = json.loads(made.run("pysonar", "status", "--home", "scientist", "--json"))
    (bounty,) = (one["bounty"] for one in status["campaigns"] if one["name"] == name)
    for command in (
        ("sonar", "verify", bounty, "--network", "net/network.toml", "--json"),
        ("mine", "verify", bounty, "--home", "mine0", "--json"),
    ):
        told = json.loads(made.run(*command).splitlines()[-1])
        assert told["result"] == "holds", told
