"""The same address on every chain: deployment by CREATE2 through the well-known deterministic proxy.

The proxy (github.com/Arachnid/deterministic-deployment-proxy) has no owner and no state: it creates what
comes after a salt of 32 bytes in its call data, at an address that follows from salt and creation code alone.
It lies at one address on all chains, because one transaction that fits every chain creates it: its signature
is made up, so nobody has its signer's key, and nobody needs it.
"""

from __future__ import annotations

from sonar.chain.contract.calls import Call, transfer
from sonar.chain.rpc import Chain
from sonar.chain.sending import pool
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ProxyRefused, RpcError, TransactionStuck, WrongContract
from sonar.protocol.ids import ZERO32, Address
from sonar.protocol.keccak import checksummed, keccak

PROXY = Address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
PROXY_SIGNER = Address("0x3fAB184622Dc19b6109349B94811493BF2a45362")
PROXY_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
PROXY_COST_WEI = 100_000 * 100 * 10**9
"""What the signer must have: 100,000 gas at 100 gwei."""
PROXY_TRANSACTION = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    + PROXY_CODE.hex()
    + "1ba0"
    + "22" * 32
    + "a0"
    + "22" * 32
)
SALT = ZERO32
_TRIES = 300
_PLAIN = (
    "deploy with --plain, to an address specific to this chain; or ask whoever runs the chain to deploy the "
    "proxy"
)


def address_of(creation_code: bytes, salt: bytes = SALT) -> Address:
    """Return the address to which the proxy deploys `creation_code`."""
    preimage = b"\xff" + bytes.fromhex(PROXY[2:]) + salt + keccak(creation_code)
    return Address(checksummed(keccak(preimage)[12:]))


def creation(creation_code: bytes, salt: bytes = SALT) -> Call:
    """Create a contract through the proxy, which must be there."""
    return Call(PROXY, salt + creation_code, 0, "deploy")


def _check_taken(chain: Chain) -> None:
    """Check that the node would accept the proxy's transaction, before its signer gets ether for it.

    It is sent at once: a node that would accept it answers that its signer cannot pay. Raises ProxyRefused.
    """
    try:
        pool.offer(chain.rpc, PROXY_TRANSACTION)
    except RpcError as error:
        raise ProxyRefused(
            f"the node at {chain.rpc.shown} refuses the transaction that creates the CREATE2 proxy, because "
            f"that has no chain id and is valid on every chain (EIP-155): {error}. Nothing was paid",
            code=error.code,
            hint=_PLAIN,
        ) from error


def _send(chain: Chain, outbox: Outbox) -> bytes:
    """Send the proxy's transaction, and return the code that it made."""
    try:
        said = pool.offer(chain.rpc, PROXY_TRANSACTION)
    except RpcError as error:
        if not (code := chain.code(PROXY)):  # somebody else may have sent it meanwhile
            error.hint = _PLAIN
            raise
        return code
    for _ in range(_TRIES):
        if code := chain.code(PROXY):
            return code
        if said is not pool.Said.THERE:  # its signer's ether, or a cheaper block, may be on its way
            said = pool.offer(chain.rpc, PROXY_TRANSACTION)
        outbox.pause("the deployment proxy to be mined")
    raise TransactionStuck(
        "the deployment proxy's transaction was sent but is not mined; its gas price is fixed at 100 gwei",
        hint="run the same command again when gas is cheaper, or deploy with --plain",
    )


def place_proxy(chain: Chain, outbox: Outbox) -> None:
    """Put the proxy on a chain that lacks it; the account pays 0.01 ether for that.

    Raises what `Outbox.perform` raises, ProxyRefused if the node takes no transaction without a chain id, and
    WrongContract if something else lies at the proxy's address.
    """
    code = chain.code(PROXY)
    if not code:
        _check_taken(chain)
        missing_wei = PROXY_COST_WEI - chain.ether(PROXY_SIGNER)
        if missing_wei > 0:
            outbox.perform(Intent(Action.TRANSFER, PROXY_SIGNER), transfer(PROXY_SIGNER, missing_wei))
        code = _send(chain, outbox)
    if code != PROXY_CODE:
        raise WrongContract(PROXY, keccak(PROXY_CODE).hex(), keccak(code).hex())
