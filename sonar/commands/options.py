"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.telling.terminal import COMMON

if TYPE_CHECKING:
    from sonar.home.settings import NetworkConfig

NetworkOption = Annotated[
    Path | None,
    typer.Option(
        "--network",
        metavar="FILE",
        rich_help_panel=COMMON,
        envvar="SONAR_NETWORK",
        help="The network file. Default: network.toml here, else that of `sonar chain`'s default home.",
    ),
]


def load_network(path: Path | None) -> NetworkConfig:
    """Return the network that an option names. Raises ConfigError."""
    from sonar.home.settings import NetworkConfig

    return NetworkConfig.load(network_path(path))


def network_path(path: Path | None) -> Path:
    """Return the network file that an option names. Raises ConfigError."""
    from sonar.home.folder import default_home

    here = Path("network.toml")
    return path or (here if here.exists() else default_home("chain") / "network.toml")
