"""A token of TestToken.sol on a chain of a test."""

from __future__ import annotations

from pathlib import Path

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from sonar.chain.contract.calls import Call
from sonar.chain.contract.market import Market
from sonar.chain.contract.token import held
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import Outbox, pay
from sonar.protocol.ids import Address
from tests.chain_kit import wish

CODE = bytes.fromhex((Path(__file__).parent / "tokens/TestToken.hex").read_text())
KINDS = {"plain": (0, False), "old": (0, True), "taxed": (100, False)}
"""Each kind's fee in basis points, and whether it is like USDT."""


def deploy_token(outbox: Outbox, kind: str = "plain", symbol: str = "TST", decimals: int = 6) -> Address:
    """Put a token on the chain. The outbox may be used for one of each kind."""
    fee_bps, old = KINDS[kind]
    arguments = encode(["string", "uint8", "uint256", "bool"], [symbol, decimals, fee_bps, old])
    receipt = outbox.perform(wish(f"token/{kind}/{symbol}"), Call(None, CODE + arguments, 0, "deploy"))
    assert receipt.contract is not None
    return receipt.contract


def mint(outbox: Outbox, token: Address, to: Address, amount: int) -> None:
    """Make `amount` units more of the token."""
    data = keccak(text="mint(address,uint256)")[:4] + encode(["address", "uint256"], [to, amount])
    outbox.perform(wish(f"mint/{token}/{to}/{amount}"), Call(token, data, 0, "mint"))


def pay_now(market: Market, outbox: Outbox, intent: Intent, call: Call) -> None:
    """`pay` on a chain that mines at once."""
    for _ in range(5):
        if pay(market, outbox, intent, call) is not None:
            return
    raise AssertionError(f"{call.name} was not mined")


def supply(market: Market, token: Address, accounts: list[Address]) -> int:
    """What these accounts and the contract hold of the token, in all."""
    return sum(held(market, token, account) for account in [*accounts, market.address])
