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
from sonar.demo.report import MineRow, Report, RoundRow, helped, show
from sonar.demo.view import SCIENTIST, LiveView
from sonar.home.parties import MAX_MINES
from sonar.protocol.ids import ETHER, Address
from sonar.telling.amounts import IN_ETHER
from sonar.telling.documents import CampaignRound, MineRound
from sonar.telling.progress import Event, Line, Note, Round, State, Waiting
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
    assert "waiting for" in text
    assert "mines to commit (1 of 3 have)" in text
    assert " tx" in text
    assert max(len(line) for line in text.splitlines() if "\x1b" not in line) <= 80


def test_a_mines_round_is_told_in_its_row_and_not_in_wei() -> None:
    paid = Round(BOUNTY, 1, MineRound("paid", ETHER, 3441, reward_units=1447753671595175926))
    text = live(("mine-01", paid), width=80)
    assert "round 1: paid" in text
    assert "1447753671595175926" not in text


def test_the_scientist_is_at_work_once_it_says_something() -> None:
    """And in round 2 the first is over: it starts no more."""
    told = CampaignRound(
        1, "settled", 5, 5, [], [], {}, {}, {}, IN_ETHER, 0, {}, {}, figures={"r2": 0.5, "mse": 2.0}
    )
    wait = Waiting("mines to commit to round 2 (0 of at most 3 have)", 1)
    over = Round(BOUNTY, 1, told)
    shown = (((Note("posted"),), "at work"), ((wait, over), "round 1: settled"), ((over, wait), "round 2 "))
    for events, state in shown:
        text = live(*((SCIENTIST, event) for event in events), width=80)
        row = next(line for line in reversed(text.splitlines()) if line.startswith(SCIENTIST))
        assert state in row
        assert "starting" not in row
    assert "mines to commit (0 of 3 have)" in row  # the count is not cut off


def test_the_picture_is_drawn_whatever_the_rounds_came_to(tmp_path: Path) -> None:
    every: dict[str, Any] = dict.fromkeys(Report.__annotations__, 0) | {"capsules": None}
    every |= {"initial": {"r2": 0.0, "mse": 5572.28}, "null_mse": 5572.28, "mines": [], "seconds": {}}
    amounts = dict.fromkeys(("fees", "rewards", "stakes_back", "forfeits", "gas", "withdrawn"), 10**17)
    mine = MineRow("mine-01", Address(ETHER), 1, 40, **{f"{name}_wei": wei for name, wei in amounts.items()})
    for number in range(4):
        rounds = [
            RoundRow(i, 1, 1, {"r2": 0.1, "mse": mse}, [mine.address], [10_000], {}, 1, {}, {})
            for i, mse in enumerate((9e6, 4000.0, 2000.0)[:number], 1)
        ]
        report = Report(**every | {"rounds": rounds, "mines": [mine] * bool(number)})
        plot.draw(report, tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")
        assert helped(report, mine) == number


def test_the_next_commands_can_be_pasted_with_a_space_in_the_path() -> None:
    home = Path("/some where/kept")
    settings = Settings(home, 3, 2, 2048, "anvil")
    words = [shlex.split(command) for command, _ in next_commands(settings, "anvil", BOUNTY)]
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
    every: dict[str, Any] = dict.fromkeys(Report.__annotations__, 0) | {"capsules": None}
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
        "0",
        *("0.1", "1", "10,000", "1"),
    ] in lines
    assert ["ether", "ether", "gwei", "ether"] in [line[-4:] for line in lines]
    assert any("helped," in line for line in lines)  # why fees differ


def test_the_end_is_told_in_a_folder_of_any_name_and_without_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is over by then: its report must not be lost for want of a picture."""
    home = tmp_path / "a [bold]name[/] 'x'"
    settings = Settings(home)
    amounts: dict[str, Any] = dict.fromkeys(Report.__annotations__, 0) | {"capsules": None}
    amounts |= {"bounty": BOUNTY, "chain": {"client": "anvil"}, "initial": {"r2": 0.0, "mse": 1.0}}
    report = Report(**amounts | {"rounds": [], "mines": [], "seconds": {}})

    def no_module(*_: object) -> None:
        raise ImportError("No module named 'matplotlib'")

    monkeypatch.setattr(conduct, "Conductor", lambda *_: SimpleNamespace(run=lambda: report))
    monkeypatch.setattr(plot, "draw", no_module)
    assert run_app(app, "sonar", ["demo", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "No picture of the loss and the payouts: No module named 'matplotlib'" in out
    for command, _ in next_commands(settings, "anvil", BOUNTY):
        assert command in out
    assert run_app(app, "sonar", ["demo", "--home", str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plot"] == 0
