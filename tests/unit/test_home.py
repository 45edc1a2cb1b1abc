"""A home belongs to one user, one role and one process."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sonar.errors import ConfigError, HomeLocked, KeyFileError
from sonar.home.folder import Home, default_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_is_private_and_marked(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b", "mine")
    assert mode(home.path) == mode(home.keystore) == 0o700
    assert Home(home.path, "mine", create=False).journal == home.path / "journal.sqlite"


def test_a_missing_home_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a home of mine") as caught:
        Home(tmp_path / "typo", "mine", create=False)
    assert "mine init" in caught.value.hint
    assert not (tmp_path / "typo").exists()


def test_a_home_of_another_role_is_refused(tmp_path: Path) -> None:
    Home(tmp_path, "mine")
    with pytest.raises(ConfigError, match="is a home of mine, not of pysonar"):
        Home(tmp_path, "pysonar")


@pytest.mark.parametrize("bits", [0o770, 0o707])
def test_a_home_that_others_can_write_to_is_refused(tmp_path: Path, bits: int) -> None:
    Home(tmp_path / "h", "mine")
    (tmp_path / "h").chmod(bits)
    with pytest.raises(ConfigError, match="others may write") as caught:
        Home(tmp_path / "h", "mine")
    assert caught.value.hint == f"chmod 700 {tmp_path / 'h'}"


@pytest.mark.parametrize("text", ["", "role = 7", "not toml at all [", "role = 'mine'"])
def test_a_damaged_mark_is_refused(tmp_path: Path, text: str) -> None:
    Home(tmp_path, "mine")
    (tmp_path / "home.toml").write_text(text)
    with pytest.raises(ConfigError, match="home"):
        Home(tmp_path, "mine")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Home(tmp_path, "mine")
    (tmp_path / "home.toml").write_text("role = 'mine'\nformat = 2\n")
    with pytest.raises(ConfigError, match=r"has version 2, from a newer Sonar .* which reads version 1"):
        Home(tmp_path, "mine")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be made"):
        Home(tmp_path / "file" / "home", "mine")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from sonar.home.folder import Home\n"
        "Home(pathlib.Path(sys.argv[1]), 'mine').lock(); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(HomeLocked, match=f"process {child.pid} works in"):
            Home(tmp_path, "mine").lock()
        assert Home(tmp_path, "mine").worker() == str(child.pid)
        child.kill()  # a killed process frees its home
    assert Home(tmp_path, "mine").worker() == ""
    with Home(tmp_path, "mine").lock(), pytest.raises(HomeLocked, match=str(os.getpid())):
        Home(tmp_path, "mine").lock()
    Home(tmp_path, "mine").lock().unlock()


def test_a_look_at_who_works_does_not_keep_a_process_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path, "mine")
    assert home.worker() == ""  # nobody ever has
    home.lock().unlock()
    with (tmp_path / "lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda _: look.close())
        home.lock().unlock()


def test_the_environment_names_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SONAR_HOME", str(tmp_path))
    assert default_home("mine") == tmp_path
    monkeypatch.delenv("SONAR_HOME")
    assert default_home("mine") != default_home("pysonar")


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(_who: object) -> None:
        raise KeyError("no such user")

    with pytest.raises(ConfigError, match="home: ~nosuch-user/x cannot be found"):
        Home(Path("~nosuch-user/x"), "mine")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="cannot be"):
        Home(tmp_path / "a", "mine")
    for name in ("HOME", "SONAR_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(ConfigError, match="has no folder for data") as caught:
        default_home("mine")
    assert "--home" in caught.value.hint


def test_a_disk_that_cannot_be_written_is_told_and_leaves_no_damaged_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(number: int) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return call

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", refuse(errno.ENOSPC))
        with pytest.raises(KeyFileError, match=r"home\.toml cannot be written: No space left"):
            Home(tmp_path / "h", "mine")
    home = Home(tmp_path / "h", "mine")
    with monkeypatch.context() as disk:
        disk.setattr(os, "open", refuse(errno.EROFS))
        with pytest.raises(ConfigError, match="cannot be locked: Read-only file system"):
            home.lock()
    with monkeypatch.context() as disk:
        disk.setattr(Path, "mkdir", refuse(errno.EROFS))
        with pytest.raises(ConfigError, match="cannot be made or opened: Read-only file system"):
            Home(tmp_path / "h", "mine")
