"""`sonar demo`: the whole network on this machine, from posted bounty to paid mines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from sonar.demo.launch import CAPSULES, LOGS, Settings, next_commands, supervise
from sonar.demo.view import SCIENTIST, LiveView, PlainView, View
from sonar.errors import ConfigError
from sonar.home.files import in_full, remedy
from sonar.home.folder import user_data
from sonar.home.parties import MAX_MINES
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from sonar.demo.report import Report

MIN_MINES = 2
EPSILON_LEAST, EPSILON_MOST = 0.01, 100.0
"""What a bounty takes."""
LEAST_FREE_BYTES = 32 << 20
"""Five times what ten mines and seven rounds write."""


def demo(
    mines: Annotated[
        int, typer.Option(min=MIN_MINES, max=MAX_MINES, help="How many mines share the data.")
    ] = 10,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How many rounds at most.")] = 7,
    key_bits: Annotated[
        int, typer.Option(help="Size of the Paillier key: 2048, 3072 or 4096 bits.", min=1024, max=4096)
    ] = 2048,
    chain: Annotated[
        Literal["auto", "anvil", "eth-tester"],
        typer.Option(help="The chain's software; auto uses Anvil if it is installed."),
    ] = "auto",
    home: Annotated[
        Path | None,
        typer.Option(help="Folder to keep everything in; must be new or empty. Default: a new one."),
    ] = None,
    no_capsules: Annotated[
        bool,
        typer.Option("--no-capsules", help="Start no capsules: the scientist's key could read every update."),
    ] = False,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="Mines add noise: the most that is learned of a row, 8 or 4, say; data pay it once."
        ),
    ] = None,
    noise: Annotated[
        Literal["local", "shared"],
        typer.Option(help="With --epsilon: each mine's noise is enough, or that of half of them together."),
    ] = "local",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a key below 2048 bits, for comparisons only.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train the diabetes model on encrypted weights over ten mines, and pay them.

    Starts a chain, a store, three capsules, the mines and the scientist, each a process of its own with its
    own keystore and data; follows them; and ends with what everybody earned, learned and spent. The folder
    is kept, with commands to try on it. Ctrl-C ends every process.

    Example: `sonar demo --mines 5 --rounds 4 --chain eth-tester`
    """
    _check_key_bits(key_bits, insecure)
    _check_noise(epsilon, noise, no_capsules)
    capsules = 0 if no_capsules else CAPSULES
    settings = Settings(_new_home(home), mines, rounds, key_bits, chain, insecure, capsules, epsilon, noise)
    with _told_where(settings.home, Console(stderr=True)):
        report = _run(settings, as_json=json)
    _show(settings, report, as_json=json)


def _run(settings: Settings, *, as_json: bool) -> Report:
    supervisor = supervise(settings)  # before the imports below: both load at the same time
    from sonar.demo.conduct import Conductor

    err = Console(stderr=True)
    live = err.is_terminal and not as_json
    view: View = (
        LiveView(err, [SCIENTIST, *settings.parties(), *settings.capsule_names()]) if live else PlainView(err)
    )
    try:
        return Conductor(settings, view, supervisor).run()
    finally:
        view.close()


def _show(settings: Settings, report: Report, *, as_json: bool) -> None:
    from sonar.demo.plot import draw
    from sonar.demo.report import show, with_plot

    plot = settings.home / "demo.png"
    try:
        draw(report, plot)
        report, picture = with_plot(report, str(plot)), f"The loss and the payouts as a picture: {plot}"
    except ImportError as error:
        picture = f"No picture of the loss and the payouts: {error}; matplotlib draws it"
    if as_json:
        print_json(report)
        return
    console = Console(width=None if sys.stdout.isatty() else 100)
    show(report, console)
    # Escaped: a folder's name may have brackets, and a command must be what the shell takes.
    console.print(f"\n{escape(picture)}\n", soft_wrap=True)
    console.print(f"[bold]Kept in[/] {escape(str(settings.home))}; try:", soft_wrap=True)
    for command, purpose in next_commands(settings, str(report.chain["client"]), report.bounty):
        console.print(f"  {escape(command)}\n    [dim]{purpose}[/]", soft_wrap=True, highlight=False)


def _check_key_bits(key_bits: int, insecure: bool) -> None:
    if key_bits % 256:
        raise ConfigError("--key-bits", f"{key_bits} is not a multiple of 256", hint="try 2048 or 3072")
    if key_bits < 2048 and not insecure:
        raise ConfigError(
            "--key-bits",
            f"{key_bits} bits protect nothing; 2048 is the least",
            hint="--insecure allows less, for comparisons only",
        )


def _check_noise(epsilon: float | None, noise: str, no_capsules: bool) -> None:
    if epsilon is not None and not EPSILON_LEAST <= epsilon <= EPSILON_MOST:
        limits = f"from {EPSILON_LEAST:g} to {EPSILON_MOST:g}"
        raise ConfigError("--epsilon", f"{epsilon:g} is not {limits}", hint="8 and 4 are usual")
    if noise == "shared" and epsilon is None:
        raise ConfigError("--noise", "goes with --epsilon", hint="give --epsilon 8, say")
    if noise == "shared" and no_capsules:
        problem = "shared noise takes capsules: they see to it that sums of enough mines are opened"
        raise ConfigError("--noise", problem, hint="leave --no-capsules out, or take --noise local")


def _new_home(home: Path | None) -> Path:
    """Make the demo's folder. It touches nothing of another run, even one that begins right now."""
    if home is None:
        return _with_room(_made(user_data() / "demo" / time.strftime("%Y%m%d-%H%M%S")))
    home = in_full(home, "--home")
    hint = "name a new folder, or leave --home out"
    try:
        if home.is_dir() and any(home.iterdir()):
            raise ConfigError("--home", f"{home} is not empty", hint=hint)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        (home / LOGS).mkdir()
    except FileExistsError as error:
        problem = f"{home} is not a folder, or another demo has just begun in it"
        raise ConfigError("--home", problem, hint=hint) from error
    except OSError as error:
        problem = f"{home} cannot be made: {error.strerror}"
        raise ConfigError("--home", problem, hint=remedy(error, home)) from error
    return _with_room(home)


def _with_room(home: Path) -> Path:
    """Return `home` if the disk has room for a demo. Raises ConfigError."""
    if (free := disk_usage(home).free) < LEAST_FREE_BYTES:
        problem = f"only {free >> 20} MiB are free at {home}, and the demo writes {LEAST_FREE_BYTES >> 20}"
        raise ConfigError("--home", problem, hint="make room, or name a folder on another disk")
    return home


def _made(first: Path) -> Path:
    """Make the first folder of `first`, `first`-2, `first`-3, ... that is not there yet, and return it."""
    for number in count(1):
        home = first if number == 1 else first.with_name(f"{first.name}-{number}")
        try:
            first.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            home.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            hint = "name another folder with --home"
            raise ConfigError("home", f"{home} cannot be made: {error.strerror}", hint=hint) from error
        (home / LOGS).mkdir()
        return home
    raise AssertionError("unreachable")


@contextmanager
def _told_where(home: Path, err: Console) -> Iterator[None]:
    """However the run fails, also by Ctrl-C, say where to look."""
    try:
        yield
    except BaseException:
        told = f"Everything of this run is kept in {home}; what each process said is in {home / LOGS}"
        err.print(told, markup=False, highlight=False, soft_wrap=True)
        raise
