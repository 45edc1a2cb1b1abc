"""Options and arguments that several programs have, each with one name and one text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sonar.telling.terminal import COMMON

NetworkFileOption = Annotated[
    Path | None,
    typer.Option("--network", metavar="FILE", help="The network's file, from whoever runs the network."),
]
DevFlag = Annotated[
    bool, typer.Option("--dev", help="Development networks only: a keystore that opens quickly.")
]
BountyArgument = Annotated[str, typer.Argument(help="A bounty's id in hex, or the first digits of it.")]
ToOption = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", help="The successor's key file. [default: a new account]"),
]
ToPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--to-password-file", metavar="FILE", help="That file's password. [default: the keystore's]"
    ),
]
LaterFlag = Annotated[
    bool,
    typer.Option("--later", help="Only name it now: its key stays out of this home until you use it."),
]
AgainFlag = Annotated[
    bool, typer.Option("--again", help="Replace an account that took its place and did nothing yet.")
]


def home_option(whose: str) -> Any:
    """Return the option that names the folder of `whose` program, as "mine"."""
    return typer.Option(
        "--home",
        metavar="FOLDER",
        help=f"The {whose}'s folder. [env: SONAR_HOME] [default: the user's data folder]",
        rich_help_panel=COMMON,
    )
