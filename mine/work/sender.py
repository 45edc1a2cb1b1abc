"""A mine's transactions: each intent is sent once, and tracked until it is mined and confirmed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from mine.work.state import Part
from sonar.chain.contract import errors
from sonar.chain.contract.calls import Call
from sonar.chain.contract.market import Market
from sonar.chain.contract.refusal import Refusal
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox, pay
from sonar.chain.sending.queue import BURIED_BLOCKS
from sonar.errors import InsufficientFunds, MarketError
from sonar.protocol.ids import ETHER, Address
from sonar.telling.progress import Progress, Waiting


class Sender:
    """Sends for one mine. Methods raise what the outbox raises, besides what they say."""

    def __init__(self, market: Market, me: Address, outbox: Outbox, progress: Progress) -> None:
        self._market, self._me, self._outbox, self._progress = market, me, outbox, progress

    def deep(self, head: Head) -> Head:
        """Return the newest block that is confirmed at `head`. Raises RpcError if the node lacks it."""
        return self._market.at_depth(head, self._outbox.confirmations)

    def mined(self, intent: Intent, call: Call) -> bool:
        """Send `call` once, however often this is asked; tell whether it is mined and confirmed.

        Being late by a block is no fault: the next head says what to do instead.
        """
        try:
            return pay(self._market, self._outbox, intent, call) is not None
        except (errors.CohortFull, errors.WrongStatus, errors.WrongRound, errors.NothingToWithdraw):
            return False

    def may_be_mined(self, intent: Intent) -> bool:
        """Tell whether something that was sent may be on the chain, though not in the block we look at.

        That block may be replaced, so what was sent is given up when it has failed, or when nothing can be
        saved any more.
        """
        if not self._outbox.submitted(intent):
            return False
        try:
            self._outbox.outcome(intent)
        except MarketError:
            return False
        return True

    def restore(
        self, intent: Intent, call: Callable[[], Call], lacking: Callable[[Head], bool], head: Head
    ) -> None:
        """Advance what was sent; if the chain lacks it and it has failed, sign it again.

        So is what was mined by a receipt, and the chain lacks so deep that the receipt must have been a lie.
        """
        if not self._outbox.submitted(intent):
            return
        if not self._outbox.wanted(intent):
            receipt = None
            with suppress(MarketError):  # it is looked at again in the next pass
                receipt = self._outbox.outcome(intent)
            if receipt is not None and receipt.block + BURIED_BLOCKS <= head.number and lacking(head):
                self._outbox.doubt(intent)
        if self._outbox.wanted(intent) and lacking(head):
            self.mined(intent, call())

    def withdraw(self, intent: Intent, asset: Address, head: Head) -> Waiting | None:
        """Take out what the contract owes this mine in an asset; None when nothing is left to wait for.

        What was sent is waited for until it is confirmed: mined, it has emptied the balance already.
        """
        if self._outbox.wanted(intent) and not self._market.withdrawable(self._me, head, asset=asset):
            return None
        try:
            mined = self.mined(intent, self._market.withdraw(self._me, asset))
        except Refusal as refusal:  # of a token: it must not hold up other bounties
            self._progress.problem(refusal, f"it is still owed: `mine claim --asset {asset}`")
            return None
        return None if mined else Waiting("the withdrawal to be mined")

    def stake_from_earnings(self, part: Part, poor: InsufficientFunds, head: Head) -> Waiting:
        """Take out what is missing for a stake: stakes come back into the contract's books, so it may lie
        there, from earlier rounds. Raises `poor` if it does not.
        """
        asset = ETHER if poor.asset == "wei" else Address(poor.asset)
        intent = self._outbox.next(Intent.of_round(Action.WITHDRAW, part.bounty, part.round))
        withdrawing = self.withdraw(intent, asset, head)
        if withdrawing is None:
            raise poor
        return withdrawing
