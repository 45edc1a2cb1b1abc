"""Parties on one machine, for demonstrations: a home folder each, and started by name as a user would."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sonar.errors import ConfigError, RemoteError
from sonar.home.files import remedy
from sonar.home.keystore import BESIDE, write_private
from sonar.processes import Child, Supervisor
from sonar.telling import documents

T = TypeVar("T")

EXAMPLE = "diabetes"
ROWS_FOR_MINES = 400
ROWS_PER_MINE_MIN = 33
MAX_MINES = ROWS_FOR_MINES // ROWS_PER_MINE_MIN
"""A mine refuses to train 11 weights on fewer than 33 rows."""


def mine_names(mines: int) -> list[str]:
    """Return the names of so many mines, in the order of their shards."""
    return [f"mine-{i:02d}" for i in range(1, mines + 1)]


def prepare_home(home: Path) -> list[str]:
    """Make the folder and a password of its own, if they are not there; return every command's options.

    Raises ConfigError, KeyFileError.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{home} cannot be made: {error.strerror}"
        raise ConfigError("home", problem, hint=remedy(error, home)) from error
    password = home / BESIDE
    if not password.exists():
        write_private(password, f"{secrets.token_urlsafe(24)}\n".encode())
    return ["--home", str(home), "--password-file", str(password), "--json"]


def init_mine(supervisor: Supervisor, home: Path, network: Path, shard: str, *options: str) -> Child:
    """Make a mine's home, with a part of the example such as "3/10". It tells its address and ends."""
    args = ["init", *prepare_home(home), "--network", str(network), "--dev"]
    return supervisor.start(home.name, "mine", [*args, "--example", EXAMPLE, "--shard", shard, *options])


def run_mine(supervisor: Supervisor, home: Path, *options: str, quiet: bool = False) -> Child:
    """Start the mine of a home: it joins every bounty that its data fit, and withdraws what it earned."""
    args = ["run", *prepare_home(home), "--join-all", "--claim", *options]
    return supervisor.start(home.name, "mine", args, quiet=quiet)


def told(kind: Callable[..., T], text: str | None) -> T | None:
    """Return the document of this kind that a line of a party's output is; None if it is something else."""
    try:
        return documents.read(kind, text or "")
    except RemoteError:
        return None
