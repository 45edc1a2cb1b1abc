"""Before and after the demo's run: a folder of its own, and where to look when it fails."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from pysonar.bounty.private import PrivacySettings
from pysonar.bounty.request import Bounty
from sonar.demo import budgets, command, launch
from sonar.demo.launch import LOGS
from sonar.demo.view import SCIENTIST
from sonar.errors import ConfigError, RemoteError
from sonar.families.registry import family_of


@pytest.fixture
def same_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's data; a second that does not pass."""
    monkeypatch.setattr(command, "user_data", lambda: tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "20300102-030405")
    return tmp_path / "demo"


def test_demos_that_begin_in_the_same_second_have_folders_of_their_own(same_second: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        homes = list(threads.map(lambda _: command._new_home(None), range(8)))
    names = {"20300102-030405", *(f"20300102-030405-{number}" for number in range(2, 9))}
    assert {home.name for home in homes} == names
    assert all(home.parent == same_second and home.stat().st_mode & 0o777 == 0o700 for home in homes)


def test_of_demos_that_begin_at_once_in_a_named_folder_one_has_it(tmp_path: Path) -> None:
    home = tmp_path / "kept"

    def begin(_: int) -> Path | ConfigError:
        try:
            return command._new_home(home)
        except ConfigError as error:
            return error

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(begin, range(8)))
    assert found.count(home) == 1
    for error in found:
        if isinstance(error, ConfigError):
            assert str(home) in str(error)
            assert error.hint == "name a new folder, or leave --home out"


def test_what_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for home in (file, file / "below"):
        with pytest.raises(ConfigError, match=str(home)):
            command._new_home(home)
    monkeypatch.setattr(command, "user_data", lambda: file)
    with pytest.raises(ConfigError, match="cannot be made") as failure:
        command._new_home(None)
    assert "--home" in failure.value.hint


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConfigError("x", "is wrong"), RuntimeError("bug")])
def test_however_a_run_fails_the_folder_and_its_logs_are_named(error: BaseException, tmp_path: Path) -> None:
    err = Console(file=io.StringIO(), width=40)
    home = tmp_path / "with [brackets]"
    with pytest.raises(type(error)), command._told_where(home, err):
        raise error
    assert isinstance(err.file, io.StringIO)
    assert str(home / LOGS) in err.file.getvalue()
    assert err.file.getvalue().count("\n") == 1


def test_a_run_that_ends_well_tells_nothing(tmp_path: Path) -> None:
    err = Console(file=io.StringIO())
    with command._told_where(tmp_path, err):
        pass
    assert isinstance(err.file, io.StringIO)
    assert err.file.getvalue() == ""


@pytest.mark.parametrize(
    ("epsilon", "noise", "no_capsules", "field", "words"),
    [
        (0.0, "local", False, "--epsilon", "0 is not from 0.01 to 100"),
        (-1.0, "local", False, "--epsilon", "-1 is not from"),
        (float("nan"), "local", False, "--epsilon", "nan is not from"),
        (float("inf"), "local", False, "--epsilon", "inf is not from"),
        (None, "shared", False, "--noise", "goes with --epsilon"),
        (8.0, "shared", True, "--noise", "takes capsules"),
    ],
)
def test_noise_that_makes_no_sense_is_refused_before_anything_is_made(
    epsilon: float | None, noise: str, no_capsules: bool, field: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        command._check_noise(epsilon, noise, no_capsules)
    assert raised.value.field == field
    assert raised.value.hint
    command._check_noise(8.0, "shared", False)
    command._check_noise(None, "local", True)


@pytest.mark.parametrize(("noise", "parts"), [("local", 1), ("shared", 5)])
def test_the_bounty_of_a_demo_with_noise_declares_it_and_data_have_its_budget(
    noise: str, parts: int, tmp_path: Path
) -> None:
    settings = launch.Settings(tmp_path, epsilon=8.0, noise=noise)
    supervisor = Starts()
    launch.start_party(settings, supervisor, SCIENTIST)  # type: ignore[arg-type]
    launch.start_party(settings, supervisor, "mine-01")  # type: ignore[arg-type]
    bounty = Bounty.from_toml(tmp_path / SCIENTIST / "bounty.toml")
    assert bounty.settings.privacy == PrivacySettings(epsilon=8.0, noise=noise)  # type: ignore[arg-type]
    price = family_of(bounty.design.spec).price(bounty.design.spec)
    assert price is not None
    assert price.parts == parts
    assert supervisor.steps["mine-01"][-2:] == ["--epsilon", "8.0"]
    assert any("mine privacy" in shown for shown, _ in launch.next_commands(settings, "anvil", "0x00"))


def test_without_noise_the_demo_starts_what_it_always_did(tmp_path: Path) -> None:
    settings, supervisor = launch.Settings(tmp_path), Starts()
    launch.start_party(settings, supervisor, SCIENTIST)  # type: ignore[arg-type]
    launch.start_party(settings, supervisor, "mine-01")  # type: ignore[arg-type]
    assert "privacy" not in (tmp_path / SCIENTIST / "bounty.toml").read_text()
    assert "--epsilon" not in supervisor.steps["mine-01"]
    assert not any("mine privacy" in shown for shown, _ in launch.next_commands(settings, "anvil", "0x00"))


class Starts:
    """Notes what would be started."""

    def __init__(self) -> None:
        self.steps: dict[str, list[str]] = {}

    def start(self, party: str, first: list[str], *_: list[str]) -> None:
        self.steps[party] = first


def test_what_a_mine_tells_of_its_budget_is_shown_and_nonsense_is_refused() -> None:
    told = {"data": "d", "rows": 40, "budget": 8.0, "delta": 1e-5, "spent": 7.9999, "left": 0.0, "more": 1}
    told |= {"revealed": [{"parts": 1}]}
    row = budgets.read("mine-01", json.dumps([told]))
    assert (row.name, row.rows, row.spent, row.left) == ("mine-01", 40, 7.9999, 0.0)
    console = Console(file=io.StringIO(), width=100)
    budgets.show([row], console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "mine-01" in shown
    assert "the most that a mine's sums tell of a row, at a delta of 1e-05" in shown
    for text in ("", "[]", "{}", "[1]", json.dumps([told, told]), json.dumps([told | {"budget": None}])):
        with pytest.raises(RemoteError, match="mine-01 told nothing of its budget"):
            budgets.read("mine-01", text)


def test_with_shared_noise_no_more_is_claimed_than_holds_for_sums_over_enough_mines() -> None:
    """Of a single mine's sums, whoever can read them learns more than was paid for."""
    told = {"data": "d", "rows": 40, "budget": 8.0, "delta": 1e-5, "spent": 8.0, "left": 0.0}
    row = budgets.read("mine-01", json.dumps([told | {"revealed": [{"parts": 5}]}]))
    console = Console(file=io.StringIO(), width=100)
    budgets.show([row], console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "the most that sums over 5 mines or more tell of a row" in shown
