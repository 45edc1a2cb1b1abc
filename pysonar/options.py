"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.telling.terminal import COMMON

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="FOLDER",
        help="The scientist's folder. [env: SONAR_HOME] [default: the user's data folder]",
        rich_help_panel=COMMON,
    ),
]
FileArgument = Annotated[Path, typer.Argument(help="The bounty's file.", metavar="BOUNTY.TOML")]
NameArgument = Annotated[
    str, typer.Argument(help="The bounty's name; may be left out if there is only one.", metavar="NAME")
]
