"""`sonar demo`: the whole network on this machine, from posted bounty to paid mines."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from shutil import disk_usage
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from sonar.demo.launch import Settings, next_commands
from sonar.demo.view import SCIENTIST, LiveView, PlainView, View
from sonar.errors import ConfigError
from sonar.home.files import in_full, remedy
from sonar.home.folder import user_data
from sonar.home.parties import MAX_MINES
from sonar.telling.terminal import JsonFlag, print_json

MIN_MINES = 2
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
        typer.Option(help="The chain's client; auto takes Anvil where it is to be had."),
    ] = "auto",
    home: Annotated[
        Path | None,
        typer.Option(help="Folder to keep everything in; must be new or empty. Default: a new one."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a key below 2048 bits, for comparisons only.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train the diabetes model on encrypted weights over ten mines, and pay them.

    Starts a chain, a store, the mines and the scientist, each a process of its own with its own keystore and
    data; follows them; and ends with what everybody earned, learned and spent. The folder is kept, with
    commands to try on it. Ctrl-C ends every process.

    Example: `sonar demo --mines 5 --rounds 4 --chain eth-tester`
    """
    _check_key_bits(key_bits, insecure)
    settings = Settings(_new_home(home), mines, rounds, key_bits, chain, insecure)
    from sonar.demo.conduct import Conductor
    from sonar.demo.plot import draw
    from sonar.demo.report import show, with_plot

    err = Console(stderr=True)
    view: View = (
        LiveView(err, [SCIENTIST, *settings.parties()]) if err.is_terminal and not json else PlainView(err)
    )
    try:
        report = Conductor(settings, view).run()
    finally:
        view.close()
    plot = settings.home / "demo.png"
    try:
        draw(report, plot)
        report, picture = with_plot(report, str(plot)), f"The loss and the payouts as a picture: {plot}"
    except ImportError as error:
        picture = f"No picture of the loss and the payouts: {error}; matplotlib draws it"
    if json:
        print_json(report)
        return
    console = Console(width=None if sys.stdout.isatty() else 100)
    show(report, console)
    # Escaped: a folder's name may have brackets, and a command must be what the shell takes.
    console.print(f"\n{escape(picture)}\n", soft_wrap=True)
    console.print(f"[bold]Kept in[/] {escape(str(settings.home))}; try:", soft_wrap=True)
    for command, purpose in next_commands(settings, str(report.chain["client"])):
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


def _new_home(home: Path | None) -> Path:
    """Make the demo's folder. Nothing of an earlier run is touched."""
    home = in_full(home or user_data() / "demo" / time.strftime("%Y%m%d-%H%M%S"), "--home")
    try:
        if home.is_dir() and any(home.iterdir()):
            raise ConfigError("--home", f"{home} is not empty", hint="name a new folder, or leave --home out")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        problem = f"{home} cannot be made: {error.strerror}"
        raise ConfigError("--home", problem, hint=remedy(error, home)) from error
    if (free := disk_usage(home).free) < LEAST_FREE_BYTES:
        problem = f"only {free >> 20} MiB are free at {home}, and the demo writes {LEAST_FREE_BYTES >> 20}"
        raise ConfigError("--home", problem, hint="make room, or name a folder on another disk")
    return home
