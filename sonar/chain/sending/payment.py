"""Pays in any asset: a call that pays in a token needs an allowance first, of exactly what is due.

Nothing is remembered but the transactions themselves, in the outbox's journal; whether an allowance is needed
is read from the chain each time. So a crash at any instant loses nothing and approves nothing twice: what was
sent goes on, and an allowance that is there already is used. One payment in a token goes on at a time, since
all of an account's payments to the contract share its one allowance.
"""

from __future__ import annotations

from contextlib import suppress

from sonar.chain.contract import token
from sonar.chain.contract.calls import Call
from sonar.chain.contract.market import Market
from sonar.chain.sending.entries import Receipt
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import InsufficientFunds, MarketError, RemoteError
from sonar.protocol.ids import ETHER

MAX_APPROVALS = 8
"""Another payment may use an allowance up, so that it is made again; a token may also keep none."""


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
    """Tell whether the contract may take what is due; if not, bring that a step forward."""
    if outbox.submitted(step := outbox.next(intent.approval)):
        with suppress(MarketError):  # found failed, it is tried anew
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
            f"the token {call.asset} has not kept {MAX_APPROVALS} allowances for one payment",
            hint="leave this bounty, and take the token from the list of those that you accept",
        )
    outbox.submit(step, market.approve(call.asset, due, call.round))
    outbox.outcome(step)
    return False
