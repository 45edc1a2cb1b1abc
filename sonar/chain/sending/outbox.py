"""Sends transactions so that a crash at any instant neither loses one nor sends it twice.

Theory of operation. For each intent (`sonar.chain.sending.intent`) the journal has one entry; its state is

    saved    call, nonce and every try that was signed for that nonce; at most one of them can be mined
    mined    the receipt, and all that was saved: final, unless the chain loses that block
    failed   the contract's refusal when it was mined; `submit` signs it again
    spent    another transaction has the nonce, so that no try can be mined; signed again when asked for

The signed bytes are in the journal before they are sent, and sending them again does no harm. The chain takes
an account's transactions in the order of their nonces, so one that is stuck holds up all later ones, whoever
asked for it. Therefore every call here first serves what is saved (`sonar.chain.sending.queue`), the lowest
nonce first, and signs nothing new before that. Serving one means, in this order:

    a receipt of any try    confirmed: mined or failed
    nonce below the count   spent, once it is so deep in the chain that a receipt would show
    not sent lately         send the same bytes again: the node may have forgotten them; at once if it counts
                            too few transactions, its pool included
    priced too low          only the lowest, if a newer block asks for more: a higher fee for the same nonce,
                            up to a limit; at once if the next block cannot take it
    the node refuses it     its owner's call raises that, nobody else's; if it is the lowest and others wait,
                            an empty transfer takes its nonce, unless the owner still asks for it and only a
                            higher fee was refused: the pool has an earlier try, which may be mined yet

A chain can lose confirmed transactions: a killed node comes up with an older state, or a reorganisation is
deeper than the confirmations. `recover` then treats what was mined as only saved.

Empty transfers also take unused nonces below the lowest (another program's transaction was forgotten, or a
development chain was restarted).

Before a call is signed it is simulated, so that what the contract refuses costs nothing.

A call that pays in a token needs an allowance first, of exactly what is due (`pay`). Nothing is remembered
but the transactions themselves; whether an allowance is needed is read from the chain each time. So a crash
at any instant loses nothing and approves nothing twice: what was sent is continued, and an existing allowance
is used. Only one payment in a token runs at a time, since all of an account's payments to the contract share
its one allowance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sonar.chain.contract import revert, token
from sonar.chain.contract.calls import Call
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Chain, Head, Request, quantity
from sonar.chain.sending import fees
from sonar.chain.sending.entries import Entries, Entry, Receipt, State
from sonar.chain.sending.gas import estimate, with_margin
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.queue import Queue
from sonar.errors import (
    InsufficientFunds,
    LocalProtocolError,
    MarketError,
    RemoteError,
    RpcError,
    SonarError,
    TransactionStuck,
)
from sonar.home.journal import Journal
from sonar.protocol.ids import ETHER, Address
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_NO_EFFECT = "its receipt was wrong: the chain does not show its effect"
_POLLS_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)


class Outbox:
    """Sends the transactions of one account. One outbox per account and journal, in one process.

    The first call that is saved for an intent wins, however often it is asked for. Methods raise
    ChainUnavailable and RpcError besides what they say; calling again is always safe. `address` is the
    sender's; `confirmations`: how many blocks deep a transaction is believed, 1 being the newest.
    """

    def __init__(
        self,
        chain: Chain,
        account: LocalAccount,
        journal: Journal,
        *,
        confirmations: int = 1,
        progress: Progress | None = None,
        bump_after_s: float = 30.0,
        stuck_after_s: float = 600.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chain, self.address, self.confirmations = chain, Address(account.address), confirmations
        self._entries = Entries(chain, account, journal)
        self._progress = progress or Progress()
        self._stuck_after_s = stuck_after_s
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.RLock()
        self._recovered, self._priced = "", False
        self._queue = Queue(
            chain,
            self.address,
            self._entries,
            confirmations=confirmations,
            patience_s=bump_after_s,
            progress=self._progress,
            monotonic=monotonic,
        )

    # ---- for state machines: nothing here waits for a block

    def submit(self, intent: Intent, call: Call) -> None:
        """Simulate, sign, save and send `call` for `intent`, unless that was done before.

        One whose transaction was mined and failed is tried again. Raises the contract's own error, with
        nothing sent, if the simulation is refused, and InsufficientFunds.
        """
        with self._lock:
            if self.wanted(intent):
                self._served()
                self._sign(intent, call)

    def outcome(self, intent: Intent) -> Receipt | None:
        """Return the receipt of what was submitted for `intent`, or None while it is not confirmed.

        Serves all that is open, and signs again when another transaction has used the nonce. Raises the
        contract's error if the transaction was mined and failed, what the node refuses it for if it does, and
        LocalProtocolError for one that was never submitted.
        """
        with self._lock:
            refused = self._served(intent) if intent in self._entries.open else {}
            entry = self._entries.get(intent)
            if entry is None:
                raise LocalProtocolError(f"nothing was submitted for {intent.key!r}")
            match entry.state:
                case State.MINED:
                    return entry.receipt
                case State.FAILED:
                    raise revert.from_data(entry.revert)
                case State.SPENT:
                    self._renew(intent, entry)
            if intent in refused:
                raise refused[intent]
            return None

    def recover(self, head: Head) -> None:
        """Send again what the chain has lost of what was mined. One request for each newest block."""
        with self._lock:
            if head.hash != self._recovered:
                self._queue.recover()
                self._recovered = head.hash

    def submitted(self, intent: Intent) -> bool:
        """Tell whether there is a transaction for `intent`, in whatever state."""
        return intent.key in self._entries.journal

    def wanted(self, intent: Intent) -> bool:
        """Tell whether `submit` would sign something for `intent`: nothing that is mined or can be."""
        entry = self._entries.get(intent)
        return entry is None or entry.state in (State.FAILED, State.SPENT)

    def doubt(self, intent: Intent) -> None:
        """Treat as failed what its receipt says was mined: the chain does not show its effect.

        Then `submit` signs it again, if the simulation allows it, so nothing is done twice.
        """
        with self._lock:
            entry = self._entries.get(intent)
            if entry is not None and entry.state is State.MINED:
                self._progress.note(f"the chain does not show the effect of {entry.call.name}; trying again")
                self._entries.refused(intent, entry, revert.reason_data(_NO_EFFECT))

    def under_way(self, intent: Intent) -> bool:
        """Tell whether there is a transaction for `intent` that is not confirmed, or is so no longer."""
        return intent in self._entries.open

    def next(self, intent: Intent) -> Intent:
        """Return the attempt at `intent` that is under way, else the first that was never made."""
        made = len(self._entries.journal.items(intent.attempts))
        last = intent.again(max(made - 1, 0))
        return last if last in self._entries.open else intent.again(made)

    def busy(self, asset: Address) -> bool:
        """Tell whether something that concerns a token is sent and not confirmed, after serving it."""
        with self._lock:
            if self._concerned(asset):
                self._served()
            return self._concerned(asset)

    def _served(self, asked: Intent | None = None) -> dict[Intent, SonarError]:
        """Advance all open transactions; return why the node refused those that it refused."""
        return self._queue.serve(asked) if self._entries.open else {}

    def _concerned(self, asset: Address) -> bool:
        return any(entry.call.asset == asset for entry in self._entries.open.values())

    # ---- for everybody else

    def pause(self, what: str, seconds: float = 1.0) -> None:
        """Tell that the program waits for `what`, and sleep."""
        self._progress.waiting(what)
        self._sleep(seconds)

    def perform(self, intent: Intent, call: Call) -> Receipt:
        """Submit `call` for `intent` and wait until it is confirmed.

        Raises what `submit` and `outcome` raise, and TransactionStuck when it is neither mined nor refused in
        the outbox's `stuck_after_s`; it may still be mined, and calling again continues to wait for it.
        """
        self.submit(intent, call)
        started_s, polls = self._monotonic(), 0
        while (receipt := self.outcome(intent)) is None:
            if self._monotonic() - started_s >= self._stuck_after_s:
                raise TransactionStuck(
                    f"{call.name} was sent and is not mined after {self._stuck_after_s:.0f} s",
                    hint="run the same command again: it continues to wait and sends nothing twice",
                )
            if polls >= 2:
                self._progress.waiting(f"{call.name} to be mined")
            self._sleep(_POLLS_S[min(polls, len(_POLLS_S) - 1)])
            polls += 1
        return receipt

    # ---- signing

    def _sign(self, intent: Intent, call: Call) -> None:
        """Simulate `call`, sign it for the next nonce, save it and send it."""
        gas, history, balance, *counts = self._chain.rpc.batch(
            estimate(call, self.address),
            fees.HISTORY,
            Request("eth_getBalance", (self.address, "latest"), quantity),
            *self._queue.counts.requests(),
        )
        asked, have_wei = fees.asked(self._chain, history, before=self._priced), _raised(balance)
        price, self._priced = asked.price, True
        if isinstance(gas, RpcError):
            if (refusal := revert.from_rpc_error(gas)) is not None:
                raise refusal from gas
            if have_wei < call.value_wei or "insufficient funds" in str(gas).lower():
                need_wei = max(have_wei + 1, call.value_wei + 100_000 * price.max_fee_wei)
                raise InsufficientFunds(self.address, have_wei, need_wei) from gas
            raise gas
        gas_limit = with_margin(gas)
        if have_wei < (need_wei := call.value_wei + gas_limit * price.max_fee_wei):
            raise InsufficientFunds(self.address, have_wei, need_wei)
        self._queue.add(intent, call, max(self._queue.counts.read(*counts)), gas_limit, asked)

    def _renew(self, intent: Intent, entry: Entry) -> None:
        """Sign again what can no longer be mined under its nonce."""
        self._progress.note(f"another transaction has the nonce of {entry.call.name}; signing it again")
        try:
            self._sign(intent, entry.call)
        except MarketError as refusal:
            self._entries.refused(intent, entry, refusal.data)
            raise


def _raised(answer: Any) -> Any:
    if isinstance(answer, RpcError):
        raise answer
    return answer


MAX_APPROVALS = 8
"""Another payment may use up an allowance, which is then made again; a token may also keep none."""


def pay(market: Market, outbox: Outbox, intent: Intent, call: Call) -> Receipt | None:
    """Send `call` for `intent` once, however often this is asked, and first the approvals it needs.

    Returns the receipt, or None while something is not confirmed; then ask again. Raises what
    `Outbox.submit` and `Outbox.outcome` raise, and InsufficientFunds in the asset too.
    """
    if (
        call.asset != ETHER
        and call.amount
        and outbox.wanted(intent)
        and not _allowed(market, outbox, intent, call)
    ):
        return None
    outbox.submit(intent, call)
    return outbox.outcome(intent)


def _allowed(market: Market, outbox: Outbox, intent: Intent, call: Call) -> bool:
    """Tell whether the contract may take what is due; if not, take the next step towards that."""
    if outbox.submitted(step := outbox.next(intent.approval)):
        with suppress(MarketError):  # failed, so it is tried again
            outbox.outcome(step)
    if outbox.busy(call.asset):  # our approval, or another payment, which may use the allowance
        return False
    have = token.held(market, call.asset, outbox.address)
    if have < call.amount:
        raise InsufficientFunds(outbox.address, have, call.amount, call.asset)
    allowed = token.allowance(market, call.asset, outbox.address, market.address)
    if allowed >= call.amount:
        return True
    # Some tokens refuse to change an allowance that is not zero, so it is made zero first.
    due = 0 if allowed else call.amount
    step = outbox.next(intent.approval)
    if step.attempt >= MAX_APPROVALS:
        raise RemoteError(
            f"the token {call.asset} did not keep any of {MAX_APPROVALS} allowances for one payment",
            hint="leave this bounty, and remove the token from the list of those that you accept",
        )
    outbox.submit(step, market.approve(call.asset, due, call.round))
    outbox.outcome(step)
    return False
