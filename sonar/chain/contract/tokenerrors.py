"""The refusals of ERC-20 tokens, by their standard names (ERC-6093). Amounts in a token's smallest units.

A token is a stranger's code: it may revert with anything, and nothing vouches for these names.
"""

from __future__ import annotations

from functools import cache
from inspect import get_annotations

from sonar.chain.contract.refusal import Refusal
from sonar.protocol.ids import Address
from sonar.protocol.keccak import selector


class TokenRefusal(Refusal):
    """Base of the errors of tokens."""


class ERC20InsufficientBalance(TokenRefusal):
    """The account holds less of the token than is due."""

    sender: Address
    balance: int
    needed: int
    told = "{sender} has {balance} units of the token, and needs {needed}"
    next_step = "get more of the token, then run the same command again"


class ERC20InsufficientAllowance(TokenRefusal):
    """The contract may not take as much as is due."""

    spender: Address
    allowance: int
    needed: int
    told = "{spender} may take {allowance} units of the token, and needs {needed}"
    next_step = "run the same command again: it approves what is due"


class ERC20InvalidSender(TokenRefusal):
    """The token does not let this account send."""

    sender: Address
    told = "the token does not let {sender} send"


class ERC20InvalidReceiver(TokenRefusal):
    """The token does not let this account receive."""

    receiver: Address
    told = "the token does not let {receiver} receive"
    next_step = "name another receiver"


class ERC20InvalidApprover(TokenRefusal):
    """The token does not let this account approve."""

    approver: Address
    told = "the token does not let {approver} approve"


class ERC20InvalidSpender(TokenRefusal):
    """The token does not let this account be approved."""

    spender: Address
    told = "the token does not let {spender} be approved"


@cache
def by_selector() -> dict[bytes, tuple[type[Refusal], tuple[str, ...]]]:
    """Return each error and the ABI types of its fields, by its selector of 4 bytes."""
    found: dict[bytes, tuple[type[Refusal], tuple[str, ...]]] = {}
    for kind in TokenRefusal.__subclasses__():
        fields = get_annotations(kind, eval_str=True).values()
        types = tuple("address" if field is Address else "uint256" for field in fields)
        signature = f"{kind.__name__}({','.join(types)})"
        found[selector(signature)] = (kind, types)
    return found
