"""How every command line ends: one message, what to do next, and an exit code that scripts can use."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

import pytest
import typer

import mine.cli
import pysonar.cli
import sonar.cli
from sonar.errors import ChainUnavailable, ConfigError, SonarError
from sonar.telling.terminal import JsonFlag, new_app, run_app
from tests.unit.pty_kit import FakeTerminal


def run(body: Callable[[], None], *argv: str) -> int:
    app = new_app("A test.")

    @app.command()
    def act(number: int = 1, json: JsonFlag = False) -> None:
        body()

    @app.command()
    def other() -> None:
        pass

    return run_app(app, "prog", ["act", *argv])


def fail(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("a", "b", hint="do c"), 2), (ChainUnavailable("a: b", hint="do c"), 1)]
)
def test_an_error_is_a_message_and_what_to_do(
    error: SonarError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fail(error)) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: a: b\n  hint: do c\n")
    assert run(fail(error), "--json") == code
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"kind": "problem", "error": "a: b", "hint": "do c"}, "")


def test_a_strangers_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(fail(ConfigError("a", "\x1b[2Jgone")))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--number", "x"], ["--nonsense"], ["extra"]])
def test_a_wrong_command_line_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None, *argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "hint: see `prog act --help`" in err
    assert run(lambda: None, *argv, "--json") == 2
    assert json.loads(capsys.readouterr().out)["kind"] == "problem"


def test_help_and_success_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None) == 0
    assert run(lambda: None, "--help") == run(lambda: None, "-h") == 0
    assert "--json" in capsys.readouterr().out


def test_codes_of_exit_ctrl_c_and_sigterm() -> None:
    assert run(fail(typer.Exit(7))) == 7
    assert run(fail(KeyboardInterrupt())) == 130
    before = signal.getsignal(signal.SIGTERM)
    assert run(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("name", ["sonar", "mine", "pysonar"])
def test_ctrl_c_while_a_program_loads_leaves_no_traceback(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, module: str, *_: object) -> None:
            if module == f"{name}.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, f"{name}.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    started = import_module(f"{name}.__main__")
    assert started.main() == 130
    assert {each.value for each in entry_points(group="console_scripts", name=name)} == {
        f"{started.__name__}:main"
    }


def test_a_locale_without_a_character_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1"))
    assert run(lambda: print("bounty 0x7dba67…9602 of Zoë")) == 0
    assert out.getvalue() == "bounty 0x7dba67...9602 of Zoë\n".encode("latin-1")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(fail(ZeroDivisionError()))


PROGRAMS = {"sonar": sonar.cli.app, "mine": mine.cli.app, "pysonar": pysonar.cli.app}


@pytest.mark.parametrize("package", [sonar, mine, pysonar])
@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_can_be_asked_for(package: Any, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = package.__name__
    assert run_app(PROGRAMS[name], name, [option]) == 0
    assert capsys.readouterr().out == f"{name} {package.__version__}\n"
    assert run_app(PROGRAMS[name], name, ["--help"]) == 0
    assert "--version" in capsys.readouterr().out


def commands(app: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of a program, and every group of them, by the words that name it."""
    group = typer.main.get_command(app)
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        inner = getattr(command, "commands", {})
        found += [(*path, name), *((*path, name, each) for each in inner)]
    return found


HELP = [(name, words) for name, app in PROGRAMS.items() for words in commands(app)]


@pytest.mark.parametrize(("name", "words"), HELP, ids=[" ".join((n, *w)) for n, w in HELP])
def test_help_fits_and_speaks_as_people_do(
    name: str,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = 60
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", columns)
    assert run_app(PROGRAMS[name], name, [*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    for jargon in ("<bool>", "<str>", "<path>", "[[", "{", "<=x", "int range", "list["):
        if jargon != "{" or words != ("run",):  # a bounty's file has inline tables
            assert jargon not in out, jargon
    assert f"Usage: {' '.join((name, *words))} [OPTIONS]" in out
    is_group = "COMMAND ..." in out
    assert is_group or "Example" in out


def test_an_error_fits_the_terminal_that_it_is_shown_on() -> None:
    screen = FakeTerminal(columns=60)
    program = "from sonar.telling.terminal import tell_error; tell_error('word ' * 30, 'do this ' * 20)"
    subprocess.run([sys.executable, "-c", program], stderr=screen.theirs, check=True)
    lines = screen.lines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("error: word")
    assert all(line.startswith("       ") for line in lines[1:3])


@pytest.mark.parametrize("name", ["sonar", "mine", "pysonar"])
def test_the_version_is_known_without_an_installation(name: str, tmp_path: Path) -> None:
    root = Path(sonar.__file__).parents[1]
    expected = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    program = (
        "import importlib.metadata as m, sys; sys.path.insert(0, sys.argv[1])\n"
        "found = m.version\n"
        "def without(name):\n"
        "    if name.startswith('sonar-'): raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = without\n"
        f"import {name}; from {name}.__main__ import main\n"
        f"sys.argv[1:] = ['--version']; print({name}.__version__); sys.exit(main())"
    )
    for source, told in ((root, expected), (tmp_path, "0+unknown")):
        if source is tmp_path:  # the code alone, as somebody may copy it
            for package in ("sonar", "mine", "pysonar"):
                shutil.copytree(root / package, tmp_path / package)
        command = [sys.executable, "-c", program, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout == f"{told}\n{name} {told}\n"


PROGRAM = """
import sys
from sonar.errors import ConfigError
from sonar.telling.progress import Progress
from sonar.telling.terminal import new_app, print_json, run_app, sink_for
app = new_app("A test.")

@app.command()
def work(json: bool = False, fail: bool = False) -> None:
    told = Progress(sink_for(json))
    for _ in range(3):
        told.note("at work")
    if fail:
        raise ConfigError("a", "b")

@app.command()
def ask(json: bool = False) -> None:
    print_json({}) if json else print("the answer")

sys.exit(run_app(app, "prog"))
"""


FULL = (
    "error: the output cannot be written: No space left on device\n"
    "  hint: make room where it goes, or send it elsewhere\n"
)


def test_a_command_whose_output_nobody_reads() -> None:
    """Work goes on to its own end; an answer that cannot be printed is a fault, and no traceback."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    def start(stdout: IO[str], *argv: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, *argv]
        return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=buffered)

    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "w") as full, os.fdopen(write, "w") as broken:
        running = [
            (start(broken, "work", "--json", "--fail"), 2, ""),  # told, but nobody read it
            (start(broken, "ask"), 0, ""),
            (start(full, "ask"), 1, FULL),
            (start(full, "ask", "--json"), 1, FULL),
        ]
        for process, code, told in running:
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (code, told)
