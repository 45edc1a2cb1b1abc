"""`sonar deploy`: the contract on any chain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonar.telling.documents import Deployed
from sonar.telling.terminal import JsonFlag, PasswordFileOption, print_json, sink_for

if TYPE_CHECKING:
    from sonar.home.settings import NetworkConfig, StoreConfig

BootstrapOption = Annotated[
    list[str] | None,
    typer.Option(help="A peer of the network's IPFS swarm (`sonar peer` prints its own); may be repeated."),
]
SwarmKeyOption = Annotated[
    str, typer.Option(help="File name of the swarm's key, beside each party's network file.")
]
PlainOption = Annotated[
    bool,
    typer.Option(
        "--plain",
        help="Deploy to an address of this account's own, without the CREATE2 proxy.",
    ),
]


def deploy(
    rpc: Annotated[str, typer.Option(help="JSON-RPC address of a node of the chain.")],
    keystore: Annotated[Path, typer.Option(help="Encrypted key file of the account that pays.")],
    network_out: Annotated[Path, typer.Option(help="Where to write the network file.")],
    store: Annotated[Path | None, typer.Option(help="The network's blob folder, on one machine.")] = None,
    bootstrap: BootstrapOption = None,
    swarm_key_file: SwarmKeyOption = "swarm.key",
    name: Annotated[str, typer.Option(help="The network's name.")] = "sonar",
    min_window: Annotated[
        int, typer.Option(min=1, help="Shortest window of a bounty's phases, in seconds; fixed for ever.")
    ] = 300,
    confirmations: Annotated[
        int, typer.Option(min=1, max=1000, help="Blocks to wait for, here and in the network file.")
    ] = 3,
    plain: PlainOption = False,
    password_file: PasswordFileOption = None,
    json: JsonFlag = False,
) -> None:
    """Deploy TrainingMarket and write the network file that every party needs.

    The contract has no owner and cannot be changed. The account pays for the deployment only (about 4
    million gas); it has no power over the network afterwards.

    It has the same address on every chain, for the same shortest window; if it is there already, nothing is
    sent. If the CREATE2 proxy is missing, it is deployed first, for 0.01 ether.

    The store is a folder, or an IPFS swarm whose key every party needs too.

    Example: `sonar deploy --rpc https://node.example --keystore key.json --network-out net.toml --store .`
    """
    from sonar.chain.contract.abi import verify_file
    from sonar.chain.deploying.deploy import deploy as deploy_contract
    from sonar.chain.rpc import Rpc
    from sonar.home.keystore import load, read_password
    from sonar.telling.progress import Progress

    blobs = _blobs(store, bootstrap or [], swarm_key_file)
    draft = _draft(
        network_out, {"name": name, "rpc_url": rpc, "confirmations": confirmations, "store": blobs}
    )
    account = load(keystore, read_password(password_file))
    progress = Progress(sink_for(json), "deploy")
    done = deploy_contract(
        Rpc(rpc),
        account,
        min_window_s=min_window,
        confirmations=confirmations,
        progress=progress,
        plain=plain,
    )
    found = {"chain_id": done.chain_id, "contract": done.contract, "code_hash": done.code_hash}
    draft.model_copy(update=found | {"deployed_block": done.block}).save(network_out)
    if json:
        hash_, sources = done.code_hash.hex(), str(verify_file())
        print_json(Deployed(done.contract, hash_, str(network_out), done.new, sources))
    else:
        was = "" if done.new else " already, and nothing was sent"
        progress.done(f"TrainingMarket is at {done.contract}{was}; the network file is {network_out}")
        typer.echo(f"to verify it at a block explorer, or with Sourcify: {verify_file()}")


def _blobs(store: Path | None, bootstrap: list[str], swarm_key_file: str) -> StoreConfig:
    """Return where the network's blobs are. Raises ConfigError."""
    from sonar.errors import ConfigError
    from sonar.home.files import in_full
    from sonar.home.settings import StoreConfig
    from sonar.store.choose import checked_peers

    if (store is None) == (not bootstrap):
        raise ConfigError("--store", "give either a folder or, with --bootstrap, a peer of an IPFS swarm")
    peers = checked_peers("--bootstrap", tuple(bootstrap))
    if store is not None:
        return StoreConfig(kind="folder", path=str(in_full(store, "--store")))
    return StoreConfig(kind="kubo", bootstrap=peers, swarm_key_file=swarm_key_file)


def _draft(path: Path, fields: dict[str, Any]) -> NetworkConfig:
    """Return the network file as far as it is known, to find its faults before anything is paid.

    Raises ConfigError.
    """
    from sonar.errors import ConfigError
    from sonar.home.files import expanded
    from sonar.home.settings import NetworkConfig
    from sonar.protocol.ids import ETHER, ZERO32, hex32

    path = expanded(path, "--network-out")
    if path.exists():
        raise ConfigError("--network-out", f"{path} exists", hint="name another file, or move it away")
    if not os.access(path.parent, os.W_OK):
        problem = f"{path.parent} is not a folder that can be written to"
        raise ConfigError("--network-out", problem, hint="make it, or name another: nothing was sent")
    nowhere = {"chain_id": 1, "contract": ETHER, "code_hash": hex32(ZERO32)}
    return NetworkConfig.checked(path, fields | nowhere, hint="correct the option: nothing was sent")
