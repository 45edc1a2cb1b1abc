"""`sonar demo --epsilon` as a user runs it: mines add noise once, pay once, and are all in every sum."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sonar.demo.report import Report
from tests.e2e.kit import has_anvil, run_demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
MINES, ROUNDS, EPSILON = 4, 3, 8.0


def mine(home: Path, *command: str) -> Any:
    """What a mine's command prints as JSON."""
    run = subprocess.run(
        [sys.executable, "-m", "mine", *command, "--home", str(home), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("noise", "capsules"),
    [
        ("local", 0),
        pytest.param("shared", 3, marks=pytest.mark.skipif(not has_anvil(), reason="Anvil is not installed")),
    ],
)
def test_noise_is_added_once_and_paid_once_and_nobody_is_left_out(
    noise: str, capsules: int, tmp_path: Path
) -> None:
    home = tmp_path / "kept"
    settings = {"mines": MINES, "rounds": ROUNDS, "epsilon": EPSILON, "noise": noise, "capsules": capsules}
    report: Report = run_demo(home, **settings)
    assert [len(row.cohort) for row in report.rounds] == [MINES] * ROUNDS
    assert all(row.left_out == {} for row in report.rounds)
    assert min(row.loss for row in report.rounds) < 900_000
    assert report.paid_wei + report.refunded_wei == report.escrow_wei

    assert [row.name for row in report.budgets] == [f"mine-{i:02d}" for i in range(1, MINES + 1)]
    for row in report.budgets:
        assert row.budget == EPSILON
        assert EPSILON - 0.01 < row.spent <= EPSILON
        assert 0 <= row.left < 0.01
        (told,) = mine(home / row.name, "privacy")
        assert len(told["revealed"]) == 1  # one release, whatever was asked in how many rounds
