"""Opens the store that a network file names; with Kubo, together with the party's own node."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar.errors import ConfigError, StoreUnavailable, StoreUnusable
from sonar.home.settings import StoreConfig, checked_api_url, parse_address_of_node, parse_peer
from sonar.ports import Store
from sonar.protocol.ids import Cid, Codec
from sonar.protocol.url import without_secrets
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from sonar.store.kubo.daemon import KuboNode
    from sonar.store.kubo.repo import Swarm
    from sonar.store.kubo.rpc import KuboRpc

API_VARIABLE = "SONAR_IPFS_API"
LISTEN_VARIABLE = "SONAR_SWARM_LISTEN"
ANNOUNCE_VARIABLE = "SONAR_SWARM_ANNOUNCE"


@dataclass
class OpenStore:
    """A store, and the IPFS node behind it if it is our own. Close it at the end."""

    store: Store
    node: KuboNode | None = None

    def close(self) -> None:
        """End our own node. May be called twice."""
        if self.node is not None:
            self.node.stop()


def open_store(config: StoreConfig, home: Path, progress: Progress) -> OpenStore:
    """Open the store of a network for the party in `home`.

    With Kubo: the node that SONAR_IPFS_API or `api_url` names, else one of its own in `home`/ipfs,
    started and watched. Raises StoreUnavailable, ClientMissing, ConfigError, KeyFileError.
    """
    if config.kind == "folder":
        from sonar.store.folder import FolderStore

        return OpenStore(FolderStore(Path(config.path)))
    from sonar.store.kubo.store import KuboStore

    if url := running_api(config):
        store = KuboStore(url)
        check_private(store.rpc, config)
        return OpenStore(store)
    from sonar.store.kubo.daemon import KuboNode

    node = KuboNode(repo_of(home), swarm_of(config, home), progress).start()
    return OpenStore(KuboStore(node.api_url), node)


def running_api(config: StoreConfig) -> str:
    """Return the address of the running node that is to be used, or nothing. Raises ConfigError."""
    url = os.environ.get(API_VARIABLE, "")
    try:
        return checked_api_url(url) if url else config.api_url
    except ValueError as error:
        raise ConfigError(
            API_VARIABLE,
            f"{without_secrets(url)!r} is {error}",
            hint="give the address of the RPC API of your Kubo, or unset it: then one is started for you",
        ) from error


def repo_of(home: Path) -> Path:
    """Where the party's own node keeps its repository."""
    return home / "ipfs"


def swarm_of(config: StoreConfig, home: Path) -> Swarm:
    """Return the swarm for a node of one's own, after the environment. Raises ConfigError, KeyFileError."""
    from sonar.store.kubo.repo import LOOPBACK, Repo, Swarm
    from sonar.store.kubo.swarm import find_swarm_key

    if config.public:
        raise ConfigError(
            "store.public",
            "no node is started for the public swarm",
            hint=f"run one as you like it, and name its API by {API_VARIABLE}",
        )
    return Swarm(
        key=find_swarm_key(config.swarm_key_file, Repo(repo_of(home)).kept_key),
        bootstrap=config.bootstrap,
        listen=checked_address(LISTEN_VARIABLE, os.environ.get(LISTEN_VARIABLE) or LOOPBACK),
        announce=checked_address(ANNOUNCE_VARIABLE, os.environ.get(ANNOUNCE_VARIABLE, "")),
    )


def checked_address(field: str, text: str) -> str:
    """Return `text` if it is empty or an address like /ip4/0.0.0.0/tcp/4001. Raises ConfigError."""
    try:
        if text:
            parse_address_of_node(text)
    except ValueError as error:
        raise ConfigError(field, str(error)) from error
    return text


def checked_peers(field: str, peers: tuple[str, ...]) -> tuple[str, ...]:
    """Return `peers` if each is an address with an identity. Raises ConfigError."""
    try:
        for peer in peers:
            parse_peer(peer)
    except ValueError as error:
        raise ConfigError(field, str(error)) from error
    return peers


def check_private(rpc: KuboRpc, config: StoreConfig) -> None:
    """Refuse a running node that joins networks other than ours. Raises StoreUnusable, StoreUnavailable."""
    if config.public:
        return
    known = {peer.rpartition("/")[2] for peer in config.bootstrap}
    found = [str(peer) for peer in rpc.call("bootstrap/list").get("Peers") or []]
    foreign = [peer for peer in found if peer.rpartition("/")[2] not in known]
    if foreign:
        raise StoreUnusable(
            f"the Kubo at {rpc.shown} bootstraps from {foreign[0]}, which is not this network's",
            hint="everything put there could leave the network: use a node of the private swarm, "
            "or let this program start its own",
        )


def describe_node(config: StoreConfig, home: Path) -> dict[str, Any]:
    """Return the identity of the party's node and its peers, without starting it. Of a folder, nothing."""
    if config.kind != "kubo":
        return {}
    from sonar.store.kubo.repo import Repo
    from sonar.store.kubo.rpc import KuboRpc

    repo = Repo(repo_of(home))
    own = not running_api(config)
    url = (repo.api_url() if repo.exists() else None) if own else running_api(config)
    known: dict[str, Any] = {"peer_id": repo.peer_id() if own and repo.exists() else "", "running": False}
    known |= {"own": own, "peers": 0, "version": ""}
    if url is None:
        return known
    rpc = KuboRpc(url, timeout_s=3.0)
    try:
        peer_id = str(rpc.call("id").get("ID"))
        if own and peer_id != known["peer_id"]:
            return known  # its port has passed to another node
        peers = len(rpc.call("swarm/peers").get("Peers") or [])
        return known | {"running": True, "peer_id": peer_id, "peers": peers, "version": rpc.version()}
    except StoreUnavailable:
        return known
    finally:
        rpc.close()


class LazyStore:
    """The store that `opened` returns. While `opened` raises, every method does, and tries again the next
    time.
    """

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._open = opened

    @cached_property
    def _opened(self) -> Store:
        return self._open()

    def put(self, data: bytes, codec: Codec = "raw") -> Cid:
        """Keep `data` and return its CID."""
        return self._opened.put(data, codec)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """Return the bytes of `cid`."""
        return self._opened.get(cid, max_bytes)

    def pin(self, cid: Cid) -> None:
        """Pin `cid`."""
        self._opened.pin(cid)

    def unpin(self, cid: Cid) -> None:
        """Unpin `cid`."""
        self._opened.unpin(cid)

    def has(self, cid: Cid) -> bool:
        """Tell whether `cid` is here."""
        return self._opened.has(cid)
