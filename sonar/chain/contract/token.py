"""ERC-20 tokens: what payments need, and what tokens say about themselves.

A token is a stranger's code: its answers are checked, and its symbol and decimals are used only to show
amounts.
"""

from __future__ import annotations

from typing import Any

from sonar.chain.contract import abi
from sonar.chain.contract.view import view
from sonar.chain.rpc import Chain, Head
from sonar.errors import ConfigError, MarketError, RemoteError, RpcError
from sonar.protocol.ids import ETHER, Address
from sonar.protocol.keccak import selector
from sonar.telling.amounts import IN_ETHER, MAX_DECIMALS, Unit, is_symbol

_MAX_TEXT_BYTES = 256


def held(chain: Chain, asset: Address, account: Address, at: Head | None = None) -> int:
    """Return what the account holds of an asset on the chain itself, in smallest units.

    Raises RemoteError on malformed answers, and what the token refuses with.
    """
    if asset == ETHER:
        return chain.ether(account)
    return int(_read(chain, asset, "balanceOf(address)", ("uint256",), account, at=at))


def allowance(chain: Chain, asset: Address, owner: Address, spender: Address) -> int:
    """Return how much of the token `spender` may take from `owner`. Raises as `held`."""
    return int(_read(chain, asset, "allowance(address,address)", ("uint256",), owner, spender))


def approval(spender: Address, amount: int) -> bytes:
    """Return the call data that allows `spender` to take `amount`."""
    return _calldata("approve(address,uint256)", spender, amount)


def check_asset(market: Chain, asset: Address, account: Address) -> None:
    """Check that a bounty can pay in an asset, before anything is sent.

    Raises ConfigError naming `asset`, ChainUnavailable, and RpcError if the node gives no sound answer.
    """
    if asset == ETHER:
        return
    hint = "give the token's address, or leave asset out to pay in ether; nothing was sent"
    if not market.code(asset):
        raise ConfigError("asset", f"there is no contract at {asset} on this chain", hint=hint)
    try:
        held(market, asset, account)
        allowance(market, asset, account, account)
    except RpcError:
        raise
    except (RemoteError, MarketError) as error:
        what = "the market itself" if asset == getattr(market, "address", None) else "a contract"
        problem = f"{asset} is {what}, and does not answer as an ERC-20 token does ({error})"
        raise ConfigError("asset", problem, hint=hint) from error


def unit_of(chain: Chain, asset: Address) -> Unit:
    """Return the unit in which to show amounts of the asset: its smallest if the token gives no usable one.

    Raises ChainUnavailable.
    """
    if asset == ETHER:
        return IN_ETHER
    try:
        decimals = int(_read(chain, asset, "decimals()", ("uint8",)))
        symbol = _symbol(chain, asset)
    except (RemoteError, MarketError):
        return Unit(asset)
    return Unit(asset, symbol, decimals) if decimals <= MAX_DECIMALS and is_symbol(symbol) else Unit(asset)


def _symbol(chain: Chain, asset: Address) -> str:
    """The token's symbol: a string, or 32 bytes with zeros at the end as the oldest tokens have it."""
    told = f"the symbol of {asset}"
    raw = view(chain.rpc, asset, _calldata("symbol()"), told)
    if len(raw) > _MAX_TEXT_BYTES:
        raise RemoteError(f"the token {asset} has a symbol of {len(raw)} bytes")
    if len(raw) == 32:
        return raw.rstrip(b"\0").decode("ascii", "replace")
    return str(abi.decode_exactly(("string",), raw, told)[0])


def _calldata(signature: str, *arguments: Any) -> bytes:
    types = [kind for kind in signature.partition("(")[2].rstrip(")").split(",") if kind]
    return selector(signature) + abi.encode(types, arguments)


def _read(
    chain: Chain, asset: Address, signature: str, outputs: tuple[str], *arguments: Any, at: Head | None = None
) -> Any:
    told = f"what the token {asset} answers to {signature}"
    raw = view(chain.rpc, asset, _calldata(signature, *arguments), told, at)
    return abi.decode_exactly(outputs, raw, told)[0]
