"""The transactions of one account that are signed and not done with, served in the order of their nonces.

What each step rests on is said in `sonar.chain.sending.outbox`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sonar.chain.contract import revert
from sonar.chain.contract.market import Call
from sonar.chain.rpc import Chain, data_bytes, quantity
from sonar.chain.sending import fees, pool
from sonar.chain.sending.fees import Asked, Price
from sonar.chain.sending.pool import Said
from sonar.errors import InsufficientFunds, RpcError, SonarError, TransactionStuck
from sonar.home.journal import Journal
from sonar.protocol.ids import Address, parse_address
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

GAS_MARGIN = (5, 4)
"""The gas limit is the estimate times 5/4: what others do before us may cost a little more."""
BURIED_BLOCKS = 5
"""A node that counts a transaction so deep in its chain has its receipt, however it lags behind its head."""
MAX_GAP = 16
"""How many missing nonces are filled: more are no forgotten transactions, but another chain."""

_ASKED = 3
_AGAIN_S = (1.0, 2.0, 4.0)
"""So long after it was sent, a transaction that the node's pool lacks is sent again."""


@dataclass(frozen=True)
class Receipt:
    """A transaction that was mined and confirmed. `contract`: the address of the one it created."""

    tx_hash: str
    block: int
    gas_used: int
    fee_wei: int
    contract: Address | None = None

    @classmethod
    def read(cls, found: dict[str, Any]) -> Receipt:
        """Return what a node's receipt says. Raises RpcError."""
        gas_used = quantity(found.get("gasUsed"), "gasUsed of a receipt")
        price_wei = quantity(found.get("effectiveGasPrice"), "effectiveGasPrice of a receipt")
        created = found.get("contractAddress")
        return cls(
            "0x" + data_bytes(found.get("transactionHash"), "transactionHash of a receipt", 32).hex(),
            quantity(found.get("blockNumber"), "blockNumber of a receipt"),
            gas_used,
            gas_used * price_wei,
            parse_address(str(created), "contractAddress") if created is not None else None,
        )


