"""How rounds end on the chain; a bounty's end before its last round; and the last withdrawal.

A bounty ends early because the scientist asks, or because nothing gets better. The contract lets her take it
back while nobody has committed in its open round. That is so right after a round is settled. So the end is
tried then, at once; where a mine was faster, it is tried again after that mine's round, which is settled and
paid as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pysonar.campaign import history
from pysonar.campaign.means import Means
from pysonar.campaign.records import Finished, Outcome, Records
from pysonar.campaign.settling import Settling
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import MarketError
from sonar.families.quadratic.holdout import MILLION
from sonar.home.keystore import write_private
from sonar.protocol.ids import hex32
from sonar.protocol.phase import BountyState, Status
from sonar.telling.progress import Round, Waiting


class Ending:
    """Records how rounds ended, ends those that cannot be settled, and withdraws what is left."""

    def __init__(self, means: Means, settling: Settling) -> None:
        self._means, self._settling, self._records = means, settling, means.records

    def expire(self, state: BountyState, head: Head, status: Status) -> Waiting | None:
        """End a round that failed or is overdue; None when that is mined."""
        n = state.round
        cohort = self._settling.revealed(state, head)
        if len(cohort) != state.revealed:
            return Waiting(f"the reveals of round {n} to be in the chain's record")
        why = "has failed" if status is Status.FAILED else "was not settled in time"
        self._means.progress.note(f"round {n} {why}; the mines get their stakes back")
        call = self._means.market.expire(self._means.id, n, cohort)
        return self._means.transact(self._means.intent(Action.EXPIRE, n), call, f"the end of round {n}", None)

    def withdraw(self, head: Head) -> Waiting | None:
        """Withdraw what the contract owes this account, including other bounties' credits in that asset. None
        when nothing is left.
        """
        means = self._means
        intent, asset = Intent(Action.WITHDRAW, means.id.hex()), means.bounty.offer.terms.asset
        me = means.outbox.address
        if not means.outbox.wanted(intent) and means.market.withdrawable(me, means.deep(head), asset=asset):
            means.lacks(intent, head)
        if not means.outbox.wanted(intent) or means.market.withdrawable(me, head, asset=asset):
            call = means.market.withdraw(me, asset)
            if (waiting := means.transact(intent, call, "the withdrawal", None)) is not None:
                return waiting
        return None

    def finish_rounds(self, state: BountyState, head: Head) -> None:
        """Record how each round ended that is over on the chain."""
        self._forget_lost(state, head)
        means, records = self._means, self._records
        first, last = records.finished() + 1, state.round if state.closed else state.round - 1
        if first > last:
            return
        for n in range(first, last + 1):
            record = means.record(n, head.number, lambda found: found.is_whole)
            history.check_whole(n, record)
            finished = history.finished_of(record, means.watch.tell(n), self._gas(n))
            records.put(finished, n)
            means.watch.begin_idle()
            line = history.line_of(records, n, means.bounty)
            means.progress.emit(Round(hex32(means.id), n, history.round_of(line)))
            if finished.ended == "failed":
                means.progress.note(self._why_failed(finished))
            self._tell_held(n)

    def _forget_lost(self, state: BountyState, head: Head) -> None:
        """Forget the ends of rounds that a reorganisation took back: they may now end differently."""
        while not state.closed and (n := self._records.finished()) >= state.round:
            if self._records.get(Finished, n).block > head.number:
                return  # it is the node that is behind
            self._records.forget(Finished, n)
            self._means.progress.note(f"the chain's node has lost how round {n} ended; it ends again")

    def _why_failed(self, finished: Finished) -> str:
        bounty = self._means.bounty
        if not finished.committed:
            *first, last = bounty.columns
            columns = f"{', '.join(first)} and {last}" if first else last
            return (
                f"no mine committed: a mine needs a table with columns {columns}, within the bounds that "
                "`explain` shows, and must join this bounty"
            )
        return (
            f"a round takes min_mines = {bounty.offer.terms.min_mines} mines that reveal: get more mines to "
            "join, or post the next bounty with a smaller min_mines"
        )

    def _tell_held(self, n: int) -> None:
        """Report the weights that can no longer follow the gradient, if they changed."""
        held = self._held(n)
        if held and held != self._held(n - 1):
            names = ", ".join(held[:5]) + ", …" * (len(held) > 5)
            self._means.progress.note(
                f"round {n}: {self._means.bounty.bound} stops the weights of {names}; "
                "if the loss stays too high, post another bounty with a larger weight_max, or without one"
            )

    def _held(self, n: int) -> list[str]:
        outcome: Outcome | None = self._records.get(Outcome, n)
        return self._means.bounty.held(outcome.weights) if outcome else []

    def _gas(self, n: int) -> dict[str, int]:
        gas, outbox = {}, self._means.outbox
        for action in (Action.FIX_COHORT, Action.SETTLE, Action.EXPIRE):
            intent = self._means.intent(action, n)
            if outbox.submitted(intent):
                try:
                    receipt = outbox.outcome(intent)
                except MarketError:  # it was mined and failed; the round ended otherwise
                    continue
                if receipt is not None:
                    gas[action.value] = receipt.gas_used
        return gas


@dataclass
class ClosingWish:
    """Whether the scientist wants a bounty to end. It is one empty file, so that a command can ask while a
    campaign runs, and a kill leaves it asked for or not; without a path it lasts as long as this object.
    """

    path: Path | None = None
    _asked: bool = False

    @property
    def asked(self) -> bool:
        """Whether it was asked for."""
        return self._asked or (self.path is not None and self.path.exists())

    def ask(self) -> bool:
        """Ask for it, and tell whether that is new. Raises KeyFileError if the file cannot be written."""
        before, self._asked = self.asked, True
        if self.path is not None and not before:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, b"")
        return not before


def has_stopped(records: Records, initial: int, patience: int, least_gain: float, before: int) -> bool:
    """Tell whether the last `patience` rounds that learnt something, of those before round `before`, have
    brought less than `least_gain` of the null model's loss in all. Never for a patience of 0.
    """
    best = [initial]
    for number in range(1, before):
        outcome: Outcome | None = records.get(Outcome, number)
        if outcome is not None and outcome.sums:
            best.append(min(best[-1], outcome.loss))
    return 0 < patience < len(best) and best[-1 - patience] - best[-1] < least_gain * MILLION


class Closing:
    """Ends a bounty between two rounds."""

    def __init__(self, means: Means, wish: ClosingWish) -> None:
        self._means, self.wish = means, wish
        self._told = 0

    def close(self, state: BountyState, head: Head) -> Waiting | None:
        """End the bounty if that is wanted, in the phase Commit; None when it is mined, or not to be done."""
        why = self._why(state)
        if not why:
            return None
        n, means = state.round, self._means
        if state.committed:
            self._tell(n, f"{why}: the bounty ends after round {n}, to which mines have committed already")
            return None
        intent = means.intent(Action.CLOSE, n)
        call = means.market.close(means.id) if means.outbox.wanted(intent) else None
        if call is not None:
            self._tell(n, f"{why}: the bounty ends before round {n}; what mines have not earned comes back")
        waiting = means.transact(intent, call, "the end of the bounty", None)
        return waiting or Waiting("the chain to show the end of the bounty")

    def _why(self, state: BountyState) -> str:
        """Return why the bounty should end, in words; empty if it should not."""
        if self.wish.asked:
            return "you asked for it"
        settings = self._means.bounty.settings
        patience, least = getattr(settings, "patience", 0), getattr(settings, "least_gain", 0.0)
        initial = self._means.bounty.initial_loss
        if not has_stopped(self._means.records, initial, patience, least, state.round):
            return ""
        return f"{patience} rounds have brought less than {least:.2%} of the null model's loss (patience)"

    def _tell(self, number: int, text: str) -> None:
        if self._told != number:
            self._means.progress.note(text)
        self._told = number
