"""Which account took the place of which: the contract `Succession`, read and called.

Its code has no immutables, so it is the same on every chain, at the address that the CREATE2 proxy gives it.
It is believed only if its code is what this version ships, byte for byte. Where it does not lie, nobody has
named a successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sonar.chain.contract import abi
from sonar.chain.contract.calls import Call
from sonar.chain.contract.view import call_of, view
from sonar.chain.rpc import Chain, Head, Request, data_bytes
from sonar.errors import MarketError, RemoteError, RpcError, WrongContract
from sonar.frozen import frozen
from sonar.protocol.ids import ETHER, Address
from sonar.protocol.keccak import keccak
from sonar.protocol.seal import succession_digest

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

NAME = "Succession"
MAX_STEPS = 64
"""How far a chain of accounts is followed either way: longer ones are cut there, and nothing hangs on it."""
NOBODY = ETHER
"""The zero address, as the contract has it."""


@frozen
class Line:
    """The accounts of one party, oldest first, as far as they were followed."""

    accounts: tuple[Address, ...]

    @property
    def latest(self) -> Address:
        """The account that has no successor."""
        return self.accounts[-1]


def creation_code() -> bytes:
    """Return what creates the contract."""
    return abi.succession().bytecode


def runtime_code() -> bytes:
    """Return the code that it has on every chain."""
    return abi.succession().deployed_bytecode


class Succession:
    """The contract at `address` of a chain.

    `at` is the block that is asked about: whoever decides by an answer asks about a confirmed one. Methods
    raise ChainUnavailable, RpcError, and WrongContract if other code lies there.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        self._chain, self.address = chain, address

    def is_there(self) -> bool:
        """Tell whether the contract is deployed, comparing its code."""
        code = self._chain.code(self.address)
        if code and code != runtime_code():
            raise WrongContract(self.address, keccak(runtime_code()).hex(), keccak(code).hex())
        return bool(code)

    def successor(self, account: Address, at: Head | None = None) -> Address | None:
        """Return the account that took the place of `account`; None if none did."""
        return self._account("successorOf", account, at)

    def predecessor(self, account: Address, at: Head | None = None) -> Address | None:
        """Return the account whose place `account` took; None if there is none."""
        return self._account("predecessorOf", account, at)

    def line(self, account: Address, at: Head | None = None) -> Line:
        """Return all accounts of the party that has `account`; only itself where the contract is not."""
        if not self.is_there():
            return Line((account,))
        found = [account]
        for ask, place in ((self.predecessor, 0), (self.successor, -1)):
            for _ in range(MAX_STEPS):
                after = ask(found[place], at)
                if after is None:
                    break
                if after in found:
                    raise RpcError(f"the chain's node tells of a ring of successors through {after}")
                found.insert(0, after) if place == 0 else found.append(after)
        return Line(tuple(found))

    def followed(self, accounts: Iterable[Address], at: Head | None = None) -> dict[Address, Address]:
        """Return the latest account of each of these that has a successor, in as few exchanges as go."""
        asked = list(dict.fromkeys(accounts))
        if not asked or not self.is_there():
            return {}
        latest = {account: account for account in asked}
        for _ in range(MAX_STEPS):
            ends = list(dict.fromkeys(latest.values()))
            after = dict(zip(ends, self._successors(ends, at), strict=True))
            if not any(after.values()):
                return {account: found for account, found in latest.items() if found != account}
            latest = {account: after[found] or found for account, found in latest.items()}
        raise RpcError(f"the chain's node tells of an account with more than {MAX_STEPS} successors")

    def _successors(self, accounts: Sequence[Address], at: Head | None) -> list[Address | None]:
        item = abi.functions_of(NAME)["successorOf"]

        def read(answer: Any, what: str) -> Address | None:
            return _found(item, data_bytes(answer, what))

        calls = [item.selector + abi.encode(item.inputs, (account,)) for account in accounts]
        asked = [Request("eth_call", call_of(self.address, call, at), read) for call in calls]
        answers = zip(accounts, self._chain.rpc.batch(*asked), strict=True)
        # Singly again, as `successor` says what is wrong.
        return [self.successor(one, at) if isinstance(told, RpcError) else told for one, told in answers]

    def succeed(self, successor: Address, signature: bytes) -> Call:
        """Name the sender's successor, once and for ever. `signature`: the successor's, by `sign`."""
        item = abi.functions_of(NAME)["succeed"]
        data = item.selector + abi.encode(item.inputs, (successor, signature))
        return Call(self.address, data, 0, "succeed")

    def sign(self, account: Address, successor: LocalAccount) -> bytes:
        """Return the successor's signature that it takes the place of `account`, 65 bytes."""
        from sonar.chain.signatures import sign_digest  # whoever only reads needs no keys

        digest = succession_digest(self._chain.chain_id, self.address, account, Address(successor.address))
        return sign_digest(successor, digest)

    def _account(self, function: str, account: Address, at: Head | None) -> Address | None:
        item = abi.functions_of(NAME)[function]
        data = item.selector + abi.encode(item.inputs, (account,))
        try:
            return _found(item, view(self._chain.rpc, self.address, data, function, at))
        except MarketError as fault:  # the code is known: it refuses no read
            raise RpcError(f"{function}: the chain's node refused: {fault}") from fault


def _found(item: abi.Item, answer: bytes) -> Address | None:
    """Return the account in an answer, None for nobody. Raises RpcError for nonsense."""
    try:
        (found,) = abi.decode_exactly(item.outputs, answer, f"the result of {item.name}")
    except RemoteError as fault:
        raise RpcError(str(fault)) from fault
    return None if found == NOBODY else Address(found)
