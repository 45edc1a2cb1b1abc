"""The open transactions of one account, signed but not settled, served in the order of their nonces.

`sonar.chain.sending.outbox` explains the steps; `sonar.chain.sending.entries` records each transaction.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sonar.chain.contract.calls import Call
from sonar.chain.rpc import Chain, Request, quantity
from sonar.chain.sending import fees, pool
from sonar.chain.sending.entries import Entries, Entry, Receipt, State, Try, empty_transfer
from sonar.chain.sending.fees import Asked, Price
from sonar.chain.sending.gas import estimate, with_margin
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.pool import Said
from sonar.chain.sending.receipts import is_mined, why_failed
from sonar.errors import InsufficientFunds, RpcError, SonarError, TransactionStuck
from sonar.protocol.ids import Address
from sonar.telling.progress import Progress

BURIED_BLOCKS = 5
"""A node that counts a transaction this deep has its receipt, even if it lags behind its head."""
MAX_GAP = 16
"""How many missing nonces are filled: if more are missing, it is another chain."""
_ASKED = 3
_AGAIN_S = (1.0, 2.0, 4.0)
"""A transaction that the node's pool lacks is sent again after this time."""


@dataclass
class _Memory:
    """What this process remembers of a transaction that is open. Times by its own clock."""

    asked_s: float | None = None  # when its owner last asked for it
    sent_s: float | None = None  # when it was last sent
    again: int = 0  # how often it was sent since, because the node's pool lacked it
    refused_s: float | None = None  # since when the node refuses it
    used_s: float | None = None  # since when the node counts its nonce as used, and has no receipt
    priced: int = 0  # the newest block for which its fee was looked at
    told: str = ""


