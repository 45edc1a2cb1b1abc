"""`sonar swarm-key`: the key of a private IPFS swarm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.telling.documents import SwarmKey, SwarmKeyRotated
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


@swarm_key.command()
def rotate(
    file: Annotated[
        Path | None, typer.Argument(help="The swarm key to replace. Default: the one of --home.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The new key. Default: one is made.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", metavar="FOLDER", help="The home whose node is meant.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Replace a node's swarm key: by a new one, or by the one that you got. The old one is kept beside it.

    All nodes of a network must change together: those with the old key and those with the new do not see
    each other. One member makes the key and gives it to all who are to stay; each replaces its own by --to;
    then all are started again. Blobs stay where they are.

    Examples: `sonar swarm-key rotate swarm.key`, `sonar swarm-key rotate --home mine1 --to new.key`
    """
    from sonar.errors import UsageError
    from sonar.store.kubo.swarm import read_swarm_key, rotate_swarm_key

    if (file is None) == (home is None):
        raise UsageError(
            "name the key's file or --home, one of the two", hint="`sonar swarm-key rotate swarm.key`"
        )
    path = file if file is not None else _of(home or Path())
    old, new = rotate_swarm_key(path, read_swarm_key(to) if to is not None else None)
    if json:
        print_json(SwarmKeyRotated(str(path), old, new))
    elif old == new:
        typer.echo(f"{path}  has the fingerprint {new} already; nothing was changed")
    else:
        typer.echo(
            f"{path}  fingerprint {new}, before {old}\nthe old key is in {path}.old; start its node again"
        )


def _of(home: Path) -> Path:
    """Return the file that a home's node takes its key from. Raises ConfigError."""
    from sonar.home.settings import NetworkConfig
    from sonar.store.choose import repo_of
    from sonar.store.kubo.repo import Repo
    from sonar.store.kubo.swarm import key_file_of

    network = home / "network.toml"
    named = NetworkConfig.load(network).store.swarm_key_file if network.exists() else ""
    return key_file_of(home, named, Repo(repo_of(home)).kept_key)


def _tell(file: Path, fingerprint: str, as_json: bool) -> None:
    if as_json:
        print_json(SwarmKey(str(file), fingerprint))
    else:
        typer.echo(f"{file}  fingerprint {fingerprint}")
