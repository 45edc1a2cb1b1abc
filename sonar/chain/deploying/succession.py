"""Puts the contract `Succession` on a chain: whoever needs it first, and once."""

from __future__ import annotations

from sonar.chain.contract.calls import Call
from sonar.chain.contract.succession import Succession, creation_code
from sonar.chain.deploying import create2
from sonar.chain.rpc import Chain
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import MarketError, ProxyRefused, RpcError
from sonar.protocol.ids import Address

_INTENT = Intent(Action.DEPLOY, "succession")
_NAME = "deploy succession"


def succession_address() -> Address:
    """Return where the contract lies, or would lie, on every chain that has the proxy."""
    return create2.address_of(creation_code())


def succession_on(chain: Chain) -> Succession:
    """Return the contract of a chain, whether it is deployed or not: ask `is_there`."""
    return Succession(chain, succession_address())


def ensure_succession(chain: Chain, outbox: Outbox) -> Succession:
    """Deploy the contract unless it is there, wait until it is, and check its code. Safe to call again.

    Raises what `Outbox.perform` and `create2.place_proxy` raise, ProxyRefused where a chain's node refuses
    the proxy, since others would look for the contract nowhere else, and WrongContract for other code.
    """
    found = succession_on(chain)
    if found.is_there():
        return found
    try:
        create2.place_proxy(chain, outbox)
    except ProxyRefused as refused:
        refused.hint = (
            "ask whoever runs the chain to deploy the proxy: without it no account of this chain can name a "
            "successor, since nobody would find it"
        )
        raise
    creation = create2.creation(creation_code())
    try:
        outbox.perform(_INTENT, Call(creation.to, creation.data, 0, _NAME))
    except MarketError:
        if not found.is_there():  # else somebody else was quicker, and it is the same contract
            raise
    if not found.is_there():
        outbox.doubt(_INTENT)  # it is sent again when this is called again
        raise RpcError("by its receipt Succession was deployed, but the chain's node shows no code there")
    return found
