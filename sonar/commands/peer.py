"""`sonar peer`: a member of a network's IPFS swarm through which others join."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.telling.documents import PeerReady
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from sonar.home.folder import Home
    from sonar.home.settings import StoreConfig

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
SWARM_KEY_FILE = "swarm.key"

ListenOption = Annotated[
    str,
    typer.Option(
        "--swarm-listen", envvar="SONAR_SWARM_LISTEN", help="Where peers connect to; TCP, port 0: any."
    ),
]
AnnounceOption = Annotated[
    str,
    typer.Option(
        "--swarm-announce",
        envvar="SONAR_SWARM_ANNOUNCE",
        help="What others connect to instead, such as /dns4/sonar.example/tcp/4001.",
    ),
]


def peer(
    home: Annotated[Path | None, typer.Option(help="Folder for the swarm's key and the blobs.")] = None,
    bootstrap: Annotated[
        list[str] | None,
        typer.Option(help="A peer of the swarm to join; may be repeated. Default: this is the first one."),
    ] = None,
    swarm_listen: ListenOption = LOOPBACK,
    swarm_announce: AnnounceOption = "",
    json: JsonFlag = False,
) -> None:
    """Run a peer of a private IPFS swarm until Ctrl-C or SIGTERM; a network needs one, beside its chain.

    The swarm's key is `swarm.key` in its home, made if it is not there. It prints its address, which belongs
    in the network file: `sonar deploy --bootstrap ADDRESS`.

    Example: `sonar peer --home ./peer --swarm-listen /ip4/0.0.0.0/tcp/4001`
    """
    from sonar.home.folder import Home, default_home

    with (
        Home(home or default_home("peer"), "peer").lock() as folder,
        first_peer(folder, swarm_listen, swarm_announce, tuple(bootstrap or ())) as store,
    ):
        key = folder.path / SWARM_KEY_FILE
        if json:
            print_json(PeerReady(list(store.bootstrap), str(key)))
        else:
            typer.echo("\n".join([f"peer       {address}" for address in store.bootstrap]))
            typer.echo(f"swarm key  {key}\nCtrl-C ends the peer.")
        while True:
            time.sleep(3600)


@contextmanager
def first_peer(
    home: Home, listen: str, announce: str, bootstrap: tuple[str, ...] = ()
) -> Iterator[StoreConfig]:
    """Run a peer on `home`; yield its entry for a network file. Raises ConfigError, StoreUnavailable."""
    from sonar.home.settings import StoreConfig
    from sonar.store.choose import checked_address, checked_peers, repo_of
    from sonar.store.kubo.daemon import KuboNode
    from sonar.store.kubo.repo import Swarm
    from sonar.store.kubo.swarm import new_swarm_key, read_swarm_key
    from sonar.telling.progress import PlainSink, Progress

    key = home.path / SWARM_KEY_FILE
    if not key.exists():
        new_swarm_key(key)
    swarm = Swarm(
        key=read_swarm_key(key),
        bootstrap=checked_peers("--bootstrap", bootstrap),
        listen=checked_address("--swarm-listen", listen),
        announce=checked_address("--swarm-announce", announce),
    )
    with KuboNode(repo_of(home.path), swarm, Progress(PlainSink(), "ipfs")) as node:
        # The key's name is relative: whoever gets both files keeps them together.
        yield StoreConfig(kind="kubo", bootstrap=tuple(node.addresses()), swarm_key_file=SWARM_KEY_FILE)
