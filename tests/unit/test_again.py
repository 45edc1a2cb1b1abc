"""Commands in hints name the home that the running command was given."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mine.cli import main as mine
from sonar.telling.again import remember_home, with_home
from tests.unit.network_file import write_network


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    remember_home("mine")


@pytest.mark.parametrize(
    ("program", "args", "text", "told"),
    [
        ("mine", ["init", "--home", "m1"], "then: `mine doctor`", "then: `mine doctor --home m1`"),
        ("mine", ["init", "--home=m 1"], "then: `mine doctor`", "then: `mine doctor --home 'm 1'`"),
        ("mine", ["run", "--home", "a", "--home", "b"], "`mine run`", "`mine run --home b`"),
        ("mine", ["run"], "see `mine status`", "see `mine status`"),
        ("mine", ["run", "--", "--home", "a"], "see `mine status`", "see `mine status`"),
        ("mine", ["run", "--home"], "see `mine status`", "see `mine status`"),
        ("mine", ["x", "--home", "a"], "see `mine x --help`", "see `mine x --help`"),
        ("mine", ["x", "--home", "a"], "`mine x --home b`", "`mine x --home b`"),
        ("mine", ["x", "--home", "a"], "`pysonar run b.toml`", "`pysonar run b.toml`"),
        ("mine", ["x", "--home", "a"], "`mine` is a program", "`mine` is a program"),
        (
            "pysonar",
            ["run", "s.toml", "--home", "sci"],
            "`pysonar resume x` or `pysonar status`",
            "`pysonar resume x --home sci` or `pysonar status --home sci`",
        ),
        (
            "sonar",
            ["chain", "--home", "n"],
            "start `sonar chain` again",
            "start `sonar chain --home n` again",
        ),
        ("sonar", ["chain", "--home", "n"], "see `sonar status`", "see `sonar status`"),
    ],
)
def test_a_command_is_told_with_the_home_that_was_given(
    program: str, args: list[str], text: str, told: str
) -> None:
    remember_home(program, args)
    assert with_home(text) == told
    assert with_home(told) == told


@given(st.text(min_size=1).filter(lambda home: "`" not in home and "\0" not in home))
def test_what_is_told_can_be_typed(home: str) -> None:
    remember_home("mine", ["init", "--home", home])
    command = with_home("`mine doctor`").strip("`")
    assert shlex.split(command) == ["mine", "doctor", "--home", home]


def test_each_way_to_tell_names_the_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home, network = tmp_path / "m 1", write_network(tmp_path)
    given = f"--home '{home}'"
    assert mine(["data", "list", "--home", str(home)]) == 2
    assert f"create one with `mine init {given}`" in capsys.readouterr().err
    init = ["init", "--home", str(home), "--network", str(network), "--dev"]
    assert mine(init) == 0
    assert f"register data: `mine data add --csv FILE {given}`" in capsys.readouterr().out
    assert mine([*init, "--example", "diabetes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["next"].endswith(f"then: `mine doctor {given}`")
    assert mine(["leave", "0x12", "--home", str(home)]) == 2
    assert f"see `mine status {given}`" in capsys.readouterr().err
    monkeypatch.setenv("SONAR_HOME", str(home))
    assert mine(["leave", "0x12"]) == 2
    assert "see `mine status`" in capsys.readouterr().err