class Queue:
    """An account's open transactions. Not safe to use from several threads.

    Each lies in the journal under "outbox/<key>": its call, its nonce, and every try that was signed for that
    nonce. `patience_s`: how long what was sent, or refused, is left as it is.
    """

    def __init__(
        self,
        chain: Chain,
        account: LocalAccount,
        journal: Journal,
        *,
        confirmations: int,
        patience_s: float,
        progress: Progress,
        monotonic: Callable[[], float],
    ) -> None:
        self._chain, self._account, self._journal = chain, account, journal
        self.confirmations, self._patience_s = confirmations, patience_s
        self._progress, self._monotonic = progress, monotonic
        known = {key.removeprefix("outbox/"): entry for key, entry in journal.items("outbox/")}
        self.open: dict[str, dict[str, Any]] = {
            key: entry for key, entry in known.items() if entry["state"] == "saved"
        }
        # The lowest nonce that is not known to be used: a node that lags counts fewer.
        self._next = max((entry["nonce"] + 1 for entry in known.values() if self._is_kept(entry)), default=0)
        self._asked_s: dict[str, float] = {}  # when the owner of what is under a key last asked for it
        self._sent_s: dict[str, float] = {}  # when this process last sent what is under a key
        self._again: dict[str, int] = {}  # how often it did since, because the node's pool lacked it
        self._refused_s: dict[str, float] = {}  # since when the node refuses it
        self._newest = 0  # the newest block at the last pass, and for which one the fee was looked at
        self._priced: dict[str, int] = {}
        self._gap_s: float | None = None  # since when nonces before ours are missing
        self._told: dict[str, str] = {}

    @property
    def address(self) -> Address:
        """The account's address."""
        return Address(self._account.address)

    def add(self, key: str, call: Call, count: int, gas_limit: int, asked: Asked) -> None:
        """Sign `call` for the next nonce and save it. `count`: the account's, the node's pool included."""
        known = (
            self._next if self._next - count <= MAX_GAP else 0
        )  # no node lags by more: it was lost for good
        nonce = max([count, known, *(other["nonce"] + 1 for other in self.open.values())])
        self._add(key, call, nonce, gas_limit, asked)

    def _add(self, key: str, call: Call, nonce: int, gas_limit: int, asked: Asked) -> None:
        entry = {
            "state": "saved",
            "place": self._chain.place,
            "call": asdict(call),
            "nonce": nonce,
            "gas_limit": gas_limit,
            "tries": [],
        }
        self._save(key, entry, asked.price, asked.block)

    def _save(self, key: str, entry: dict[str, Any], price: Price, block: int) -> None:
        """Sign a try at this price and put it in the journal, before anybody else sees it."""
        call = self._call(entry)
        fields = {
            "type": 2,
            "chainId": self._chain.chain_id,
            "nonce": entry["nonce"],
            "gas": entry["gas_limit"],
            "maxFeePerGas": price.max_fee_wei,
            "maxPriorityFeePerGas": price.tip_wei,
            "value": call.value_wei,
            "data": call.data,
        }
        signed = self._account.sign_transaction(fields | ({"to": call.to} if call.to else {}))
        attempt = {
            "hash": "0x" + bytes(signed.hash).hex(),
            "raw": bytes(signed.raw_transaction),
            "block": block,
            "empty": entry.get("empty", False),
            **asdict(price),
        }
        entry = entry | {"tries": [*entry["tries"], attempt]}
        self._journal.put(f"outbox/{key}", entry)
        self.open[key] = entry
        self._sent_s.pop(key, None)

    # ---- one pass over all of them

    def serve(self, asked: str | None = None) -> dict[str, SonarError]:
        """Bring each on its way, the lowest nonce first; return why the node refused those that it did.

        `asked`: the key whose owner asks; None when something that is not signed yet waits for them.
        """
        refused: dict[str, SonarError] = {}
        if asked is not None:
            self._asked_s[asked] = self._monotonic()
        queue, count = self._take_over(refused)
        queue = self._fill_gap(queue, count)
        for place, key in enumerate(queue):
            try:
                self._bring(key, count, first=place == 0)
                self._refused_s.pop(key, None)
            except (InsufficientFunds, RpcError) as refusal:
                refused[key] = refusal
                stands = count > self.open[key]["nonce"] and self._wanted(key)
                if place == 0 and (asked is None or len(queue) > 1) and not stands:
                    with suppress(InsufficientFunds, RpcError):  # its owner hears that in the next pass
                        self._make_empty(key, refusal)
        return refused

    def _take_over(self, refused: dict[str, SonarError]) -> tuple[list[str], int]:
        """Write down what became of what was mined; return the keys of the others, the lowest nonce first.

        And how many transactions the node counts, its pool included.
        """
        keys = sorted(self.open, key=lambda key: int(self.open[key]["nonce"]))
        if not keys:
            return [], 0
        tries = [(key, one) for key in keys for one in self.open[key]["tries"]]
        head, used, pending, *receipts = self._chain.rpc.batch(
            ("eth_blockNumber",),
            ("eth_getTransactionCount", self.address, "latest"),
            ("eth_getTransactionCount", self.address, "pending"),
            *(("eth_getTransactionReceipt", one["hash"]) for _, one in tries),
        )
        newest, count = _quantity(head, "eth_blockNumber"), _quantity(used, "eth_getTransactionCount")
        self._newest = newest
        found = {}
        for (key, one), receipt in zip(tries, receipts, strict=True):
            if isinstance(receipt, RpcError):
                refused[key] = receipt
            elif isinstance(receipt, dict) and receipt.get("blockNumber") is not None:
                found[key] = (one, receipt)
        queue = []
        for key in keys:
            try:
                if key in found:
                    self._settle(key, *found[key], newest)
                elif self.open[key]["nonce"] >= count:
                    queue.append(key)
                elif self._buried(self.open[key], newest):
                    self._journal.put(f"outbox/{key}", {"state": "spent", "call": self.open[key]["call"]})
                    self._forget(key)
            except RpcError as fault:
                refused[key] = fault
        return queue, max(count, _quantity(pending, "eth_getTransactionCount"))

    def _settle(self, key: str, attempt: dict[str, Any], found: dict[str, Any], newest: int) -> None:
        """Write down what a mined transaction came to, once it is confirmed."""
        receipt = Receipt.read(found)
        if newest - receipt.block + 1 < self.confirmations:
            return
        entry = self.open[key]
        call = self._empty() if attempt.get("empty") else Call(**entry["call"])
        failed = quantity(found.get("status"), "status of a receipt") != 1
        if attempt.get("empty"):
            state = {"state": "spent", "call": entry["call"]}
        elif failed:
            state = {"state": "failed", "revert": self._why(call, receipt)}
        else:
            state = entry | {"state": "mined", "receipt": asdict(receipt)}
        # The log's line and the state change together: a restart reports the transaction once.
        known = entry.get("receipt") == asdict(receipt)
        with self._journal.transaction():
            self._journal.put(f"outbox/{key}", state)
            if not known:
                self._journal.log("transaction", key=key, name=call.name, failed=failed, **asdict(receipt))
        self._forget(key)
        if not known:
            self._progress.transaction(
                call.name, receipt.tx_hash, receipt.gas_used, receipt.fee_wei, call.round
            )

    def _forget(self, key: str) -> None:
        self._next = max(self._next, self.open[key]["nonce"] + 1)
        for memory in (self.open, self._asked_s, self._sent_s, self._again, self._refused_s):
            memory.pop(key, None)
        for told in (self._priced, self._told):
            told.pop(key, None)

    def _why(self, call: Call, receipt: Receipt) -> bytes:
        """Return the bytes that the call is reverted with now, as it was when it was mined."""
        try:
            self._chain.rpc.call("eth_call", request(call, self.address), hex(receipt.block))
        except RpcError as error:
            if (data := revert.find_data(error.data)) is not None:
                return data
        return revert.reason_data(f"{call.name} was mined in block {receipt.block} and failed")

    def _buried(self, entry: dict[str, Any], newest: int) -> bool:
        """Tell whether a transaction that is none of ours has used the nonce, deep enough to be sure.

        The count is asked for before the receipts: one that is mined in between is then found.
        """
        depth = max(self.confirmations, BURIED_BLOCKS)
        block = hex(max(0, newest - depth + 1))
        count = self._chain.rpc.call("eth_getTransactionCount", self.address, block)
        if quantity(count, "eth_getTransactionCount") <= entry["nonce"]:
            return False
        requests = (("eth_getTransactionReceipt", one["hash"]) for one in entry["tries"])
        return all(receipt is None for receipt in self._chain.rpc.batch(*requests))

    # ---- what was mined

    def recover(self) -> None:
        """Send again what was mined and confirmed, and that the chain went back behind all the same.

        A node that is killed may lose its newest blocks, on a development chain more than are waited for. One
        that lags counts too few as well, so others behind the same address are asked too; if it is alone,
        nothing comes of sending it again.
        """
        for _ in range(_ASKED):
            used = self._chain.rpc.call("eth_getTransactionCount", self.address, "latest")
            if (count := quantity(used, "eth_getTransactionCount")) >= self._next:
                break
        else:
            self._reopen(count)
        if any("receipt" in entry for entry in self.open.values()):
            self.serve()

    def _reopen(self, count: int) -> None:
        """Take what was mined under the nonce `count` or a later one for saved only."""
        found = {key.removeprefix("outbox/"): entry for key, entry in self._journal.items("outbox/")}
        lost = {
            key: entry for key, entry in found.items() if self._is_kept(entry) and entry["nonce"] >= count
        }
        if not 0 < len(lost) <= MAX_GAP:
            return
        self._chain.check_code()  # what was meant for another chain stays here
        for key, entry in lost.items():
            self.open[key] = entry | {"state": "saved"}
            self._journal.put(f"outbox/{key}", self.open[key])
            self._tell(key, "was mined, and the chain's node does not know it any more; sending it again")

    # ---- what is not mined

    def _bring(self, key: str, count: int, *, first: bool) -> None:
        """Send what this process has not sent, or not for long; only the first can use a higher fee.

        Sooner if it cannot be mined at its price; and if by `count` the node's pool lacks it, but then a few
        times only, since some nodes never count their pool.
        """
        sent_s, again = self._sent_s.get(key), self._again.get(key, 0)
        waited_s = math.inf if sent_s is None else self._monotonic() - sent_s
        if waited_s < self._patience_s and first and self._priced_out(key):
            self._raise_fee(key, refused=True)
        elif waited_s < self._patience_s:
            missing = self.open[key]["nonce"] >= count
            if not missing or again >= len(_AGAIN_S) or waited_s < _AGAIN_S[again]:
                return
            self._again[key] = again + 1
        else:
            self._again.pop(key, None)
            if sent_s is not None and first:
                self._raise_fee(key)
        self.send(key)

    def _priced_out(self, key: str) -> bool:
        """Tell whether the next block asks for more than is offered at most. One request for each block."""
        last = self.open[key]["tries"][-1]
        if self._newest <= max(last.get("block", 0), self._priced.get(key, 0)):
            return False
        self._priced[key] = self._newest
        return Asked.read(self._chain.rpc.call(*fees.HISTORY)).base_wei > int(last["max_fee_wei"])

    def send(self, key: str) -> None:
        """Send the newest try under `key`; sending what the node has already is no error.

        What offers too little is signed anew. Raises InsufficientFunds, and RpcError if the node refuses it.
        """
        while (said := pool.offer(self._chain.rpc, self.open[key]["tries"][-1]["raw"])) is Said.CHEAP:
            if not self._raise_fee(key, refused=True):
                return
        if said is Said.POOR:
            have_wei, need_wei = self._chain.ether(self.address), self._cost_wei(self.open[key])
            if have_wei >= need_wei:  # a node's pool adds up what is open
                need_wei = max(have_wei + 1, sum(self._cost_wei(one) for one in self.open.values()))
            raise InsufficientFunds(self.address, have_wei, need_wei)
        if said is Said.THERE:
            self._sent_s[key] = self._monotonic()

    def _raise_fee(self, key: str, *, refused: bool = False) -> bool:
        """Sign a try at a higher fee, if a block has come since the last one and asks for it.

        `refused`: the node itself asks for it.
        """
        entry, last = self.open[key], self.open[key]["tries"][-1]
        history, balance = self._chain.rpc.batch(fees.HISTORY, ("eth_getBalance", self.address, "latest"))
        if isinstance(history, RpcError) or isinstance(balance, RpcError):
            return False
        asked, offered = Asked.read(history), Price(last["tip_wei"], last["max_fee_wei"])
        price = asked.over(offered)
        if asked.block <= last.get("block", 0):
            self._tell(key, "is not mined yet: no block has come since it was signed")
        elif not (refused or asked.exceeds(offered)):
            self._tell(key, "is not mined yet: its fee is what the newest block asks for; sending it again")
        elif price is None:
            limit = fees.MAX_FEE_PER_GAS_WEI // 10**9
            self._tell(key, f"waits for a lower fee: the chain asks for more than the limit of {limit} gwei")
        elif quantity(balance, "eth_getBalance") < self._cost_wei(entry, price):
            self._tell(
                key, f"is not mined yet, and {self.address} cannot pay the higher fee that is asked for"
            )
        else:
            self._save(key, entry, price, asked.block)
            self._tell(key, f"is not mined yet; offering {price.max_fee_wei / 10**9:.2f} gwei")
            return True
        return False

    # ---- what holds up the others

    def _wanted(self, key: str) -> bool:
        """Tell whether its owner still asks for what is under a key."""
        asked_s = self._asked_s.get(key)
        return asked_s is not None and self._monotonic() - asked_s < self._patience_s

    def _make_empty(self, key: str, refusal: SonarError) -> None:
        """Give the nonce of what the node refuses to an empty transfer, so that later ones can go on.

        An account that cannot pay is refused for good; any other reason must last for a while.
        """
        since_s = self._refused_s.setdefault(key, self._monotonic())
        entry, last = self.open[key], self.open[key]["tries"][-1]
        lasting = self._monotonic() - since_s >= self._patience_s
        if entry.get("empty") or not (isinstance(refusal, InsufficientFunds) or lasting):
            return
        self._tell(key, "is refused, and holds up what was signed after it")
        gas, history = self._chain.rpc.batch(self._estimate_empty(), fees.HISTORY)
        if isinstance(gas, RpcError) or isinstance(history, RpcError):
            return
        asked = Asked.read(history)
        price = asked.over(Price(last["tip_wei"], last["max_fee_wei"]))
        gas_limit = with_margin(quantity(gas, "eth_estimateGas"))
        if price is None or self._chain.ether(self.address) < gas_limit * price.max_fee_wei:
            return
        self._tell(key, f"was refused ({refusal}); an empty transfer takes its nonce")
        self._save(key, entry | {"empty": True, "gas_limit": gas_limit}, price, asked.block)
        self.send(key)

    def _fill_gap(self, queue: list[str], count: int) -> list[str]:
        """Give nonces below our lowest that nobody uses to empty transfers; return all keys to send.

        A node forgets what another program sent, and a development chain that starts anew knows nothing.
        """
        if not queue or count >= (lowest := int(self.open[queue[0]]["nonce"])):
            self._gap_s = None
            return queue
        self._gap_s = self._monotonic() if self._gap_s is None else self._gap_s
        if self._monotonic() - self._gap_s < self._patience_s:
            return queue
        if lowest - count > MAX_GAP:
            raise TransactionStuck(
                f"the chain knows {count} transactions of {self.address}, and {lowest} were sent from here",
                hint="is the node behind, or did the chain start anew? After the latter, take a new home",
            )
        gas, history = self._chain.rpc.batch(self._estimate_empty(), fees.HISTORY)
        filled = [f"gap/{nonce}" for nonce in range(count, lowest)]
        gas_limit = with_margin(_quantity(gas, "eth_estimateGas"))
        for nonce, key in enumerate(filled, count):
            self._add(key, self._empty(), nonce, gas_limit, Asked.read(history))
            self._tell(key, f"takes nonce {nonce}, which nobody uses and later ones wait for")
        return filled + queue

    # ---- parts

    def _is_kept(self, entry: dict[str, Any]) -> bool:
        """Tell whether this was mined here, and what was signed for it is there to be sent again.

        A home may have taken over the file of another network, whose nonces are others.
        """
        return entry["state"] == "mined" and entry.get("place") == self._chain.place

    def _empty(self) -> Call:
        return Call(self.address, b"", 0, "empty transfer")

    def _estimate_empty(self) -> tuple[Any, ...]:
        return "eth_estimateGas", request(self._empty(), self.address)

    def _call(self, entry: dict[str, Any]) -> Call:
        return self._empty() if entry.get("empty") else Call(**entry["call"])

    def _cost_wei(self, entry: dict[str, Any], price: Price | None = None) -> int:
        """The most that the newest try can cost, or one at `price`."""
        max_fee_wei = price.max_fee_wei if price else entry["tries"][-1]["max_fee_wei"]
        return self._call(entry).value_wei + int(entry["gas_limit"]) * int(max_fee_wei)

    def _tell(self, key: str, what: str) -> None:
        """Tell what a transaction waits for, once."""
        if self._told.get(key) != what:
            self._told[key] = what
            self._progress.note(f"{self.open[key]['call']['name']} {what}")


def with_margin(gas: int) -> int:
    """Return the gas limit for an estimate."""
    return gas * GAS_MARGIN[0] // GAS_MARGIN[1]


def request(call: Call, sender: Address) -> dict[str, str]:
    """Return the call as JSON-RPC wants it to simulate it."""
    fields = {"from": sender, "data": "0x" + call.data.hex(), "value": hex(call.value_wei)}
    return fields | ({"to": call.to} if call.to else {})


def _quantity(answer: Any, what: str) -> int:
    if isinstance(answer, RpcError):
        raise answer
    return quantity(answer, what)
