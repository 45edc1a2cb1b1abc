"""Puts the contract on a chain."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eth_utils.crypto import keccak

from sonar.chain import abi
from sonar.chain.market import Call, Market
from sonar.chain.outbox import Outbox, Receipt
from sonar.chain.rpc import Chain, Rpc
from sonar.errors import ConfigError, RemoteError
from sonar.journal import Journal
from sonar.progress import Progress
from sonar.protocol.ids import Address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

MAX_WINDOW_S = 2**24 - 1


@dataclass(frozen=True)
class Deployment:
    """A TrainingMarket on a chain. `code_hash` is keccak256 of its runtime code, as network.toml has it."""

    chain_id: int
    contract: Address
    code_hash: bytes
    receipt: Receipt

    def market(self, rpc: Rpc) -> Market:
        """Return the deployed contract, checked."""
        return Market(
            rpc,
            chain_id=self.chain_id,
            address=self.contract,
            code_hash=self.code_hash,
            deployed_block=self.receipt.block,
        )


def deploy(
    rpc: Rpc,
    account: LocalAccount,
    *,
    min_window_s: int,
    confirmations: int = 1,
    progress: Progress | None = None,
) -> Deployment:
    """Deploy TrainingMarket, whose windows have at least `min_window_s` seconds, and wait until it is there.

    Raises ConfigError on a window out of range, what `Outbox.perform` raises, and RemoteError if the chain
    holds other code afterwards than was sent.
    """
    if not 1 <= min_window_s <= MAX_WINDOW_S:
        raise ConfigError("min_window", f"{min_window_s} is not between 1 and {MAX_WINDOW_S} seconds")
    chain = Chain(rpc)
    call = Call(None, abi.encode_constructor(min_window_s), 0, "deploy")
    # A deployment that is cut off is simply done again, so its journal may go with it.
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        outbox = Outbox(chain, account, journal, confirmations=confirmations, progress=progress)
        receipt = outbox.perform("deploy", call)
    if receipt.contract is None:
        raise RemoteError("the deployment's receipt names no contract")
    code = chain.code(receipt.contract)
    if code != abi.runtime_code(min_window_s):
        raise RemoteError(f"the chain holds other code at {receipt.contract} than was deployed")
    return Deployment(chain.chain_id, receipt.contract, keccak(code), receipt)
