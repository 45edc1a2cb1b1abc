"""Puts the contract on a chain, at the same address on every chain."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sonar.chain.contract import abi
from sonar.chain.contract.abi import training_market
from sonar.chain.contract.calls import Call
from sonar.chain.contract.market import Market
from sonar.chain.deploying import create2
from sonar.chain.rpc import Chain, Rpc
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ConfigError, RemoteError, RpcError, WrongContract
from sonar.home.journal import Journal
from sonar.protocol.ids import Address
from sonar.protocol.keccak import keccak
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

MAX_WINDOW_S = 2**24 - 1


@dataclass(frozen=True)
class Deployment:
    """A TrainingMarket on a chain. `code_hash` is keccak256 of its runtime code, as network.toml has it.

    `block` is the one that it was deployed in; `new` says whether that was just now.
    """

    chain_id: int
    contract: Address
    code_hash: bytes
    block: int
    new: bool

    def market(self, rpc: Rpc) -> Market:
        """Return the deployed contract, checked."""
        return Market(
            rpc,
            chain_id=self.chain_id,
            address=self.contract,
            code_hash=self.code_hash,
            deployed_block=self.block,
        )


def predicted(min_window_s: int) -> Address:
    """Return where TrainingMarket with this least window lies, or would lie, on every chain."""
    return create2.address_of(abi.encode_constructor(_window(min_window_s)))


def deploy(
    rpc: Rpc,
    account: LocalAccount,
    *,
    min_window_s: int,
    confirmations: int = 1,
    progress: Progress | None = None,
    plain: bool = False,
) -> Deployment:
    """Deploy TrainingMarket, whose windows have at least `min_window_s` seconds, and wait until it is there.

    It goes to `predicted(min_window_s)`; if it is there already, nothing is sent, since nobody could have put
    anything else there. `plain` creates one at an address of the account's own, by no proxy.

    Raises ConfigError on a window out of range, what `Outbox.perform` and `create2.place_proxy` raise, and
    WrongContract if the chain holds other code afterwards than was sent.
    """
    code = abi.encode_constructor(_window(min_window_s))
    expected = training_market().runtime_code(min_window_s)
    chain, progress = Chain(rpc), progress or Progress()
    address = create2.address_of(code)
    if not plain and chain.code(address):
        _check(chain, address, expected)
        return Deployment(chain.chain_id, address, keccak(expected), _deployed_block(chain, address), False)
    # A deployment that is cut off is simply done again, so its journal may go with it.
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        outbox = Outbox(chain, account, journal, confirmations=confirmations, progress=progress)
        if plain:
            receipt = outbox.perform(Intent(Action.DEPLOY), Call(None, code, 0, "deploy"))
            if receipt.contract is None:
                raise RemoteError("the deployment's receipt names no contract")
            address = receipt.contract
        else:
            create2.place_proxy(chain, outbox)
            progress.note(f"the contract will be at {address}")
            receipt = outbox.perform(Intent(Action.DEPLOY), create2.creation(code))
    _check(chain, address, expected)
    return Deployment(chain.chain_id, address, keccak(expected), receipt.block, True)


def _window(min_window_s: int) -> int:
    if not 1 <= min_window_s <= MAX_WINDOW_S:
        raise ConfigError("min_window", f"{min_window_s} is not between 1 and {MAX_WINDOW_S} seconds")
    return min_window_s


def _check(chain: Chain, address: Address, expected: bytes) -> None:
    code = chain.code(address)
    if code != expected:
        raise WrongContract(address, keccak(expected).hex(), keccak(code).hex() if code else "none")


def _deployed_block(chain: Chain, address: Address) -> int:
    """Return the block in which the contract at `address` was created, by halving.

    Raises ConfigError if the node does not keep old states.
    """
    first, last = 0, chain.head().number
    try:
        while first < last:
            middle = (first + last) // 2
            code = chain.rpc.data("eth_getCode", address, hex(middle))
            first, last = (first, middle) if code else (middle + 1, last)
    except RpcError as error:
        raise ConfigError(
            "--rpc",
            f"the contract is at {address} already, but this node does not keep the states that show since "
            "which block",
            hint="use an archive node for this command (any will do afterwards), or get its network file",
        ) from error
    return first
