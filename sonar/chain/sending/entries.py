"""What an account's journal records of its transactions: each one's call, and every try signed for its nonce.

`sonar.chain.sending.outbox` explains the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sonar.chain.contract.calls import Call
from sonar.chain.rpc import Chain, fields_of, hash32, quantity
from sonar.chain.sending.fees import Price
from sonar.chain.sending.intent import PREFIX, Intent
from sonar.errors import RpcError
from sonar.frozen import frozen
from sonar.home.journal import Journal
from sonar.protocol.ids import Address, parse_address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

EMPTY = "empty transfer"
"""The name of a call that does nothing but take a nonce."""


@frozen
class Receipt:
    """A transaction that was mined and confirmed. `contract`: the address of the one it created."""

    tx_hash: str
    block: int
    gas_used: int
    fee_wei: int
    contract: Address | None = None

    @classmethod
    def read(cls, found: dict[str, Any]) -> tuple[Receipt, bool]:
        """Return what a node's receipt says, and whether the transaction failed. Raises RpcError.

        What failed leaves no logs.
        """
        tx_hash, block, gas_used, price_wei, status = fields_of(found, "a receipt", **_RECEIPT)
        if status != 1 and found.get("logs"):
            raise RpcError(f"the receipt of {tx_hash} says that it failed, and has logs")
        created = found.get("contractAddress")
        contract = parse_address(str(created), "contractAddress") if created is not None else None
        return cls(tx_hash, block, gas_used, gas_used * price_wei, contract), status != 1


_RECEIPT = {
    "transactionHash": hash32,
    "blockNumber": quantity,
    "gasUsed": quantity,
    "effectiveGasPrice": quantity,
    "status": quantity,
}


class State(StrEnum):
    """Where a transaction stands. The values go into the journal."""

    SAVED = "saved"
    MINED = "mined"
    FAILED = "failed"
    SPENT = "spent"


@frozen
class Try:
    """A signed transaction: its hash and bytes, the newest block when it was priced, and what it offers.

    `empty`: not the call, but an empty transfer that takes its nonce.
    """

    hash: str
    raw: bytes
    block: int
    empty: bool
    tip_wei: int
    max_fee_wei: int

    @property
    def price(self) -> Price:
        """What it offers per gas."""
        return Price(self.tip_wei, self.max_fee_wei)


@frozen
class Entry:
    """What is known about one transaction. `place` is the contract and chain that it is meant for.

    `empty`: its nonce goes to an empty transfer. `receipt`, and `revert`, the bytes it failed with: once it
    is mined. What can no longer be mined under its nonce keeps no tries.
    """

    state: State
    call: Call
    place: str
    nonce: int
    gas_limit: int
    tries: tuple[Try, ...] = ()
    empty: bool = False
    receipt: Receipt | None = None
    revert: bytes = b""

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Entry:
        """Return the entry that `asdict` turned into `fields`. Raises what wrong fields raise."""
        receipt = fields["receipt"]
        return cls(
            **{
                **fields,
                "state": State(fields["state"]),
                "call": Call(**fields["call"]),
                "tries": tuple(Try(**one) for one in fields["tries"]),
                "receipt": receipt and Receipt(**receipt),
            }
        )

    @property
    def last(self) -> Try:
        """The newest try."""
        return self.tries[-1]

    def sent(self, me: Address) -> Call:
        """What is sent: the call, or the empty transfer in its place."""
        return empty_transfer(me) if self.empty else self.call

    def cost_wei(self, price: Price | None = None) -> int:
        """The most that the newest try can cost, or one at `price`."""
        value_wei = 0 if self.empty else self.call.value_wei
        return value_wei + self.gas_limit * (price or self.last.price).max_fee_wei


def empty_transfer(me: Address) -> Call:
    """Return the call that does nothing but take a nonce of the account `me`."""
    return Call(me, b"", 0, EMPTY)


class Entries:
    """The transactions of one account in its journal. Raises JournalError. Not safe to use from two threads.

    `open` holds those that are signed and not done with; `next` is the lowest nonce not known to be used: a
    node that lags counts fewer.
    """

    def __init__(self, chain: Chain, account: LocalAccount, journal: Journal) -> None:
        self._chain, self._account, self.journal = chain, account, journal
        known = self._known()
        self.open = {intent: entry for intent, entry in known.items() if entry.state is State.SAVED}
        self.next = max((entry.nonce + 1 for entry in known.values() if self._is_kept(entry)), default=0)

    def get(self, intent: Intent) -> Entry | None:
        """Return what is known of a transaction."""
        return self.journal.get_as(Entry.read, intent.key)

    def sign(self, intent: Intent, entry: Entry, price: Price, block: int) -> None:
        """Sign a try at this price and put it in the journal, before anybody else sees it."""
        call = entry.sent(Address(self._account.address))
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain.chain_id,
            "nonce": entry.nonce,
            "gas": entry.gas_limit,
            "maxFeePerGas": price.max_fee_wei,
            "maxPriorityFeePerGas": price.tip_wei,
            "value": call.value_wei,
            "data": call.data,
        }
        signed = self._account.sign_transaction(fields | ({"to": call.to} if call.to else {}))
        tx_hash, raw = "0x" + bytes(signed.hash).hex(), bytes(signed.raw_transaction)
        made = Try(tx_hash, raw, block, entry.empty, price.tip_wei, price.max_fee_wei)
        self.open[intent] = replace(entry, tries=(*entry.tries, made))
        self._put(intent, self.open[intent])

    def mined(self, intent: Intent, made: Try, receipt: Receipt, revert: bytes | None) -> bool:
        """Write down what a transaction came to; tell whether that is news. `revert`: it failed, with that.

        The log's line and the state change together: a restart reports the transaction once.
        """
        entry = self.open[intent]
        if made.empty:
            after = replace(entry, state=State.SPENT, tries=(), empty=False)
        elif revert is not None:
            after = replace(entry, state=State.FAILED, tries=(), empty=False, revert=revert)
        else:
            after = replace(entry, state=State.MINED, receipt=receipt)
        is_news = entry.receipt != receipt
        with self.journal.transaction():
            self._put(intent, after)
            if is_news:
                name = EMPTY if made.empty else entry.call.name
                failed = revert is not None
                self.journal.log("transaction", key=intent.key, name=name, failed=failed, **asdict(receipt))
        self._close(intent)
        return is_news

    def spent(self, intent: Intent) -> None:
        """Write down that another transaction has the nonce."""
        self._put(intent, replace(self.open[intent], state=State.SPENT, tries=(), empty=False))
        self._close(intent)

    def refused(self, intent: Intent, entry: Entry, revert: bytes) -> None:
        """Record that the contract refuses what was to be signed again."""
        self._put(intent, replace(entry, state=State.FAILED, tries=(), revert=revert))

    def lost(self, count: int) -> dict[Intent, Entry]:
        """Return what was mined here under the nonce `count` or a later one."""
        known = self._known().items()
        return {intent: entry for intent, entry in known if self._is_kept(entry) and entry.nonce >= count}

    def reopen(self, intent: Intent, entry: Entry) -> None:
        """Treat what was mined as only saved."""
        self.open[intent] = replace(entry, state=State.SAVED)
        self._put(intent, self.open[intent])

    def _close(self, intent: Intent) -> None:
        self.next = max(self.next, self.open.pop(intent).nonce + 1)

    def _put(self, intent: Intent, entry: Entry) -> None:
        self.journal.put(intent.key, asdict(entry))

    def _known(self) -> dict[Intent, Entry]:
        return {Intent.read(key): entry for key, entry in self.journal.pairs_as(Entry.read, PREFIX)}

    def _is_kept(self, entry: Entry) -> bool:
        """Tell whether this was mined here, and what was signed for it is there to be sent again.

        A home may have taken over the file of another network, whose nonces are others.
        """
        return entry.state is State.MINED and entry.place == self._chain.place
