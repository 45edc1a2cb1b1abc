"""Free ether, on networks marked `dev = true`."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path

from sonar.chain.contract.calls import transfer
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Rpc
from sonar.chain.sending.entries import Receipt
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ConfigError, InsufficientFunds, KeyFileError
from sonar.home.journal import Journal
from sonar.home.keystore import load_raw
from sonar.home.settings import NetworkConfig
from sonar.protocol.ids import parse_address


def fund(network: NetworkConfig, address: str, amount_wei: int, rpc: Rpc | None = None) -> Receipt:
    """Send `amount_wei` from the network's faucet to `address`, and wait until it is there.

    Raises ConfigError where there is no faucet, KeyFileError, and what connecting and sending raise.
    """
    if not network.dev or network.faucet is None:
        raise ConfigError(
            "faucet",
            f"the network {network.name!r} has none",
            hint="only development networks give ether away; get some from an exchange or its owner",
        )
    key_file = Path(network.faucet.key_file)
    if not key_file.exists():
        raise KeyFileError(
            f"the faucet's key {key_file} is not here",
            hint="it stays with the chain: run `sonar fund` there, as the user who runs the chain",
        )
    account = load_raw(key_file)
    # A gift that is cut off may be given twice: the faucet's ether is worth nothing. One giver at a time,
    # since two would take the same nonce.
    with (
        nullcontext(rpc) if rpc is not None else closing(Rpc(network.rpc_url)) as node,
        key_file.open("rb") as lock,
        tempfile.TemporaryDirectory() as folder,
        Journal(Path(folder) / "journal.sqlite", lasting=False) as journal,
    ):
        # No money goes out on a network whose contract is not the one named.
        market = Market.connect(network, node)
        fcntl.flock(lock, fcntl.LOCK_EX)
        outbox, to = Outbox(market, account, journal), parse_address(address)
        try:
            return outbox.perform(Intent(Action.TRANSFER, to), transfer(to, amount_wei))
        except InsufficientFunds as poor:
            poor.hint = "that is the faucet itself: ask for less, or send it ether"
            raise
