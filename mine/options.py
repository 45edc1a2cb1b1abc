"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.telling.options import home_option

HomeOption = Annotated[Path | None, home_option("mine")]
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="A CSV file whose first line names its columns. Not copied."),
]
ExampleOption = Annotated[str | None, typer.Option("--example", help="A bundled example: diabetes.")]
ShardOption = Annotated[str, typer.Option("--shard", help="Which part of the example, as 3/10.")]
NameOption = Annotated[
    str | None, typer.Option("--name", help="What to call the data set. [default: the file's name]")
]
