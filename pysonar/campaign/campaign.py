"""A bounty from posting to withdrawal, as a state machine over the chain.

Theory of operation. `tick` makes one pass that waits for nothing: it looks at the chain, does what can be
done, and returns what it waits for. The chain says where the bounty stands; the journal says what this side
has decided (`pysonar.campaign.records`). Each decision is on the disk before the effect that rests on it, and
is never taken twice: the key is asked for the same aggregate, the store for the same bytes, the outbox for
the same transaction. So a campaign that is killed at any instant and started again ends with the same model
and the same payments.

A round in Settle goes through these; each does nothing if its record is there already:

    cohort -> updates -> verdict -> outcome -> publication -> settle transaction -> finished
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pysonar.bounty.explain import learned
from pysonar.bounty.request import Bounty
from pysonar.campaign import history
from pysonar.campaign.posting import check, fits, prepare, publish
from pysonar.campaign.records import Cohort, Finished, Outcome, Posting, Publication, Records
from pysonar.campaign.rounds import Place, RoundWork, model_of
from pysonar.keys.keys import Key
from pysonar.keys.ledger import Revealed
from pysonar.models.linear import LinearModel
from sonar.chain.contract.calls import Award, Call
from sonar.chain.contract.errors import (
    BountyExists,
    NothingToWithdraw,
    NotInCohort,
    UnknownBounty,
    WrongCohortSize,
    WrongRound,
    WrongStatus,
)
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.chain.sending.payment import pay
from sonar.errors import (
    ChainUnavailable,
    ConfigError,
    InsufficientFunds,
    JournalError,
    MarketError,
    RpcError,
    UsageError,
)
from sonar.families.quadratic.course import held_weights
from sonar.families.quadratic.score import shares_of
from sonar.home.journal import Journal
from sonar.manifests.model import ModelManifest
from sonar.ports import Store
from sonar.protocol.events import Committed
from sonar.protocol.events import Revealed as RevealedEvent
from sonar.protocol.ids import Address, BountyId, Digest, digest_of, hex32
from sonar.protocol.phase import BountyState, Deadlines, Status, deadlines_of, status_of
from sonar.protocol.seal import bounty_id
from sonar.store.mend import LOOK_S, mend
from sonar.telling.progress import Done, Progress, Round, Waiting
from sonar.telling.waiting import drive, interrupts_held

_LOOKS = 3
"""How often one tick looks again after something of its own was mined."""


class Campaign:
    """The scientist's side of one bounty.

    `bounty` says what to post, or what was posted: a campaign goes on only with the same bounty. `key` must
    be the same through the whole campaign. Raises ConfigError if the journal holds another bounty of this
    name.
    """

    def __init__(
        self,
        market: Market,
        store: Store,
        key: Key,
        outbox: Outbox,
        journal: Journal,
        bounty: Bounty,
        *,
        progress: Progress | None = None,
        confirmations: int = 1,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.bounty = bounty
        self.records = Records(journal, bounty.settings.name)
        self._market, self._store, self._key, self._outbox = market, store, key, outbox
        self._progress = progress or Progress()
        self._confirmations, self._timer = confirmations, timer
        self._seconds: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._idle_since = timer()
        self._work: RoundWork | None = None
        self._looked_s = 0
        self._let_go = self._told_age = False
        self._unpaid: set[str] = set()
        key.on_progress(lambda done, of: self._progress.waiting(f"the key: {done} of {of} ciphertexts done"))
        posting: Posting | None = self.records.get(Posting)
        name = bounty.settings.name
        if posting and not fits(posting, bounty, key) and outbox.submitted(Intent.of_posting(name)):
            problem = f"another bounty named {name!r} was posted from this home, or with another key"
            raise ConfigError("name", problem, hint="give the changed bounty another name")

    def __repr__(self) -> str:
        rounds, of = self._last_finished(), self.bounty.settings.rounds
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

        Raises EnvironmentFault if no round has trained one, JournalError if this home is an older copy.
        """
        if not self._let_go:
            history.check_age(self.records, lambda: self._market)
        return model_of(self.records, self.bounty)

    @property
    def done(self) -> bool:
        """Whether the bounty is closed on the chain and all of its rounds are in the journal."""
        finished: Finished | None = self.records.get(Finished, max(self._last_finished(), 1))
        return finished is not None and finished.closed != ""

    def tick(self) -> Waiting | Done:
        """Do what can be done now, and return what is waited for.

        Raises ChainUnavailable, StoreUnavailable and other EnvironmentFaults, after which calling again is
        right; InsufficientFunds for a posting that was not sent; UsageError after `close`; and what a faulty
        setting raises.
        """
        if self._let_go:
            problem = f"{self!r} was closed: its session is, or another bounty of its name took its place"
            raise UsageError(problem, hint="ask an open session for the campaign")
        try:
            return self._pass()
        except UnknownBounty as error:
            name = self.bounty.settings.name
            problem = f"this chain does not know the bounty {name!r}, which was posted from this home"
            hint = "connect to the chain that it was posted on, or start again with another home"
            raise ConfigError("network", problem, hint=hint) from error
        except RpcError as error:  # a node that lags, or limits requests, may answer later
            raise ChainUnavailable(str(error), hint=error.hint) from error

    def _pass(self) -> Waiting | Done:
        if (waiting := self._post()) is not None:
            return waiting
        for _ in range(_LOOKS):
            head = self._market.head()
            self._outbox.recover(head)
            state = self._state(head)
            self._finish_rounds(state, head)
            self._up_to_date(state)
            status = status_of(state, head.timestamp_s)
            result = self._act(status, state, head)
            if result is not None:
                return result
        return Waiting("the chain to show what was mined")

    def _state(self, head: Head) -> BountyState:
        """Return the bounty at `head`. Raises UnknownBounty, ChainUnavailable where that may pass."""
        posted = self.records.bounty()
        assert posted is not None
        bounty, block = posted
        try:
            return self._market.bounty(BountyId(bounty), head)
        except UnknownBounty as error:
            if bounty != self._id_of(self.records.get(Posting)):
                raise
            if self._outbox.under_way(Intent.of_posting(self.bounty.settings.name)):
                problem = "the chain's node has lost the bounty's posting, which is sent again"
                hint = "it was killed, perhaps: has it got all of its blocks?"
                raise ChainUnavailable(problem, hint=hint) from error
            hint = "it has fallen behind, or one of several behind the same address has"
            if head.number < block:
                problem = f"is at block {head.number}, and the bounty was posted in block {block}"
            elif self._market.events(block - REORG_BLOCKS, head.number, self.id):
                problem = f"has records of the bounty, and does not know it at block {head.number}"
            else:
                raise
            raise ChainUnavailable(f"the chain's node {problem}", hint=hint) from error

    def _up_to_date(self, state: BountyState) -> bool:
        """Tell whether this home has all models so far; where it is an older copy, that is told once.

        Then its ledger may be older too: a round is neither decrypted nor settled with it, but let go.
        """
        try:
            self.records.check_age(state.model_digest)
        except JournalError as older:
            if not self._told_age:
                self._progress.problem(older)
            self._told_age = True
            return False
        return True

    def _act(self, status: Status, state: BountyState, head: Head) -> Waiting | Done | None:
        ends, n, cap = deadlines_of(state), state.round, state.terms.cohort_cap
        match status:
            case Status.COMMIT:
                self._keep_in_store(n, head)
                told = f"mines to commit to round {n} ({state.committed} of at most {cap} have)"
                return Waiting(told, ends.commit_s)
            case Status.REVEAL:
                told = f"mines to reveal round {n} ({state.revealed} of {state.committed} have)"
                return Waiting(told, ends.reveal_s)
            case Status.SETTLE if not self._up_to_date(state):
                return Waiting(f"round {n} to be overdue, since this home cannot settle it", ends.settle_s)
            case Status.SETTLE:
                return self._settle(state, head, ends)
            case Status.FAILED | Status.OVERDUE:
                return self._expire(state, head, status)
            case _:
                return self._withdraw(head)

    # ---- posting

    def _post(self) -> Waiting | None:
        if self.id is not None:
            return None
        posting: Posting | None = self.records.get(Posting)
        if posting is None or not fits(posting, self.bounty, self._key):
            with self._timed(0, "encrypt"):
                posting = prepare(self.bounty, self._key)
            self.records.put(posting)
        model_digest, key_digest = digest_of(posting.model_manifest), digest_of(posting.key_manifest)
        with self._timed(0, "publish"):
            publish(posting, self._store)
        terms = self.bounty.terms
        call = self._market.post(terms, model_digest, key_digest, posting.salt)
        intent = Intent.of_posting(self.bounty.settings.name)
        if self._outbox.wanted(intent):
            check(self._market, self.bounty)
        bounty = self._id_of(posting)
        try:
            receipt = pay(self._market, self._outbox, intent, call)
            block = receipt.block if receipt else None
        except BountyExists:  # nobody else can have this id: a transaction of ours, of which we lost sight
            block = self._posted_in(bounty)
        except InsufficientFunds as poor:
            if not self._outbox.submitted(intent):
                raise
            return self._without_ether(poor, "the posting", None)
        if block is None:
            return Waiting("the bounty to be posted")
        self.records.set_bounty(bounty, block)
        self._tell_seconds(0)
        self._progress.note(f"posted bounty {hex32(self._require_id())}")
        return None

    def _id_of(self, posting: Posting) -> BountyId:
        """The id that a posting has on this network: it is made of the chain and the contract too."""
        place = (self._market.chain_id, self._market.address, self._outbox.address)
        digests = (digest_of(posting.model_manifest), digest_of(posting.key_manifest))
        return bounty_id(*place, self.bounty.terms, *digests, posting.salt)

    def _posted_in(self, bounty: BountyId) -> int | None:
        """The block of a posting by the chain's record, once it is confirmed."""
        head, posted = self._market.head(), self._market.posting(bounty)
        confirmed = posted is not None and head.number - posted.block + 1 >= self._confirmations
        return posted.block if posted is not None and confirmed else None

    # ---- a round in Commit

    def _keep_in_store(self, number: int, head: Head) -> None:
        """Put again, from time to time, what mines read in a round and the store has lost or spoilt."""
        if head.timestamp_s < self._looked_s + LOOK_S:
            return
        posted = [self.records.get(Posting), self._newest_model(number)]
        blobs = [blob for each in posted if each is not None for blob in each.blobs()]
        if lost := sum([mend(self._store, data, codec) for data, codec in blobs]):
            self._progress.note(f"the store had lost or spoilt {lost} blobs of this bounty: put them again")
        self._looked_s = head.timestamp_s

    # ---- a round in Settle

    def _settle(self, state: BountyState, head: Head, ends: Deadlines) -> Waiting | None:
        n = state.round
        cohort = self._cohort(state, head)
        if cohort is None:
            return Waiting(f"the reveals of round {n} to be confirmed", ends.settle_s)
        self._end_idle(n)
        if (waiting := self._collect(state, head, ends, cohort)) is not None:
            return waiting
        rounds = self._rounds
        with self._timed(n, "check"):
            rounds.judge(n)
        with self._timed(n, "aggregate"):
            outcome = rounds.compute(n)
        with self._timed(n, "encrypt"):
            publication = rounds.prepare(n, self._model_manifest(n), state.best_loss)
        with self._timed(n, "publish"):
            publish(publication, self._store)
        shares = outcome.shares_bps
        if self._outbox.wanted(self._intent(Action.SETTLE, n)):
            there = self._revealed(n, head)
            if len(there) != state.revealed:
                return Waiting(f"the reveals of round {n} to be in the chain's record", ends.settle_s)
            if set(there) != set(shares):
                # A reorganisation changed what was confirmed; what was decrypted cannot be undone.
                shares = shares_of({mine: shares[mine] for mine in there if shares.get(mine)}, there)
        awards = [Award(Address(mine), share_bps) for mine, share_bps in shares.items()]
        evidence = digest_of(publication.evidence)
        call = self._market.settle(
            self._require_id(), n, Digest(publication.model_digest), publication.loss, awards, evidence
        )
        with self._timed(n, "settle"):
            return self._transact(
                self._intent(Action.SETTLE, n), call, f"the settlement of round {n}", ends.settle_s
            )

    def _cohort(self, state: BountyState, head: Head) -> Cohort | None:
        """Who revealed what in this round, once all of it is confirmed."""
        n = state.round
        cohort: Cohort | None = self.records.get(Cohort, n)
        if cohort is None:
            last = head.number - self._confirmations + 1
            events = self._market.events(self._since(), last, self.id)
            digests = {
                e.mine: e.update_digest for e in events if isinstance(e, RevealedEvent) and e.round == n
            }
            if len(digests) != state.revealed:
                return None
            order = [e.mine for e in events if isinstance(e, Committed) and e.round == n]
            ascending = sorted(digests, key=lambda mine: int(mine, 16))
            cohort = Cohort({mine: digests[mine] for mine in ascending}, list(order), head.timestamp_s)
            self.records.put(cohort, n)
        return cohort

    def _revealed(self, number: int, head: Head) -> list[Address]:
        """The mines that have revealed in the open round, by the chain's record at `head`."""
        events = self._market.events(self._since(), head.number, self.id)
        return [e.mine for e in events if isinstance(e, RevealedEvent) and e.round == number]

    def _collect(self, state: BountyState, head: Head, ends: Deadlines, cohort: Cohort) -> Waiting | None:
        """Fetch the updates; what does not come in half a settle window is left out, to settle in time."""
        n, window = state.round, state.terms.settle_window_s
        give_up_s = min(cohort.seen_s + window // 2, ends.settle_s - window // 4)
        with self._timed(n, "collect"):
            missing = self._rounds.collect(
                n, cohort, state.model_digest, last_try=head.timestamp_s >= give_up_s
            )
            if missing and all(self._rounds.withheld_before(mine, n) for mine in missing):
                missing = self._rounds.collect(n, cohort, state.model_digest, last_try=True)
        if missing:
            return Waiting(f"the updates of {', '.join(missing[:3])} to be in the store", give_up_s)
        return None

    def _model_manifest(self, number: int) -> ModelManifest:
        """The manifest that round `number` trained on."""
        newest = self._newest_model(number) or self.records.get(Posting)
        return ModelManifest.from_bytes(newest.model_manifest)

    def _newest_model(self, number: int) -> Publication | None:
        """What the last round before `number` that has changed the model was settled with."""
        published = (self.records.get(Publication, past) for past in range(number - 1, 0, -1))
        return next((each for each in published if each is not None and each.model_manifest), None)

    # ---- the other ends

    def _expire(self, state: BountyState, head: Head, status: Status) -> Waiting | None:
        n = state.round
        cohort = self._revealed(n, head)
        if len(cohort) != state.revealed:
            return Waiting(f"the reveals of round {n} to be in the chain's record")
        why = "has failed" if status is Status.FAILED else "was not settled in time"
        self._progress.note(f"round {n} {why}; the mines get their stakes back")
        call = self._market.expire(self._require_id(), n, cohort)
        return self._transact(self._intent(Action.EXPIRE, n), call, f"the end of round {n}", None)

    def _withdraw(self, head: Head) -> Waiting | Done:
        """Take out what the contract owes this account; what other bounties owe in that asset comes along."""
        intent, asset = Intent(Action.WITHDRAW, self._require_id().hex()), self.bounty.terms.asset
        me = self._outbox.address
        if self._outbox.wanted(intent) and not self._market.withdrawable(me, head, asset=asset):
            return self._finished()
        call = self._market.withdraw(me, asset)
        return self._transact(intent, call, "the withdrawal", None) or self._finished()

    def _finished(self) -> Done:
        self._rounds.let_go()
        return Done(f"bounty {self.bounty.settings.name} is closed", history.document_of(self.summary()))

    def _transact(self, intent: Intent, call: Call, what: str, until_s: int | None) -> Waiting | None:
        """Send once; None when it is mined."""
        try:
            self._outbox.submit(intent, call)
            if self._outbox.outcome(intent) is None:
                return Waiting(f"{what} to be mined", until_s)
        except InsufficientFunds as poor:
            return self._without_ether(poor, what, until_s)
        except NothingToWithdraw:  # another campaign took it along, or the node is behind: `head` will tell
            return Waiting("the chain's next block")
        except (WrongRound, WrongStatus, WrongCohortSize, NotInCohort) as late:
            # A deadline passed, somebody else moved the bounty, or a reorganisation changed its cohort,
            # between the look and the transaction.
            self._progress.note(f"{what} is not possible any more ({late}); looking again")
            return Waiting("the chain's next block")
        return None

    def _without_ether(self, poor: InsufficientFunds, what: str, until_s: int | None) -> Waiting:
        """What is waited for that the account cannot pay now: gas may fall, or somebody send ether."""
        if what not in self._unpaid:
            self._progress.problem(poor, f"trying again. {poor.hint}")
        self._unpaid.add(what)
        return Waiting(f"ether to pay for {what}", until_s)

    # ---- what the chain says about rounds that are over

    def _finish_rounds(self, state: BountyState, head: Head) -> None:
        """Write down how each round ended that is over on the chain."""
        self._forget_lost(state, head)
        first, last = self._last_finished() + 1, state.round if state.closed else state.round - 1
        if first > last:
            return
        events = self._market.events(self._since(), head.number, self.id)
        for n in range(first, last + 1):
            seconds = self._tell_seconds(n)
            finished = history.finished_of(n, events, seconds, self._gas(n))
            self.records.put(finished, n)
            self._idle_since = self._timer()
            line = history.line_of(self.records, n, self.bounty)
            self._progress.emit(Round(hex32(self._require_id()), n, history.round_of(line)))
            if finished.ended == "failed":
                self._progress.note(self._why_failed(finished))
            self._tell_held(n)

    def _forget_lost(self, state: BountyState, head: Head) -> None:
        """Forget the ends of rounds that a reorganisation took back: they may end otherwise now."""
        while not state.closed and (n := self._last_finished()) >= state.round:
            if self.records.get(Finished, n).block > head.number:
                return  # it is the node that is behind
            self.records.forget(Finished, n)
            self._progress.note(f"the chain's node has lost how round {n} ended; it ends again")

    def _why_failed(self, finished: Finished) -> str:
        if not finished.committed:
            columns = f"{', '.join(self.bounty.features)} and {', '.join(self.bounty.targets)}"
            return (
                f"no mine committed: one needs a table with columns {columns}, within the bounds that "
                "`explain` tells, and somebody who has it join this bounty"
            )
        return (
            f"a round takes min_mines = {self.bounty.terms.min_mines} mines that reveal: have more of them "
            "join, or post the next bounty with a smaller min_mines"
        )

    def _tell_held(self, n: int) -> None:
        """Tell which weights cannot follow the gradient any more, when they are others than before."""
        held = self._held(n)
        if held and held != self._held(n - 1):
            names = ", ".join(held[:5]) + ", …" * (len(held) > 5)
            self._progress.note(
                f"round {n}: weight_max = {self.bounty.design.weight_max:g} stops the weights of {names}; "
                "if the loss stays too high, post another bounty with a larger weight_max, or without one"
            )

    def _held(self, n: int) -> list[str]:
        outcome: Outcome | None = self.records.get(Outcome, n)
        return held_weights(outcome.weights, self.bounty.design) if outcome else []

    def _gas(self, n: int) -> dict[str, int]:
        gas = {}
        for action in (Action.SETTLE, Action.EXPIRE):
            intent = self._intent(action, n)
            if self._outbox.submitted(intent):
                try:
                    receipt = self._outbox.outcome(intent)
                except MarketError:  # it was mined and failed; the round ended otherwise
                    continue
                if receipt is not None:
                    gas[action.value] = receipt.gas_used
        return gas

    def _last_finished(self) -> int:
        return self.records.finished()

    def _since(self) -> int:
        """The block from which on to look for events of the round that is open."""
        posted, finished = self.records.bounty(), self.records.get(Finished, self._last_finished())
        assert posted is not None
        return (finished.block if finished is not None else posted[1]) - REORG_BLOCKS

    # ---- running it, and results

    def fit(self, *, poll_s: float = 0.25) -> LinearModel:
        """Run the campaign to its end, telling each wait, and return the best model.

        It may be interrupted at any time, and ends its current step before; calling it again, or on a new
        object with the same home, goes on. Raises what `tick` raises; faults that may pass are tried again
        for the bounty's `patience_s`. Raises EnvironmentFault if it ended and nothing is trained.
        """
        self.run(poll_s=poll_s)
        return self.model

    def run(self, *, poll_s: float = 0.25) -> None:
        """Run the campaign to its end as `fit` does, with a model or without."""

        def step() -> Waiting | Done:
            with interrupts_held():
                return self.tick()

        drive(step, self._progress, poll_s=poll_s, patience_s=self.bounty.patience_s)

    def resume(self, *, poll_s: float = 0.25) -> LinearModel:
        """Go on with a campaign that was started before, as `fit` does. Raises ConfigError."""
        if self.records.get(Posting) is None:
            raise ConfigError(
                "name", f"no bounty named {self.bounty.settings.name!r} was started in this home"
            )
        return self.fit(poll_s=poll_s)

    def close(self) -> None:
        """Do nothing more, since others may work in the home now; results can still be read."""
        self._let_go = True

    def payouts(self) -> dict[str, dict[str, int]]:
        """Return what each mine was credited so far: stakes back, fees, rewards and forfeits in wei."""
        return history.payouts_of(self.records)

    def revealed(self) -> dict[str, Revealed]:
        """Return what the key gave away of each mine: bits of scores, and failed tests by round."""
        return self._key.ledger.totals(self.id) if self.id else {}

    def learned(self) -> dict[str, dict[str, str]]:
        """Return who knows how much of what by now: by what it is, then by who knows it, in a few words."""
        aggregates = sum(line["loss"] is not None for line in self.history())
        return learned(self.bounty, aggregates, self.revealed())

    def history(self) -> list[dict[str, object]]:
        """Return a line per finished round: loss, cohort, left out and why, shares, payments, seconds.

        That this home is an older copy, and so does not know how each round was settled, is told.
        """
        if not self._let_go and (found := history.position(self.records, lambda: self._market)):
            self._up_to_date(found[1])
        return [history.line_of(self.records, n, self.bounty) for n in range(1, self._last_finished() + 1)]

    def summary(self) -> dict[str, object]:
        """Return what became of the bounty, in JSON's own types. Losses in millionths of the null model's."""
        return history.summary_of(self.records, self.bounty)

    # ---- parts

    @property
    def _rounds(self) -> RoundWork:
        if self._work is None:
            place = Place(self._market.chain_id, self._market.address, self._require_id())
            self._work = RoundWork(self._store, self._key, self.records, self.bounty, place)
        return self._work

    def _require_id(self) -> BountyId:
        assert self.id is not None
        return self.id

    def _intent(self, action: Action, n: int) -> Intent:
        return Intent.of_round(action, self._require_id(), n)

    def _end_idle(self, n: int) -> None:
        if "waiting" not in self._seconds[n]:
            self._seconds[n]["waiting"] = self._timer() - self._idle_since

    def _tell_seconds(self, n: int) -> dict[str, float]:
        seconds = {part: round(value, 6) for part, value in self._seconds.pop(n, {}).items()}
        for part, value in seconds.items():
            self._progress.timing(part, value, n)
        return seconds

    @contextmanager
    def _timed(self, n: int, part: str) -> Iterator[None]:
        start = self._timer()
        try:
            yield
        finally:
            self._seconds[n][part] += self._timer() - start
