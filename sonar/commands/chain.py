"""`sonar chain`: a development network on this machine."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sonar.commands.peer import LOOPBACK, AnnounceOption, ListenOption, first_peer
from sonar.protocol.ids import Address
from sonar.telling.documents import ChainReady
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from sonar.chain.rpc import Rpc
    from sonar.home.folder import Home
    from sonar.home.settings import CapsuleConfig, NetworkConfig, StoreConfig
    from sonar.localchain import LocalChain

HostOption = Annotated[
    str,
    typer.Option(help="Address to listen on. Whoever reaches it controls the chain: change it with care."),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        envvar="SONAR_CHAIN_URL", help="What the network file calls the chain. Default: http://HOST:PORT."
    ),
]
StoreKindOption = Annotated[
    Literal["folder", "kubo"],
    typer.Option(help="Where blobs are: a folder of this machine, or a private IPFS swarm."),
]
FAUCET_WEI = 10**6 * 10**18
DEPLOYER_WEI = 10**18
FAUCET_FILE = "faucet.key"


def chain(
    home: Annotated[
        Path | None, typer.Option(help="Folder for the network file, the faucet's key and the state.")
    ] = None,
    client: Annotated[
        Literal["auto", "anvil", "eth-tester"],
        typer.Option(help="The chain's software; auto uses Anvil if it is installed."),
    ] = "auto",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port; 0 takes the home's last one if free, else any."),
    ] = 0,
    host: HostOption = "127.0.0.1",
    url: UrlOption = None,
    store: Annotated[
        Path | None, typer.Option(help="The network's blob folder. Default: `store` in the home.")
    ] = None,
    store_kind: StoreKindOption = "folder",
    swarm_listen: ListenOption = LOOPBACK,
    swarm_announce: AnnounceOption = "",
    min_window: Annotated[
        int, typer.Option(min=1, help="Shortest window of a bounty's phases, in seconds.")
    ] = 10,
    json: JsonFlag = False,
) -> None:
    """Start a local chain with the contract deployed, and serve it until Ctrl-C or SIGTERM.

    Writes `network.toml` into its home: give that file to `mine`, `pysonar` and `sonar` with --network. Anvil
    keeps its state there and continues from it, after a kill from a few seconds earlier. eth-tester starts
    anew each time: everybody then needs the new network file, and should begin with a new home.

    With --store-kind kubo it also runs the first peer of the network's IPFS swarm, and makes the swarm's key
    beside the network file: every party needs both files, and nobody else may have the key.

    Examples: `sonar chain --home ./net --client eth-tester`, `sonar chain --home ./net --store-kind kubo`
    """
    from eth_account import Account

    from sonar import localchain
    from sonar.home.folder import Home, default_home

    with Home(home or default_home("chain"), "chain").lock() as folder:
        faucet = _faucet(folder)
        deployer: LocalAccount = Account.create()
        fund = {Address(faucet.address): FAUCET_WEI, Address(deployer.address): DEPLOYER_WEI}
        wanted = port or _last_port(folder)
        with ExitStack() as stack:
            if store_kind == "kubo":
                blobs = stack.enter_context(first_peer(folder, swarm_listen, swarm_announce))
            else:
                blobs = _blob_folder(store or folder.path / "store")
            running = stack.enter_context(
                localchain.start(client, port=wanted, host=host, state_dir=folder.path, fund=fund)
            )
            network = _network(folder, running, url, deployer, blobs, min_window)
            _tell(running, network, folder.network, as_json=json)
            _serve(running)


def _blob_folder(path: Path) -> StoreConfig:
    from sonar.errors import ConfigError
    from sonar.home.files import in_full, remedy
    from sonar.home.settings import StoreConfig

    path = in_full(path, "--store")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{path} cannot be made: {error.strerror}"
        raise ConfigError("--store", problem, hint=remedy(error, path)) from error
    return StoreConfig(kind="folder", path=str(path))


def _faucet(home: Home) -> LocalAccount:
    """Return the home's faucet account, made at random when the home is new."""
    from eth_account import Account

    from sonar.home.keystore import load_raw, write_private

    path = home.path / FAUCET_FILE
    if not path.exists():
        account: LocalAccount = Account.create()
        write_private(path, f"0x{bytes(account.key).hex()}\n".encode())
    return load_raw(path)


