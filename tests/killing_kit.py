"""Kills a command at every instant at which it changes files, and keeps the homes that it leaves.

    python -m tests.killing_kit PROGRAM FOLDER EVERY ARGUMENT...

A process that has loaded the program's command line copies FOLDER/home to FOLDER/0, FOLDER/1, and so on, and
forks a child for each, which runs `PROGRAM ARGUMENT... --home FOLDER/N/home` and is killed with SIGKILL
before its Nth change of a file, EVERY apart. The last one is not killed. Prints its exit code.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

CHANGES = frozenset(["os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link"])
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def homes_of_killed(
    program: str, home: Path, folder: Path, *args: str, every: int = 1
) -> tuple[list[Path], Path]:
    """Return the homes in which a command was killed, and the one in which it came to its end.

    `args` hold `{folder}` where they name the folder that a home is in.
    """
    folder.mkdir()
    shutil.copytree(home, folder / "home")
    if (witness := os.environ.get("SONAR_WITNESS")) and Path(witness).is_dir():
        shutil.copytree(witness, folder / "witness")
    command = [sys.executable, "-m", "tests.killing_kit", program, str(folder), str(every), *args]
    run = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    made = sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda p: int(p.name))
    return [path / "home" for path in made[:-1]], made[-1] / "home"


def die_at(number: int, home: str) -> None:
    """Have this process killed before it changes a file below `home` for the `number`th time."""
    left = number

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        is_write = event == "open" and isinstance(args[2], int) and bool(args[2] & _WRITES)
        if not is_write and event not in CHANGES:
            return
        if not any(isinstance(one, str | os.PathLike) and os.fspath(one).startswith(home) for one in args):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _main(program: str, folder: Path, every: int, args: list[str]) -> int:
    main = _main_of(program)
    for module in ("capsule.loads", "pysonar.loads", "mine.loads"):
        if module.startswith(program):
            import_module(module)
    for number in range(1, 1000, every):
        place = folder / str(number)
        shutil.copytree(folder / "home", place / "home")
        if (folder / "witness").is_dir():  # what a capsule's machine remembers of it
            shutil.copytree(folder / "witness", place / "witness")
        os.environ["SONAR_WITNESS"] = str(place / "witness")
        command = [one.format(folder=place) for one in args]
        child = os.fork()
        if child == 0:
            die_at(number, str(place / "home"))
            code = main([*command, "--home", str(place / "home")])
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError("it never ends")


def _main_of(program: str) -> Callable[[list[str]], int]:
    if program != "sonar":
        return import_module(f"{program}.cli").main  # type: ignore[no-any-return]
    from sonar.cli import app
    from sonar.telling.terminal import run_app

    return lambda arguments: run_app(app, "sonar", arguments)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
