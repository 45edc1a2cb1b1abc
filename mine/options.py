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
EpsilonOption = Annotated[
    float | None,
    typer.Option("--epsilon", help="The most that may be learned of a row, over all bounties; 1 is strict."),
]
DeltaOption = Annotated[
    float | None,
    typer.Option(
        "--delta", help="The delta of --epsilon. [default: what the data set has, else mine.toml, else 1e-5]"
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="What to call the data set. [default: the file's name]")
]
