"""What `pysonar status` and the end of `pysonar run` show: every figure whole, on a terminal of any width."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from pysonar.show.views import print_result
from sonar.telling.amounts import IN_ETHER

MINE = "0x" + "Ab" * 20
SUMMARY = {
    "name": "diabetes",
    "bounty": "0x" + "cd" * 32,
    "status": "closed",
    "closed": "LAST_ROUND",
    "asset": asdict(IN_ETHER),
    "initial_loss": 1_000_000,
    "metric": "r2",
    "initial": {"r2": 0.0, "mse": 5572.2817},
    "final": {"r2": 0.5298, "mse": 2620.0},
    "target": {"r2": 0.55, "mse": 2507.5},
    "escrow_units": 5 * 10**18,
    "paid_units": 4_307_363_123_456_789_012,
    "refunded_units": 692_636_876_543_210_988,
    "payouts": {MINE: {"fee_units": 1, "reward_units": 2, "forfeit_units": 0, "stake_units": 3}},
    "rounds": [
        {
            "round": 1,
            "ended": "settled",
            "loss": 470_184,
            "best_loss": 470_184,
            "figures": {"r2": 0.529816, "mse": 2619.998},
            "best": {"r2": 0.529816, "mse": 2619.998},
            "cohort": [MINE] * 10,
            "accepted": [MINE] * 9,
            "left_out": {MINE: "test bias-unit\x1b[2J: " + "far from the others " * 9},
            "paid_units": 4_307_363_123_456_789_012,
        }
    ],
}


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_no_figure_is_cut_or_broken(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_result(SUMMARY)
    out = capsys.readouterr().out
    for figure in (
        "R²",
        "0.0000",
        "5,572.3",
        "0.5298",
        "2,620",
        "0.5500",
        "9 of 10" if int(columns) > 40 else "no room for: accepted",
        "~4.307363 ether",
        "0xAbAb…AbAb",
        "0x" + "cd" * 32,
    ):
        assert figure in out
    assert "round 1  left out 0xAbAb…AbAb: test" in " ".join(out.split(" ")).replace("\n", " ")
    assert "bias-unit\ufffd[2J" in out
