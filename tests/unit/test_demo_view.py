"""What `sonar demo` shows: the live table in a narrow terminal, and commands that can be pasted."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from sonar.cli import app
from sonar.demo import conduct, plot
from sonar.demo.launch import Settings, next_commands
from sonar.demo.report import MineRow, Report, RoundRow, show
from sonar.demo.view import SCIENTIST, LiveView
from sonar.home.parties import MAX_MINES
from sonar.protocol.ids import ETHER, Address
from sonar.telling.documents import MineRound
from sonar.telling.progress import Event, Line, Round, State, Waiting
from sonar.telling.terminal import run_app

BOUNTY = "0x" + "ab" * 32


def live(*lines: tuple[str, Event], width: int) -> str:
    """The text that a terminal of this width gets."""
    out = io.StringIO()
    view = LiveView(
        Console(file=out, width=width, force_terminal=True, color_system=None), [SCIENTIST, "mine-01"]
    )
    for party, event in lines:
        view.show(Line(party, 0.0, event))
    view.close()
    return out.getvalue()


def test_a_narrow_terminal_cuts_the_long_column_only() -> None:
    wait = Waiting("mines to commit to round 1 (1 of at most 3 have), which takes them a while", 1)
    text = live((SCIENTIST, wait), ("mine-01", State(BOUNTY, 12, "committing")), width=80)
    assert "mine-01" in text
    assert "round 12: committing" in text
    assert "waiting for mines to commit" in text
    assert " tx" in text
    assert max(len(line) for line in text.splitlines() if "\x1b" not in line) <= 80


def test_a_mines_round_is_told_in_its_row_and_not_in_wei() -> None:
    paid = Round(BOUNTY, 1, MineRound("paid", ETHER, 3441, reward_units=1447753671595175926))
    text = live(("mine-01", paid), width=80)
    assert "round 1: paid" in text
    assert "1447753671595175926" not in text


def test_the_next_commands_can_be_pasted_with_a_space_in_the_path() -> None:
    home = Path("/some where/kept")
    settings = Settings(home, 3, 2, 2048, "anvil", False)
    words = [shlex.split(command) for command, _ in next_commands(settings, "anvil")]
    assert str(home / "mine-01") in words[2]
    assert all(word.startswith("/some where/kept") for each in words for word in each if "kept" in word)


def test_no_figure_of_the_largest_demo_is_cut_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = {"fees_wei": 10**17, "rewards_wei": 10**18, "stakes_back_wei": 10**18, "forfeits_wei": 0}
    amounts |= {"gas_wei": 10**13, "withdrawn_wei": 10**18}
    mines = [
        MineRow(f"mine-{n:02}", Address(f"0xabab{n:032}abab"), 1, 40, **amounts)
        for n in range(1, MAX_MINES + 1)
    ]
    gas = {"commit": 60_000, "reveal": 41_000, "settle": 365_000}
    shares = [900] * 10 + [1000]
    cohort = [mine.address for mine in mines[1:]]  # the first was not there
    row = RoundRow(
        1,
        470_184,
        470_184,
        {"r2": 0.529816, "mse": 2619.98},
        cohort,
        shares,
        {},
        4_307_400 * 10**12,
        gas,
        {"a": 2.6},
    )
    every: dict[str, Any] = dict.fromkeys(Report.__annotations__, 0)
    report = Report(
        **every | {"initial": {"r2": 0.0, "mse": 5572.28}, "rounds": [row], "mines": mines, "seconds": {}}
    )
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    show(report, Console(file=out, color_system=None))
    lines = [re.sub(r"\x1b\[\d*m", "", line).split() for line in out.getvalue().splitlines()]
    assert ["1", "0.5298", "2,620.0", "-", *["9"] * 10, "10", "4.3074", "60/41/365"] in lines
    assert ["start", "0.0000", "5,572.3"] in lines
    assert [
        mines[0].name,
        "0xabab…abab",
        "40",
        "0.100000",
        "1.000000",
        "1.000000",
        "0.000010",
        "1.000000",
    ] in lines


def test_the_end_is_told_in_a_folder_of_any_name_and_without_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is over by then: its report must not be lost for want of a picture."""
    home = tmp_path / "a [bold]name[/] 'x'"
    settings = Settings(home)
    amounts: dict[str, Any] = dict.fromkeys(Report.__annotations__, 0)
    amounts |= {"chain": {"client": "anvil"}, "initial": {"r2": 0.0, "mse": 1.0}}
    report = Report(**amounts | {"rounds": [], "mines": [], "seconds": {}})

    def no_module(*_: object) -> None:
        raise ImportError("No module named 'matplotlib'")

    monkeypatch.setattr(conduct, "Conductor", lambda *_: SimpleNamespace(run=lambda: report))
    monkeypatch.setattr(plot, "draw", no_module)
    assert run_app(app, "sonar", ["demo", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "No picture of the loss and the payouts: No module named 'matplotlib'" in out
    for command, _ in next_commands(settings, "anvil"):
        assert command in out
    assert run_app(app, "sonar", ["demo", "--home", str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plot"] == 0
