"""`sonar swarm-key`: the key of a private IPFS swarm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.telling.documents import SwarmKey
from sonar.telling.terminal import JsonFlag, new_app, print_json

swarm_key = new_app("The key that all members of a network's IPFS swarm share, and nobody else may have.")


@swarm_key.callback()
def _group() -> None:
    """The key that all members of a network's IPFS swarm share, and nobody else may have."""


@swarm_key.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where to write it, with mode 0600. It must not exist.")],
    json: JsonFlag = False,
) -> None:
    """Make a swarm key.

    Example: `sonar swarm-key new swarm.key`
    """
    from sonar.store.kubo.swarm import new_swarm_key

    _tell(file, new_swarm_key(file), json)


@swarm_key.command()
def show(
    file: Annotated[Path, typer.Argument(help="A swarm key.")],
    json: JsonFlag = False,
) -> None:
    """Show a key's fingerprint, to compare with somebody else's; the key itself is not shown.

    Example: `sonar swarm-key show swarm.key`
    """
    from sonar.store.kubo.swarm import fingerprint, read_swarm_key

    _tell(file, fingerprint(read_swarm_key(file)), json)


def _tell(file: Path, fingerprint: str, as_json: bool) -> None:
    if as_json:
        print_json(SwarmKey(str(file), fingerprint))
    else:
        typer.echo(f"{file}  fingerprint {fingerprint}")
