"""`mine password`, `pysonar password`, `capsule password`: all files or none, whenever it is killed."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from capsule import setup as capsule_setup
from capsule.wiring import open_capsule
from mine import setup as mine_setup
from pysonar import wiring as pysonar_wiring
from pysonar.keys.key import Key
from sonar.errors import KeyFileError
from sonar.home import keystore
from sonar.home.folder import Home
from sonar.home.keystore import write_private
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.protocol.ids import Address
from sonar.telling.progress import ListSink
from tests.killing_kit import homes_of_killed

OLD, NEW = "the old one", "another öne"


def network(folder: Path, *, dev: bool = True) -> Path:
    file = folder / "network.toml"
    NetworkConfig(
        name="none",
        dev=dev,
        chain_id=7,
        rpc_url="http://127.0.0.1:9",
        contract=Address("0x" + "1" * 40),
        code_hash=b"\1" * 32,
        store=StoreConfig(kind="folder", path=str(folder / "store")),
    ).save(file)
    return file


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Where the two passwords are, as options."""
    write_private(tmp_path / "old", f"{OLD}\n".encode())
    write_private(tmp_path / "new", f"{NEW}\r\n".encode())
    return ["--password-file", str(tmp_path / "old"), "--new-password-file", str(tmp_path / "new")]


def of_mine(folder: Path) -> Path:
    return mine_setup.make_home(
        folder / "mine", network(folder), dev=True, insecure_keys=False, password_file=folder / "old"
    )


def of_scientist(folder: Path) -> Path:
    home = pysonar_wiring.make_home(
        folder / "scientist", network(folder), dev=True, password_file=folder / "old"
    )
    scientist = pysonar_wiring.open_scientist(home, ListSink())
    for name in ("one", "two"):
        scientist.make_key(name, 1024, OLD, insecure=True)
    return home


def of_capsule(folder: Path) -> Path:
    home = capsule_setup.make_home(
        folder / "capsule", network(folder), "", dev=True, password_file=folder / "old"
    )
    assert importlib.import_module("capsule.cli").main(["rotate", *at(home), *old_in(folder)]) == 0
    return home


def at(home: Path) -> list[str]:
    return ["--home", str(home)]


def old_in(folder: Path) -> list[str]:
    return ["--password-file", str(folder / "old")]


def opens(program: str, home: Path, password: str) -> bool:
    """Whether a password opens all that is in a home, or nothing of it."""
    folder = Home(home, program, create=False)
    found = []
    for path in sorted(folder.keystore.rglob("0x*.json")):
        found.append(opened(lambda path=path: keystore.load(path, password)))  # type: ignore[misc]
    for path in sorted((home / "keys").glob("*.json")):
        found.append(opened(lambda path=path: Key.load(path, password).close()))  # type: ignore[misc]
    assert len(set(found)) == 1, "half of the files"
    if program == "capsule" and found[0]:
        capsule = open_capsule(home, ListSink())
        assert sorted(capsule.keys.load(capsule.unlock(password))) == [1, 2]
    return found[0]


def opened(load: Callable[[], object]) -> bool:
    try:
        load()
    except KeyFileError as fault:
        if "wrong" not in str(fault):
            raise
        return False
    return True


PROGRAMS = [("mine", of_mine, 1), ("pysonar", of_scientist, 3), ("capsule", of_capsule, 3)]


@pytest.mark.parametrize(
    ("program", "made", "every"),
    [
        *PROGRAMS,
        *(pytest.param(program, made, 1, marks=pytest.mark.deep) for program, made, _ in PROGRAMS[1:]),
    ],
)
def test_a_command_that_is_killed_leaves_the_old_password_or_the_new_one(
    program: str, made: Callable[[Path], Path], every: int, tmp_path: Path, files: list[str]
) -> None:
    home = made(tmp_path)
    write_private(home / keystore.BESIDE, f"{OLD}\n".encode())
    killed, whole = homes_of_killed(program, home, tmp_path / "killed", "password", *files, every=every)
    assert len(killed) > 3
    main, ends = importlib.import_module(f"{program}.cli").main, []
    for one in [*killed, whole]:
        is_new = opens(program, one, NEW)
        assert opens(program, one, OLD) != is_new
        assert (one / keystore.BESIDE).read_text().strip() == (NEW if is_new else OLD)
        assert main(["password", *at(one), *files]) == 0  # and once more
        assert opens(program, one, NEW)
        assert not list(one.glob("password.*"))
        assert all(path.stat().st_mode & 0o077 == 0 for path in one.rglob("*.json"))
        ends.append(is_new)
    assert ends == sorted(ends)
    assert len(set(ends)) == 2
    assert ends[-1]


def test_what_cannot_be_done_changes_nothing(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    home = of_scientist(tmp_path)
    main = importlib.import_module("pysonar.cli").main
    write_private(tmp_path / "empty", b"\n")
    write_private(tmp_path / "wrong", b"wrong\n")
    write_private(tmp_path / "latin", "é".encode("latin-1"))
    write_private(tmp_path / "open", b"open\n")
    (tmp_path / "open").chmod(0o644)
    old, new = files[:2], files[2:]
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    for given, words in (
        ([*files[:2], "--new-password-file", str(tmp_path / "empty")], "the new password is empty"),
        ([*old, "--new-password-file", str(tmp_path / "old")], "the new password is the old one"),
        ([*old, "--new-password-file", str(tmp_path / "open")], "others may read"),
        ([*old, "--new-password-file", str(tmp_path / "latin")], "UTF-8"),
        ([*old, "--new-password-file", str(tmp_path / "none")], "cannot be read"),
        (["--password-file", str(tmp_path / "wrong"), *new], "the password is wrong"),
        (["--password-file", str(tmp_path / "empty"), *new], "the password is empty"),
        (old, "--new-password-file"),
    ):
        assert main(["password", *at(home), *given]) == 2, given
        assert words in capsys.readouterr().err
    with Home(home, "pysonar").lock():
        assert main(["password", *at(home), *files]) == 2
        assert "works in" in capsys.readouterr().err
    Key.generate(1024, insecure=True).save(home / "keys" / "three.json", "a third one", dev=True)
    assert main(["password", *at(home), *files]) == 2
    assert "three.json: wrong passphrase" in capsys.readouterr().err
    for path, content in before.items():
        if path.name not in ("lock",):
            assert path.read_bytes() == content, path
    assert not list(home.glob("password.*"))


def test_files_that_have_the_new_password_already_are_left_alone(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    home = of_scientist(tmp_path)
    main = importlib.import_module("pysonar.cli").main
    Key.generate(1024, insecure=True).save(home / "keys" / "three.json", NEW, dev=True)
    assert main(["password", *at(home), *files, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(name).name for name in told["files"]][-2:] == ["one.json", "two.json"]
    assert opens("pysonar", home, NEW)
    assert main(["password", *at(home), *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == []


def test_a_light_file_becomes_a_strong_one_where_money_is_at_stake(tmp_path: Path, files: list[str]) -> None:
    home = of_mine(tmp_path)
    network(tmp_path, dev=False)
    shutil.copy(tmp_path / "network.toml", home / "network.toml")
    (path,) = (home / "keystore").iterdir()
    assert json.loads(path.read_text())["crypto"]["kdfparams"]["n"] == 1 << 12
    assert importlib.import_module("mine.cli").main(["password", *at(home), *files]) == 0
    assert json.loads(path.read_text())["crypto"]["kdfparams"]["n"] == 1 << 18
    assert keystore.load(path, NEW).address == path.stem