class Queue:
    """An account's open transactions. Not safe to use from several threads.

    `patience_s`: how long what was sent, or refused, is left as it is.
    """

    def __init__(
        self,
        chain: Chain,
        address: Address,
        entries: Entries,
        *,
        confirmations: int,
        patience_s: float,
        progress: Progress,
        monotonic: Callable[[], float],
    ) -> None:
        self._chain, self._address, self._entries = chain, address, entries
        self._confirmations, self._patience_s = confirmations, patience_s
        self._progress, self._monotonic = progress, monotonic
        self._memory: defaultdict[Intent, _Memory] = defaultdict(_Memory)
        self._newest = 0  # the newest block at the last pass
        self._gap_s: float | None = None  # since when nonces before ours are missing
        self._gap_block = 0  # the newest block then
        self.counts = pool.Counts(address)

    def add(self, intent: Intent, call: Call, count: int, gas_limit: int, asked: Asked) -> None:
        """Sign `call` for the next nonce, save it and send it.

        `count`: the account's, the node's pool included. Raises InsufficientFunds, RpcError.
        """
        # No node lags by more: it is lost for good.
        known = self._entries.next if self._entries.next - count <= MAX_GAP else 0
        nonce = max([count, known, *(other.nonce + 1 for other in self._entries.open.values())])
        self._add(intent, call, nonce, gas_limit, asked)
        self.send(intent)

    def _add(self, intent: Intent, call: Call, nonce: int, gas_limit: int, asked: Asked) -> None:
        entry = Entry(State.SAVED, call, self._chain.place, nonce, gas_limit)
        self._sign(intent, entry, asked.price, asked.block)

    def _sign(self, intent: Intent, entry: Entry, price: Price, block: int) -> None:
        self._entries.sign(intent, entry, price, block)
        self._memory[intent].sent_s = None

    # ---- one pass over all of them

    def serve(self, asked: Intent | None = None) -> dict[Intent, SonarError]:
        """Advance each, the lowest nonce first; return why the node refused those that it refused.

        `asked`: the intent whose owner asks; None when something that is not signed yet waits for them.
        """
        refused: dict[Intent, SonarError] = {}
        if asked is not None:
            self._memory[asked].asked_s = self._monotonic()
        queue, count = self._take_over(refused)
        queue = self._fill_gap(queue, count)
        for place, intent in enumerate(queue):
            try:
                self._bring(intent, count, first=place == 0)
                self._memory[intent].refused_s = None
            except (InsufficientFunds, RpcError) as refusal:
                refused[intent] = refusal
                self._measure_anew(intent)
                stands = count > self._entries.open[intent].nonce and self._wanted(intent)
                if place == 0 and (asked is None or len(queue) > 1) and not stands:
                    with suppress(InsufficientFunds, RpcError):  # its owner hears that in the next pass
                        self._make_empty(intent, refusal)
        return refused

    def _take_over(self, refused: dict[Intent, SonarError]) -> tuple[list[Intent], int]:
        """Record the outcome of mined transactions; return the others, the lowest nonce first.

        And how many transactions the node counts, its pool included.
        """
        intents = sorted(self._entries.open, key=lambda intent: self._entries.open[intent].nonce)
        if not intents:
            return [], 0
        tries = [(intent, one) for intent in intents for one in self._entries.open[intent].tries]
        head, used, pending, *receipts = self._chain.rpc.batch(
            Request("eth_blockNumber", (), quantity),
            *self.counts.requests(),
            *(Request("eth_getTransactionReceipt", (one.hash,)) for _, one in tries),
        )
        self._newest, (count, pending) = _raised(head), self.counts.read(used, pending)
        found: dict[Intent, tuple[Try, dict[str, Any]]] = {}
        for (intent, one), receipt in zip(tries, receipts, strict=True):
            if isinstance(receipt, RpcError):
                refused[intent] = receipt
            elif is_mined(receipt) and self._entries.open[intent].nonce < count:  # or it has not used it
                found[intent] = (one, receipt)
        queue = []
        for intent in intents:
            try:
                if intent in found:
                    self._settle(intent, *found[intent])
                elif self._entries.open[intent].nonce >= count:
                    queue.append(intent)
                elif self._buried(intent):
                    self._entries.spent(intent)
                    self._memory.pop(intent, None)
            except RpcError as fault:
                refused[intent] = fault
        return queue, max(count, pending)

    def _settle(self, intent: Intent, made: Try, found: dict[str, Any]) -> None:
        """Write down what a mined transaction came to, once it is confirmed."""
        receipt, failed = Receipt.read(found)
        if self._newest - receipt.block + 1 < self._confirmations:
            return
        call = empty_transfer(self._address) if made.empty else self._entries.open[intent].call
        reverted = why_failed(self._chain, call, self._address, receipt) if failed else None
        if self._entries.mined(intent, made, receipt, reverted):
            self._progress.transaction(
                call.name, receipt.tx_hash, receipt.gas_used, receipt.fee_wei, call.round
            )
        self._memory.pop(intent, None)

    def _buried(self, intent: Intent) -> bool:
        """Tell whether somebody else's transaction has used the nonce, deep enough to be sure.

        The count is asked for before the receipts: one that is mined in between is then found. A count may be
        a lie, so the node is asked by sending as well, unless that goes on.
        """
        entry, depth = self._entries.open[intent], max(self._confirmations, BURIED_BLOCKS)
        block = hex(max(0, self._newest - depth + 1))
        if self._chain.rpc.quantity("eth_getTransactionCount", self._address, block) <= entry.nonce:
            return False
        requests = (Request("eth_getTransactionReceipt", (one.hash,)) for one in entry.tries)
        if not all(receipt is None for receipt in self._chain.rpc.batch(*requests)):
            return False
        memory = self._memory[intent]
        memory.used_s = self._monotonic() if memory.used_s is None else memory.used_s
        if self._monotonic() - memory.used_s >= self._patience_s:
            return True
        return pool.offer(self._chain.rpc, entry.last.raw) is Said.USED

    # ---- what was mined

    def recover(self) -> None:
        """Send again what was mined and confirmed, but that the chain has lost since.

        A node that is killed may lose its newest blocks, on a development chain more than are waited for. One
        that lags counts too few as well, so others behind the same address are asked too; if it is alone,
        sending again has no effect.
        """
        for _ in range(_ASKED):
            count = self._chain.rpc.quantity("eth_getTransactionCount", self._address, "latest")
            if count >= self._entries.next:
                break
        else:
            self._reopen(count)
        if any(entry.receipt for entry in self._entries.open.values()):
            self.serve()

    def _reopen(self, count: int) -> None:
        """Treat what was mined under the nonce `count` or a later one as only saved."""
        lost = self._entries.lost(count)
        if not 0 < len(lost) <= MAX_GAP:
            return
        self._chain.check_code()  # what was meant for another chain stays here
        for intent, entry in lost.items():
            self._entries.reopen(intent, entry)
            self._tell(intent, "was mined, but the chain's node does not know it any more; sending it again")

    # ---- what is not mined

    def _bring(self, intent: Intent, count: int, *, first: bool) -> None:
        """Send what this process has not sent recently; only the first can use a higher fee.

        Sooner if it cannot be mined at its price; and if by `count` the node's pool lacks it, but then a few
        times only, since some nodes never count their pool.
        """
        memory = self._memory[intent]
        waited_s = math.inf if memory.sent_s is None else self._monotonic() - memory.sent_s
        if waited_s < self._patience_s and first and self._priced_out(intent):
            self._raise_fee(intent, refused=True)
        elif waited_s < self._patience_s:
            missing = self._entries.open[intent].nonce >= count
            if not missing or memory.again >= len(_AGAIN_S) or waited_s < _AGAIN_S[memory.again]:
                return
            memory.again += 1
        else:
            memory.again = 0
            if memory.sent_s is not None and first:
                self._raise_fee(intent)
        self.send(intent)

    def _priced_out(self, intent: Intent) -> bool:
        """Tell whether the next block asks for more than the highest offer. One request for each block."""
        last, memory = self._entries.open[intent].last, self._memory[intent]
        if self._newest <= max(last.block, memory.priced):
            return False
        memory.priced = self._newest
        (asked,) = self._chain.rpc.batch(fees.HISTORY)
        return fees.asked(self._chain, asked).base_wei > last.price.max_fee_wei

    def send(self, intent: Intent) -> None:
        """Send the newest try under `intent`; sending what the node has already is no error.

        An offer that is too low is signed again. Raises InsufficientFunds, and RpcError if the node refuses
        it.
        """
        while (said := pool.offer(self._chain.rpc, self._entries.open[intent].last.raw)) is Said.CHEAP:
            if not self._raise_fee(intent, refused=True):
                return
        if said is Said.POOR:
            have_wei, need_wei = self._chain.ether(self._address), self._entries.open[intent].cost_wei()
            if have_wei >= need_wei:  # a node's pool adds up what is open
                need_wei = max(have_wei + 1, sum(one.cost_wei() for one in self._entries.open.values()))
            raise InsufficientFunds(self._address, have_wei, need_wei)
        if said in (Said.THERE, Said.USED):
            self._memory[intent].sent_s = self._monotonic()

    def _raise_fee(self, intent: Intent, *, refused: bool = False) -> bool:
        """Sign a try at a higher fee, if a block has come since the last one and asks for it.

        `refused`: the node itself asks for it.
        """
        entry, last = self._entries.open[intent], self._entries.open[intent].last
        balance = Request("eth_getBalance", (self._address, "latest"), quantity)
        history, have_wei = self._chain.rpc.batch(fees.HISTORY, balance)
        if isinstance(have_wei, RpcError):
            return False
        asked = fees.asked(self._chain, history)
        price = asked.over(last.price)
        if asked.block <= last.block:
            self._tell(intent, "is not mined yet: no block has come since it was signed")
        elif not (refused or asked.exceeds(last.price)):
            self._tell(
                intent, "is not mined yet: its fee is what the newest block asks for; sending it again"
            )
        elif price is None:
            limit = fees.MAX_FEE_PER_GAS_WEI // 10**9
            self._tell(
                intent, f"waits for a lower fee: the chain asks for more than the limit of {limit} gwei"
            )
        elif have_wei < entry.cost_wei(price):
            self._tell(
                intent, f"is not mined yet, and {self._address} cannot pay the higher fee that is asked for"
            )
        else:
            self._sign(intent, entry, price, asked.block)
            self._tell(intent, f"is not mined yet; offering {price.max_fee_wei / 10**9:.2f} gwei")
            return True
        return False

    def _measure_anew(self, intent: Intent) -> None:
        """Sign a refused transaction with another gas limit, if a newer block asks for a quite different one:
        the one that it was signed with may have been nonsense.
        """
        entry = self._entries.open[intent]
        measured = estimate(entry.sent(self._address), self._address)
        gas, asked = self._chain.rpc.batch(measured, fees.HISTORY)
        if isinstance(gas, RpcError) or isinstance(asked, RpcError) or asked.block <= entry.last.block:
            return
        gas_limit, price = with_margin(gas), asked.over(entry.last.price)
        if price is not None and not entry.gas_limit // 2 <= gas_limit <= 2 * entry.gas_limit:
            self._tell(intent, f"is refused; offering {gas_limit} gas in place of {entry.gas_limit}")
            self._sign(intent, replace(entry, gas_limit=gas_limit), price, asked.block)

    # ---- what holds up the others

    def _wanted(self, intent: Intent) -> bool:
        """Tell whether its owner still asks for what is under an intent."""
        asked_s = self._memory[intent].asked_s
        return asked_s is not None and self._monotonic() - asked_s < self._patience_s

    def _make_empty(self, intent: Intent, refusal: SonarError) -> None:
        """Give a refused transaction's nonce to an empty transfer, so that later ones can proceed.

        An account that cannot pay is refused for good; any other reason must last for a while.
        """
        memory = self._memory[intent]
        if memory.refused_s is None:
            memory.refused_s = self._monotonic()
        entry, last = self._entries.open[intent], self._entries.open[intent].last
        lasting = self._monotonic() - memory.refused_s >= self._patience_s
        if entry.empty or not (isinstance(refusal, InsufficientFunds) or lasting):
            return
        self._tell(intent, "is refused, and holds up later transactions")
        gas, history = self._chain.rpc.batch(self._estimate_empty(), fees.HISTORY)
        if isinstance(gas, RpcError):
            return
        asked = fees.asked(self._chain, history)
        price = asked.over(last.price)
        gas_limit = with_margin(gas)
        if price is None or self._chain.ether(self._address) < gas_limit * price.max_fee_wei:
            return
        self._tell(intent, f"was refused ({refusal}); an empty transfer takes its nonce")
        self._sign(intent, replace(entry, empty=True, gas_limit=gas_limit), price, asked.block)
        self.send(intent)

    def _fill_gap(self, queue: list[Intent], count: int) -> list[Intent]:
        """Fill unused nonces below our lowest with empty transfers; return all that are to be sent.

        A node may forget what another program sent, and a restarted development chain knows nothing.
        """
        if not queue or count >= (lowest := self._entries.open[queue[0]].nonce):
            self._gap_s = None
            return queue
        if self._gap_s is None:
            self._gap_s, self._gap_block = self._monotonic(), self._newest
        # Nothing here used the nonces between: their count was a lie, or another program's transactions are
        # forgotten.
        calls = [self._entries.open[intent].call for intent in queue]
        if lowest > self._entries.next and self._newest > self._gap_block + 1 and all(c.data for c in calls):
            return self._renumber(queue, max(count, self._entries.next))
        if self._monotonic() - self._gap_s < self._patience_s:
            return queue
        if lowest - count > MAX_GAP:
            raise TransactionStuck(
                f"the chain knows {count} transactions of {self._address}, but {lowest} were sent from here",
                hint="wait if the node is behind; if the chain was started anew, use a new home",
            )
        gas, history = self._chain.rpc.batch(self._estimate_empty(), fees.HISTORY)
        asked = fees.asked(self._chain, history)
        filled = [Intent(Action.FILL, detail=str(nonce)) for nonce in range(count, lowest)]
        gas_limit = with_margin(_raised(gas))
        for nonce, intent in enumerate(filled, count):
            self._add(intent, empty_transfer(self._address), nonce, gas_limit, asked)
            self._tell(intent, f"takes nonce {nonce}, which is unused and blocks later ones")
        return filled + queue

    def _renumber(self, queue: list[Intent], nonce: int) -> list[Intent]:
        """Sign all again from `nonce` on. A call to a contract that is mined twice is refused once."""
        (asked,) = self._chain.rpc.batch(fees.HISTORY)
        for place, intent in enumerate(queue):
            entry = replace(self._entries.open[intent], nonce=nonce + place)
            self._sign(intent, entry, _raised(asked).price, _raised(asked).block)
            self._tell(
                intent, f"was signed for a nonce that the chain will not reach; it takes {nonce + place}"
            )
        return queue

    # ---- parts

    def _estimate_empty(self) -> Request:
        return estimate(empty_transfer(self._address), self._address)

    def _tell(self, intent: Intent, what: str) -> None:
        """Tell what a transaction waits for, once."""
        if self._memory[intent].told != what:
            self._memory[intent].told = what
            self._progress.note(f"{self._entries.open[intent].call.name} {what}")


def _raised(answer: Any) -> Any:
    if isinstance(answer, RpcError):
        raise answer
    return answer
