"""What `sonar demo` shows: the live table in a narrow terminal, and commands that can be pasted."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

from rich.console import Console

from sonar.demo.launch import Settings, next_commands
from sonar.demo.view import SCIENTIST, LiveView
from sonar.progress import Event, Line, Round, State, Waiting

BOUNTY = "0x" + "ab" * 32


def shown(*lines: tuple[str, Event], width: int) -> str:
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
    text = shown((SCIENTIST, wait), ("mine-01", State(BOUNTY, 12, "committing")), width=80)
    assert "mine-01" in text
    assert "round 12: committing" in text
    assert "waiting for mines to commit" in text
    assert " tx" in text
    assert max(len(line) for line in text.splitlines() if "\x1b" not in line) <= 80


def test_a_mines_round_is_told_in_its_row_and_not_in_wei() -> None:
    paid = Round(BOUNTY, 1, {"result": "paid", "share_bps": 3441, "reward_wei": 1447753671595175926})
    text = shown(("mine-01", paid), width=80)
    assert "round 1: paid" in text
    assert "1447753671595175926" not in text


def test_the_next_commands_can_be_pasted_with_a_space_in_the_path() -> None:
    home = Path("/some where/kept")
    settings = Settings(home, 3, 2, 2048, "anvil", False)
    words = [shlex.split(command) for command, _ in next_commands(settings, "anvil")]
    assert str(home / "mine-01") in words[2]
    assert all(word.startswith("/some where/kept") for each in words for word in each if "kept" in word)
