"""Before and after the demo's run: a folder of its own, and where to look when it fails."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from sonar.demo import command
from sonar.demo.launch import LOGS
from sonar.errors import ConfigError


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
