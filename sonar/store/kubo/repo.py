"""A Kubo node's repository: made once; its settings are written again before each start.

Every setting that would reach out to the public network is off, and every value that Kubo would fill in from
there (`auto`) is replaced: a node of a private swarm speaks TCP to the members of its swarm, and to nobody
else.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonar.errors import ClientMissing, ConfigError, KeyFileError, StoreUnavailable
from sonar.home.files import expanded
from sonar.home.keystore import write_private
from sonar.home.settings import parse_address_of_node, parse_peer

IPFS_VARIABLE = "SONAR_IPFS"
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
_RUN_S = 60.0
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "GOMAXPROCS", "GOMEMLIMIT")
_USER = "sonar"


@dataclass(frozen=True)
class Swarm:
    """What a node needs to know about its swarm.

    `key` is the content of a swarm key file. `listen` is where peers connect to, port 0 being the last one or
    any; `announce` is what peers are told instead, where that differs.
    """

    key: bytes
    bootstrap: tuple[str, ...] = ()
    listen: str = LOOPBACK
    announce: str = ""


def find_ipfs() -> Path:
    """Return the `ipfs` program: SONAR_IPFS, or on PATH. Raises ConfigError, ClientMissing."""
    if named := os.environ.get(IPFS_VARIABLE):
        program = expanded(named, IPFS_VARIABLE)
        if not os.access(program, os.X_OK):
            raise ConfigError(IPFS_VARIABLE, f"{program} is not a program", hint="name the program itself")
        return program
    if found := shutil.which("ipfs"):
        return Path(found)
    raise ClientMissing(
        "the network's store is IPFS, and `ipfs` (Kubo) is not installed",
        hint="install Kubo 0.42 from https://dist.ipfs.tech, name its program by SONAR_IPFS, "
        "or name a running node's API by SONAR_IPFS_API",
    )


def program_version(program: Path) -> str:
    """Return what the program says its version is. Raises ClientMissing if it cannot be run."""
    return _run(program, Path("/nonexistent"), "version", "--number").strip()


@dataclass(frozen=True)
class Repo:
    """The folder of one node. It holds the node's identity: keep it, and peers know it again."""

    path: Path

    @property
    def log(self) -> Path:
        """What the daemon writes."""
        return self.path / "daemon.log"

    @property
    def kept_key(self) -> Path:
        """The swarm key as the daemon reads it."""
        return self.path / "swarm.key"

    def exists(self) -> bool:
        """Tell whether it was made."""
        return (self.path / "config").exists()

    def make(self, program: Path) -> None:
        """Make the repository, whole or not at all, unless it is there. Raises StoreUnavailable."""
        if self.exists():
            return
        new = self.path.with_name(f"{self.path.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _run(program, new, "init", "--empty-repo")
            new.chmod(0o700)
            new.replace(self.path)
        except OSError as error:
            raise StoreUnavailable(f"cannot make {self.path}: {error.strerror}", hint=_DISK) from error

    def prepare(self, swarm: Swarm, api_port: int) -> None:
        """Write the settings and the swarm key for the next start.

        Raises StoreUnavailable, also if somebody else listens on the swarm's port.
        """
        try:
            write_private(self.kept_key, swarm.key)
            config = _settings(self.config(), swarm, api_port)
            write_private(self.path / "config", json.dumps(config, indent=2).encode())
            (self.path / "api").unlink(missing_ok=True)  # a dead daemon's
        except (OSError, KeyFileError) as error:
            raise StoreUnavailable(f"cannot write to {self.path}: {error}", hint=_DISK) from error

    def config(self) -> dict[str, Any]:
        """Return the settings as they are. Raises StoreUnavailable if they are damaged."""
        try:
            config = json.loads((self.path / "config").read_bytes())
            config["Identity"]["PeerID"], config["Addresses"], config["API"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreUnavailable(
                f"{self.path}/config is damaged",
                hint=f"restore it, or remove {self.path}: a new node then gets its blobs from its peers",
            ) from error
        return dict(config)

    def peer_id(self) -> str:
        """Return the node's identity. Raises StoreUnavailable."""
        return str(self.config()["Identity"]["PeerID"])

    def api_url(self) -> str | None:
        """Return the API of the daemon that runs, or ran last; None before one told."""
        try:
            host, port = parse_address_of_node((self.path / "api").read_text().strip())
        except (OSError, ValueError):
            return None
        token = _token(self.config())
        return f"http://{_USER}:{token}@{host.rpartition('/')[2]}:{port}" if token else None

    def environment(self) -> dict[str, str]:
        """The daemon's environment: no password, and no way into a public network."""
        return _environment(self.path)


_OFF = {"Enabled": False}
_QUIET: dict[str, Any] = {
    "AutoConf": _OFF,
    "AutoTLS": _OFF,
    "HTTPRetrieval": _OFF,
    "Discovery": {"MDNS": _OFF},
    "DNS": {"Resolvers": {}},
    "Ipns": {"DelegatedPublishers": []},
    # The newer provider waits for a public swarm and, in a private one, never tells what a node has; and
    # a small swarm can afford to ask every connected peer.
    "Provide": {"DHT": {"SweepEnabled": False}},
    "Internal": {"Bitswap": {"BroadcastControl": {"Enable": False}}},
    "Version": {"SwarmCheckEnabled": False},
    "Swarm": {
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": _OFF,
        "RelayService": _OFF,
        # Otherwise a node takes 8 connections from an address, and more may be behind one: a site's, and
        # containers that reach it through their engine. Kubo's limits for all together stay.
        "ResourceMgr": {"Allowlist": ["/ip4/0.0.0.0/ipcidr/0", "/ip6/::/ipcidr/0"]},
        "Transports": {
            "Network": dict.fromkeys(("QUIC", "WebTransport", "WebRTCDirect", "Websocket", "Relay"), False)
        },
    },
}
"""What every node's configuration has: nothing public, and a small swarm finds its blocks."""


def _settings(config: dict[str, Any], swarm: Swarm, api_port: int) -> dict[str, Any]:
    """Return `config` with everything set that privacy and durability depend on."""
    peers: dict[str, list[str]] = {}
    for peer in swarm.bootstrap:
        address, identity = parse_peer(peer)
        if identity != config["Identity"]["PeerID"]:
            peers.setdefault(identity, []).append(address)
    token = _token(config) or secrets.token_urlsafe(24)
    changes: dict[str, Any] = {
        **_QUIET,
        "Addresses": {
            "API": f"/ip4/127.0.0.1/tcp/{api_port}",
            "Gateway": [],
            "Swarm": [_listen(swarm.listen, config["Addresses"].get("Swarm"))],
            "Announce": [swarm.announce] if swarm.announce else [],
        },
        # Other users of this machine can reach the port; only who can read this file can use it.
        "API": {
            "Authorizations": {
                _USER: {"AuthSecret": f"basic:{_USER}:{token}", "AllowedPaths": ["/api/v0"]},
            }
        },
        # Otherwise it does not write blocks that it believes to have, though its disk may have damaged them.
        "Datastore": {"BlockKeyCacheSize": 0},
        "Bootstrap": [f"{address}/p2p/{peer}" for peer, many in peers.items() for address in many],
        # Keeps a connection to them, and makes it again after they were gone.
        "Peering": {"Peers": [{"ID": peer, "Addrs": addresses} for peer, addresses in peers.items()]},
        # With `none`, two nodes that know each other through a third only do not find each other's blocks.
        # Without the last one, peers on the same machine know of each other's blocks, but not where they are.
        "Routing": {
            "Type": "dhtserver",
            "DelegatedRouters": [],
            "LoopbackAddressesOnLanDHT": swarm.listen.startswith(("/ip4/127.", "/ip6/::1/")),
        },
    }
    merged = _merge(config, changes)
    merged["DNS"]["Resolvers"] = {}
    for mount in merged["Datastore"]["Spec"].get("mounts", []):
        if mount.get("type") == "flatfs":
            mount["sync"] = True  # a blob that was put is on the disk
    return merged


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        merged[key] = _merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _token(config: dict[str, Any]) -> str:
    try:
        return str(config["API"]["Authorizations"][_USER]["AuthSecret"]).rpartition(":")[2]
    except (KeyError, TypeError):
        return ""


def _listen(wanted: str, before: Any) -> str:
    """Return the address to listen on; port 0 becomes the last one, which peers know, or any free one."""
    host, port = parse_address_of_node(wanted)
    if port:
        # Kubo itself would share the port with its current owner, and each would get half of the connections.
        if not _free_port(host, port):
            raise StoreUnavailable(
                f"{wanted}: the address is in use, or none of this machine's",
                hint="choose another by SONAR_SWARM_LISTEN",
            )
        return wanted
    last = 0
    if isinstance(before, list) and len(before) == 1 and str(before[0]).startswith(f"{host}/tcp/"):
        last = parse_address_of_node(str(before[0]))[1]
    return f"{host}/tcp/{_free_port(host, last) or _free_port(host, 0)}"


def _free_port(host: str, port: int) -> int:
    """Return `port` if it is free (0: any free one), else 0."""
    family = socket.AF_INET6 if host.startswith("/ip6/") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.rpartition("/")[2], port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


def _environment(repo: Path) -> dict[str, str]:
    ours = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return ours | {
        "IPFS_PATH": str(repo),
        "LIBP2P_FORCE_PNET": "1",  # it does not start without a swarm key
        "IPFS_TELEMETRY": "off",
    }


def _run(program: Path, repo: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [str(program), *arguments],
            env=_environment(repo),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_RUN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClientMissing(
            f"{program} cannot be run: {error}", hint="is it Kubo, built for this machine?"
        ) from error
    if done.returncode:
        told = (done.stderr or done.stdout).decode(errors="replace").strip()[-300:]
        raise StoreUnavailable(f"`ipfs {arguments[0]}` failed: {told}", hint=_DISK)
    return done.stdout.decode(errors="replace")


_DISK = "check free space, and that this user may write there"