def _last_port(home: Home) -> int:
    """Return the port that this home's chain had last, so that clients find it again; 0 if it is taken."""
    import socket
    from urllib.parse import urlsplit

    from sonar.errors import ConfigError
    from sonar.home.settings import NetworkConfig

    try:
        port = urlsplit(NetworkConfig.load(home.network).rpc_url).port or 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        return port
    except (ConfigError, OSError):
        return 0


def _network(
    home: Home,
    running: LocalChain,
    url: str | None,
    deployer: LocalAccount,
    store: StoreConfig,
    min_window_s: int,
) -> NetworkConfig:
    """Write the network file and return it. Deploys the contract unless the chain already has it."""
    from sonar.chain.rpc import Rpc
    from sonar.home.settings import FaucetConfig, NetworkConfig

    rpc = Rpc(running.url)
    contract, code_hash, block = _contract(home, rpc, deployer, min_window_s)
    fields = {
        "name": "local",
        "dev": True,
        "client": running.client,
        "chain_id": running.chain_id,
        "rpc_url": url or running.url,
        "contract": contract,
        "code_hash": code_hash,
        "deployed_block": block,
        "store": store,
        "faucet": FaucetConfig(key_file=str(home.path / FAUCET_FILE)),
        "capsules": _listed(home, contract),
    }
    network = NetworkConfig.checked(home.network, fields, hint="is --url right?")
    network.save(home.network)
    return network


def _listed(home: Home, contract: Address) -> tuple[CapsuleConfig, ...]:
    """The capsules that the file lists already, if it is of the same contract."""
    from sonar.errors import ConfigError
    from sonar.home.settings import NetworkConfig

    try:
        old = NetworkConfig.load(home.network)
    except ConfigError:
        return ()
    return old.capsules if old.contract == contract else ()


def _contract(home: Home, rpc: Rpc, deployer: LocalAccount, min_window_s: int) -> tuple[Address, bytes, int]:
    """Return the contract's address, code hash and block: the old one's if the chain has it."""
    from sonar.chain.contract.market import Market
    from sonar.chain.deploying.deploy import deploy
    from sonar.chain.rpc import Chain
    from sonar.errors import ConfigError, WrongContract
    from sonar.home.settings import NetworkConfig

    if home.network.exists():
        try:
            old = NetworkConfig.load(home.network)
            has_block = old.deployed_block <= Chain(rpc).head().number
            if has_block and Market.connect(old, rpc).min_window_s() == min_window_s:
                return old.contract, old.code_hash, old.deployed_block
        except (ConfigError, WrongContract):
            pass  # another chain's file: the new contract replaces it
    # By an account made for it, at an address that no chain had before, not even this home's last one: so
    # whoever still has another chain's network file notices. Journals do too, as bounty ids hold the address.
    done = deploy(rpc, deployer, min_window_s=min_window_s, plain=True)
    return done.contract, done.code_hash, done.block


def _tell(running: LocalChain, network: NetworkConfig, file: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from sonar.protocol.url import without_secrets

    console = Console(stderr=True)
    if as_json:
        print_json(
            ChainReady(
                network.client,
                network.chain_id,
                network.rpc_url,
                network.contract,
                str(file),
                list(network.store.bootstrap),
                running.pid,
            )
        )
        return
    console.print(
        f"{network.client} serves chain {network.chain_id} at {without_secrets(network.rpc_url)}\n"
        f"TrainingMarket is at {network.contract}\n"
        f"network file: {file}\nCtrl-C ends the chain.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _serve(running: LocalChain) -> None:
    from rich.console import Console

    from sonar.errors import ChainUnavailable

    console, told = Console(stderr=True), 0
    while running.alive():
        for note in running.notes[told:]:
            console.print(note, style="yellow", markup=False)
            told += 1
        time.sleep(0.25)
    hint = "start `sonar chain` again; Anvil then continues from its state of a few seconds before"
    raise ChainUnavailable(f"{running.client} has ended by itself, or was killed", hint=hint)
