"""A bounty from posting to withdrawal, as a state machine over the chain.

Theory of operation. `tick` makes one pass that waits for nothing: it reads the chain, does what can be done,
and returns what it waits for. The chain says where the bounty stands; the journal says what this side has
decided (`pysonar.campaign.records`). Each decision is on the disk before the effect that depends on it, and
is never made twice: the key's holder is asked for the same sum, the store for the same bytes, the outbox for
the same transaction. So a campaign that is killed at any instant and started again ends with the same model
and the same payments.

    not posted          opening     post
    Commit, Reveal      settling    keep in the store what mines read
    Settle              settling    settle
    Failed, Overdue     ending      expire
    Closed              ending      withdraw
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.covered import learned
from pysonar.campaign import history
from pysonar.campaign.ending import Closing, ClosingWish, Ending
from pysonar.campaign.means import Means, Stopwatch
from pysonar.campaign.opening import Opening
from pysonar.campaign.records import Posting, Records
from pysonar.campaign.settling import Settling
from pysonar.campaign.signing import Signing
from pysonar.campaign.standing import found_in, ridge_of
from pysonar.keys.holder import KeyHolder
from pysonar.keys.ledger import Revealed
from pysonar.models.linear import LinearModel
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Head
from sonar.chain.sending.outbox import Outbox
from sonar.errors import (
    ChainUnavailable,
    ConfigError,
    JournalError,
    RpcError,
    SonarError,
    UsageError,
    WrongContract,
)
from sonar.home.journal import Journal
from sonar.ports import Store
from sonar.protocol.ids import BountyId
from sonar.protocol.phase import BountyState, Status, deadlines_of, status_of
from sonar.telling.progress import Done, Progress, Waiting
from sonar.telling.waiting import drive, interrupts_held

SOON_S = 0.02
"""The first pause after a change of what a campaign waits for."""
_LOOKS = 3
"""How often one tick looks again after something of its own was mined."""


class Campaign:
    """The scientist's side of one bounty.

    `bounty` says what to post, or what was posted: a campaign continues only with the same bounty. `holder`
    has its key, the same through the whole campaign. `signing` is asked for the signatures of a settler, if
    the terms name one. `copies` is the home's own store, in which what others read of the scientist lies
    until the bounty is closed, whatever the network's store loses. `closing`: whether it is to end early.
    Raises ConfigError if the journal holds
    another bounty of this name.
    """

    def __init__(
        self,
        market: Market,
        store: Store,
        copies: Store,
        holder: KeyHolder,
        signing: Signing,
        outbox: Outbox,
        journal: Journal,
        bounty: AnyBounty,
        *,
        progress: Progress | None = None,
        confirmations: int = 1,
        closing: ClosingWish | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bounty = bounty
        self.records = Records(journal, bounty.settings.name)
        self._progress = progress or Progress()
        means = Means(
            market,
            store,
            copies,
            holder,
            signing,
            outbox,
            self.records,
            bounty,
            self._progress,
            Stopwatch(self._progress),
            confirmations,
        )
        self._means = means
        self._opening = Opening(means)
        self._settling = Settling(means, self._opening)
        self._ending = Ending(means, self._settling)
        self._closing = Closing(means, closing or ClosingWish())
        self._let_go = self._told_age = False
        self._monotonic = monotonic
        self._doubted_s: float | None = None
        holder.on_progress(
            lambda done, of: self._progress.waiting(f"the key: {done} of {of} ciphertexts done")
        )

    def __repr__(self) -> str:
        rounds, of = self.records.finished(), self.bounty.terms.rounds
        stands = "not posted" if self.id is None else "closed" if self.done else "open"
        return f"<Campaign {self.bounty.settings.name!r}: {stands}, {rounds} of {of} rounds are over>"

    @property
    def id(self) -> BountyId | None:
        """The bounty's id, once it is posted."""
        posted = self.records.bounty()
        return BountyId(posted[0]) if posted else None

    @property
    def model(self) -> LinearModel:
        """The best model so far: the lowest loss on the holdout.

        Raises EnvironmentFault if no round has trained one, JournalError if this home is an older copy;
        UsageError for a statistic, which has no model.
        """
        self._require_model()
        found = self.found()
        assert isinstance(found, LinearModel)
        return found

    def _require_model(self) -> None:
        if not self.bounty.metric:
            problem = f"the bounty {self.bounty.settings.name!r} asks for a statistic, and trains no model"
            raise UsageError(problem, hint="campaign.result() gives what it has found")

    def ridge(self) -> LinearModel:
        """Return the model with the ridge that is best on the holdout, made from the sums opened so far.

        It asks nobody anything, costs nothing, and is in no manifest. If no ridge is better, it is `model`.
        Raises as `model`.
        """
        _ = self.model  # raises
        return ridge_of(self.records, self.bounty)

    def found(self) -> Any:
        """Return what was found so far: a model, or what a statistic says once its last sum is opened.

        Raises as `model`; DataError for sums that allow no answer, as of collinear columns.
        """
        if not self._let_go:
            history.check_age(self.records, lambda: self._means.market)
        return found_in(self.records, self.bounty)

    def result(self, *, poll_s: float = 0.25) -> Any:
        """Run the campaign to its end, if it is not there yet, and return what it has found.

        Of a statistic that is a `pysonar.statistics.base.Result`. Calling it again, or on a new object with
        the same home, continues. Raises what `run` and `found` raise.
        """
        if not (self.done or self._let_go):
            self.run(poll_s=poll_s)
        return self.found()

    @property
    def done(self) -> bool:
        """Whether the bounty is closed on the chain and all of its rounds are in the journal."""
        return self.records.is_closed()

    def tick(self) -> Waiting | Done:
        """Do what can be done now, and return what is waited for.

        Raises ChainUnavailable, StoreUnavailable and other EnvironmentFaults, after which calling again is
        right; InsufficientFunds for a posting that was not sent; UsageError after `close`; and what a faulty
        setting raises.
        """
        if self._let_go:
            problem = f"{self!r} was closed with its session, or another bounty of its name replaced it"
            raise UsageError(problem, hint="ask an open session for the campaign")
        try:
            result = self._pass()
            self._doubted_s = None
            return result
        except UnknownBounty as error:
            name = self.bounty.settings.name
            problem = f"this chain does not know the bounty {name!r}, which was posted from this home"
            hint = "connect to the chain that it was posted on, or start again with another home"
            raise self._doubted(ConfigError("network", problem, hint=hint)) from error
        except WrongContract as error:
            raise (self._doubted(error) if self.id else error) from error
        except RpcError as error:  # a node that lags, or limits requests, may answer later
            raise ChainUnavailable(str(error), hint=error.hint) from error

    def _doubted(self, error: SonarError) -> SonarError:
        """What to raise for `error`, which ends the campaign only if it lasts a quarter of a window."""
        terms, now_s = self.bounty.terms, self._monotonic()
        self._doubted_s = now_s if self._doubted_s is None else self._doubted_s
        shortest_s = min(terms.commit_window_s, terms.reveal_window_s, terms.settle_window_s)
        if now_s - self._doubted_s >= shortest_s / 4:
            return error
        return ChainUnavailable(f"the chain's node may be wrong: {error}", hint=error.hint)

    def _pass(self) -> Waiting | Done:
        if (waiting := self._opening.post()) is not None:
            return waiting
        for _ in range(_LOOKS):
            head = self._means.market.head()
            self._means.outbox.recover(head)
            state = self._opening.state(head)
            fault = self._finish_rounds(state, head)
            if fault is not None and state.closed:  # the money needs no record
                confirmed = self._opening.state(self._means.deep(head)).closed
                if confirmed and (waiting := self._ending.withdraw(head)) is not None:
                    return waiting
                raise fault
            if fault is not None:  # the round that is open does not wait for an old one's record
                told = "asking again; the open round continues"
                self._means.tell_once("the record of a round that is over", fault, told)
            if state.closed and not self.done:
                return Waiting("the end of the bounty to be confirmed")
            result = self._act(status_of(state, head.timestamp_s), state, head)
            if result is not None:
                return result
        return Waiting("the chain to show what was mined")

    def _finish_rounds(self, state: BountyState, head: Head) -> RpcError | None:
        """Record how rounds ended that are over in the confirmed block; return why that does not work yet."""
        deep, market = self._means.deep(head), self._means.market
        with suppress(UnknownBounty):  # it was not posted then
            there = state if deep == head else market.bounty(self._means.id, deep)
            try:
                self._ending.finish_rounds(there, deep)
            except RpcError as fault:
                return fault
        return None

    def _act(self, status: Status, state: BountyState, head: Head) -> Waiting | Done | None:
        ends, n, cap = deadlines_of(state), state.round, state.terms.cohort_cap
        up_to_date = self._up_to_date(state)
        match status:
            case Status.COMMIT:
                if (waiting := self._closing.close(state, head)) is not None:
                    return waiting
                self._settling.keep_in_store(n, head)
                told = f"mines to commit to round {n} ({state.committed} of at most {cap} have)"
                return Waiting(told, ends.commit_s)
            case Status.REVEAL:
                told = f"mines to reveal round {n} ({state.revealed} of {state.committed} have)"
                return Waiting(told, ends.reveal_s)
            case Status.SETTLE if not up_to_date:
                return Waiting(f"round {n} to be overdue, since this home cannot settle it", ends.settle_s)
            case Status.SETTLE:
                return self._settling.settle(state, head, ends)
            case Status.FAILED | Status.OVERDUE:
                return self._ending.expire(state, head, status)
            case _:
                if (waiting := self._ending.withdraw(head)) is not None:
                    return waiting
                self._settling.rounds.let_go()
                closed = f"bounty {self.bounty.settings.name} is closed"
                return Done(closed, history.document_of(self.summary()))

    def _up_to_date(self, state: BountyState) -> bool:
        """Tell whether this home has all models so far; if it is an older copy, say so once.

        Then its ledger may be older too: a round is neither opened nor settled with it, but let go.
        """
        try:
            self.records.check_age(state.model_digest, state.round)
        except JournalError as older:
            if not self._told_age:
                self._progress.problem(older)
            self._told_age = True
            return False
        return True

    # ---- running it, and results

    def fit(self, *, poll_s: float = 0.25) -> LinearModel:
        """Run the campaign to its end, telling each wait, and return the best model.

        You can interrupt it at any time: it completes its current step. Calling it again, or on a new
        object with the same home, continues. Raises what `tick` raises; faults that may pass are tried again
        for the bounty's `patience_s`. Raises EnvironmentFault if it ended and nothing is trained; UsageError
        for a statistic: see `result`.
        """
        self._require_model()
        self.run(poll_s=poll_s)
        return self.model

    def run(self, *, poll_s: float = 0.25) -> None:
        """Run the campaign to its end as `fit` does, with a model or without."""

        def step() -> Waiting | Done:
            with interrupts_held():
                return self.tick()

        drive(step, self._progress, poll_s=poll_s, soon_s=SOON_S, patience_s=self.bounty.patience_s)

    def resume(self, *, poll_s: float = 0.25) -> Any:
        """Go on with a campaign that was started before, and return what it has found, as `result` does.

        Raises ConfigError for one that was not.
        """
        if self.records.get(Posting) is None:
            raise ConfigError(
                "name", f"no bounty named {self.bounty.settings.name!r} was started in this home"
            )
        return self.result(poll_s=poll_s)

    def close_bounty(self) -> None:
        """Ask that the bounty ends at the next moment that the contract allows, and return.

        It allows this while nobody has committed to the open round: at once, or right after the round that is
        under way, which is settled and paid. Running the campaign on does it, and withdraws what comes back:
        the escrow without what mines have earned. Asking again, or after the end, changes nothing. Raises
        UsageError before the bounty is posted, KeyFileError if the wish cannot be written.
        """
        if self.id is None:
            hint = "nothing is in escrow; to post it never, do not run it"
            raise UsageError(f"the bounty {self.bounty.settings.name!r} is not posted", hint=hint)
        if not self.done:
            self._closing.wish.ask()

    def close(self) -> None:
        """Stop, since others may work in the home now; results can still be read."""
        self._let_go = True

    def payouts(self) -> dict[str, dict[str, int]]:
        """Return what each mine was credited so far: stakes back, fees, rewards and forfeits in wei."""
        return history.payouts_of(self.records)

    def revealed(self) -> dict[str, Revealed]:
        """Return what the key revealed about each mine: bits of scores, and failed tests by round."""
        return self._means.holder.revealed(self._opening.job()) if self.id else {}

    def learned(self) -> dict[str, dict[str, str]]:
        """Return who knows how much of what by now: by subject, then by party, in a few words."""
        aggregates = sum(line["loss"] is not None for line in self.history())
        return learned(self.bounty, aggregates, self.revealed())

    def history(self) -> list[dict[str, Any]]:
        """Return a line per finished round: loss, cohort, left out and why, shares, payments, seconds.

        That this home is an older copy, and so does not know how each round was settled, is told.
        """
        if not self._let_go and (found := history.position(self.records, lambda: self._means.market)):
            self._up_to_date(found[1])
        rounds = range(1, self.records.finished() + 1)
        return [history.line_of(self.records, n, self.bounty) for n in rounds]

    def summary(self) -> dict[str, Any]:
        """Return the bounty's results, in JSON's own types; losses in millionths."""
        return history.summary_of(self.records, self.bounty)
