"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.telling.options import home_option

HomeOption = Annotated[Path | None, home_option("scientist")]
FileArgument = Annotated[Path, typer.Argument(help="The bounty's file.", metavar="BOUNTY.TOML")]
AnyNameArgument = Annotated[
    str, typer.Argument(help="A bounty's name; without it, all of them.", metavar="NAME")
]
NameArgument = Annotated[
    str, typer.Argument(help="The bounty's name; may be left out if there is only one.", metavar="NAME")
]
