"""The effects of a round: train, commit, reveal, expire, conclude. The journal is true at every step.

Nothing here decides when: `mine.work.state` does. Each effect ends in a new state of the part, or in what it
waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mine import consent
from mine.consent import Policy
from mine.work.publisher import Publisher
from mine.work.state import Book, Command, Joined, Part, decide
from mine.work.updates import Updates
from mine.work.urgency import STORE_CALL_S, Urgency
from mine.work.verdict import why_no_share
from sonar.chain.contract import errors
from sonar.chain.contract.market import REORG_BLOCKS, Call, Market
from sonar.chain.contract.refusal import Refusal
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.chain.sending.payment import pay
from sonar.errors import EnvironmentFault, InsufficientFunds, MarketError, RemoteError, RpcError, UsageError
from sonar.ports import Store
from sonar.protocol import seal as seals
from sonar.protocol.events import (
    BountyClosed,
    Committed,
    Event,
    MinePaid,
    Revealed,
    RoundFailed,
    RoundSettled,
)
from sonar.protocol.ids import ETHER, Address, BountyId, digest_of, hex32
from sonar.protocol.phase import BountyState, EntryState, Status, deadlines_of
from sonar.protocol.round import RoundEvent, RoundState
from sonar.telling.progress import Progress, Waiting, short

COMMIT_MARGIN_S = 2
"""No commit is begun with less than this left of its window: mined too late, it would only cost gas."""
EXPIRE_GRACE_S = 2
EXPIRE_STAGGER_S = 3
"""A mine gives the scientist, and each mine before it in the cohort, this long to expire the round first."""

PAID_FIELDS = ("share_bps", "fee_units", "reward_units", "stake_units", "forfeit_units")


class Rounds:
    """A mine's effects in the rounds of its bounties."""

    def __init__(
        self,
        market: Market,
        me: Address,
        outbox: Outbox,
        book: Book,
        policy: Policy,
        progress: Progress,
        urgency: Urgency,
        updates: Updates,
        publisher: Publisher,
        store: Store,
    ) -> None:
        self._market, self._me, self._outbox, self._store = market, me, outbox, store
        self._book, self._policy, self._progress = book, policy, progress
        self._urgency, self._updates, self._publisher = urgency, updates, publisher
        self._ended_s: dict[tuple[BountyId, int], int] = {}
        self._missed: dict[tuple[BountyId, int], int] = {}

    def advance(self, joined: Joined, bounty: BountyState, status: Status, head: Head) -> Waiting:
        """Do everything that can be done now in the current round, and return what it waits for then."""
        while True:
            part = self._book.part(bounty.bounty, bounty.round)
            command = decide(part.state, status)
            if command in _NEEDS_ENTRY:
                entry = self._entry(part, bounty, head)
                part = self._agree_with_chain(part, entry, status)
                command = decide(part.state, status)
                if command is Command.FORFEIT and entry is EntryState.REVEALED:
                    command = Command.REVEAL  # all have revealed, and ours is not deep enough yet
            waiting = self._do(command, part, joined, bounty, status, head)
            if waiting is not None:
                return waiting

    def _do(
        self, command: Command, part: Part, joined: Joined, bounty: BountyState, status: Status, head: Head
    ) -> Waiting | None:
        """Do one thing; None when the part has a new state to look at."""
        match command:
            case Command.TRAIN:
                return self._train(part, joined, bounty, head)
            case Command.COMMIT:
                return self._commit(part, bounty, head)
            case Command.REVEAL:
                return self._reveal(part, bounty)
            case Command.EXPIRE:
                return self._expire(part, head)
            case Command.SKIP:
                if status is Status.REVEAL and self._may_be_committed(part):
                    what = f"what became of the commit of round {part.round}"
                    return Waiting(what, deadlines_of(bounty).reveal_s)
                return self._skip(part, "the commit window is over")
            case Command.FORFEIT:
                return self._forfeit(part, bounty, head)
            case Command.WAIT:
                self._look_after(part, bounty, status, head)
                return _waiting(part, bounty, status)

    def _look_after(self, part: Part, bounty: BountyState, status: Status, head: Head) -> None:
        """What was believed to be on the chain goes out again here if a reorganisation took it back; nothing
        else asks for it any more. And an update that was revealed is kept in the store.
        """
        if part.state in _WAS_COMMITTED and status is Status.COMMIT:
            self._restore(Action.COMMIT, part, bounty, EntryState.NONE, head)
        if part.state in _WAS_REVEALED and status is Status.REVEAL:
            self._restore(Action.REVEAL, part, bounty, EntryState.COMMITTED, head)
        if part.state is RoundState.REVEALED:
            self._publisher.keep(part)

    def _restore(
        self, action: Action, part: Part, bounty: BountyState, without: EntryState, head: Head
    ) -> None:
        """Bring a step forward what was sent; what the chain lacks and has failed is signed anew."""
        intent = _intent(action, part)
        if not self._outbox.submitted(intent):
            return
        if not self._outbox.wanted(intent):
            with suppress(MarketError):  # it is looked at again in the next pass
                self._outbox.outcome(intent)
        elif self._entry(part, bounty, head) is without:
            commits = action is Action.COMMIT
            self._mined(intent, self._commit_call(part, bounty) if commits else self._reveal_call(part))

    def _entry(self, part: Part, bounty: BountyState, head: Head) -> EntryState:
        """What the chain knows of our part, in the same block as the bounty."""
        entry = self._market.entry(bounty.bounty, self._me, at=head)
        if entry.round != bounty.round or entry.state is EntryState.NONE:
            return EntryState.NONE
        if entry.seal != seals.kept(part.seal):
            raise UsageError(
                f"account {self._me} has committed in round {bounty.round} from another home folder",
                hint="run the mine with that home: its journal has the salt, without which the stake is lost",
            )
        return entry.state

    def _agree_with_chain(self, part: Part, entry: EntryState, status: Status) -> Part:
        """Take over what the chain knows of our part: a transaction may have been mined while we were away.

        While it can be sent again, a transaction is waited for by its receipt, which counts confirmations.
        """
        if entry is EntryState.NONE:
            return part
        if part.state is RoundState.COMMITTING and status is not Status.COMMIT:
            part = self._book.save(part.after(RoundEvent.COMMIT_SEEN))
        if part.state is RoundState.REVEALING and entry is EntryState.REVEALED and status in _TOO_LATE:
            part = self._book.save(part.after(RoundEvent.REVEAL_SEEN))
        return part

    # ---- before the commit: nothing is at stake

    def _train(self, part: Part, joined: Joined, bounty: BountyState, head: Head) -> Waiting | None:
        """Make the update, and have it in the journal with its salt before anybody hears of it."""
        if head.timestamp_s + COMMIT_MARGIN_S >= deadlines_of(bounty).commit_s:
            return self._skip(part, "too little is left of the commit window")
        consent.check_bounty(bounty, self._policy)
        consent.check_uses(self._book.uses(joined.dataset.digest), self._policy)
        made = self._updates.make(part, joined, bounty, head)
        if isinstance(made, Waiting):
            return made
        self._book.save(made, uses=joined.dataset.digest)
        return None

    def _commit(self, part: Part, bounty: BountyState, head: Head) -> Waiting | None:
        waiting = Waiting(f"the commit of round {part.round} to be mined", deadlines_of(bounty).commit_s)
        if part.state is RoundState.TRAINED:
            part = self._book.save(part.after(RoundEvent.COMMIT_SENT))
        try:
            mined = self._mined(_intent(Action.COMMIT, part), self._commit_call(part, bounty))
        except InsufficientFunds as poor:
            # Stakes come back into the contract's books, so this one may lie there, from earlier rounds.
            asset = ETHER if poor.asset == "wei" else Address(poor.asset)
            intent = self._outbox.next(_intent(Action.WITHDRAW, part))
            if (withdrawing := self.withdraw(intent, self._me, asset, head)) is None:
                raise
            return withdrawing
        if not mined:
            return waiting
        self._book.save(part.after(RoundEvent.COMMIT_SEEN))
        self._book.forget_refusal(part.bounty)
        return None

    def _commit_call(self, part: Part, bounty: BountyState) -> Call:
        terms = bounty.terms
        return self._market.commit(
            part.bounty, part.round, part.seal, terms.stake_units, asset=terms.asset, proof=part.proof
        )

    def _may_be_committed(self, part: Part) -> bool:
        """Tell whether a commit that was sent may be on the chain, though not in the block that we look at.

        That block may be replaced, so what was sent is given up when it has failed, or when nothing can be
        saved any more.
        """
        intent = _intent(Action.COMMIT, part)
        if not self._outbox.submitted(intent):
            return False
        try:
            self._outbox.outcome(intent)
        except MarketError:
            return False
        return True

    def _skip(self, part: Part, why: str) -> Waiting | None:
        self._book.save(part.after(RoundEvent.COMMIT_REFUSED, self._why(part, why)))
        return None

    def _why(self, part: Part, ended: str) -> str:
        """Why nothing came of a part: what hindered it until it was too late, if that is known."""
        return ": ".join(filter(None, (ended, self._book.refusal(part.bounty))))

    # ---- after the commit: the stake is at risk until the reveal is seen

    def _reveal(self, part: Part, bounty: BountyState) -> Waiting | None:
        until_s = deadlines_of(bounty).reveal_s
        self._missed.pop((part.bounty, part.round), None)
        waiting = Waiting(f"the reveal of round {part.round} to be mined", until_s)
        if part.state is RoundState.COMMITTED:
            if not self._ready(part):
                return Waiting("a reveal in another bounty, whose stake is more urgent", until_s)
            part = self._book.save(part.after(RoundEvent.REVEAL_SENT))
        if not self._mined(_intent(Action.REVEAL, part), self._reveal_call(part)):
            return waiting
        self._book.save(part.after(RoundEvent.REVEAL_SEEN))
        return None

    def _reveal_call(self, part: Part) -> Call:
        return self._market.reveal(part.bounty, part.round, digest_of(part.manifest), part.salt)

    def _ready(self, part: Part) -> bool:
        """Publish before the reveal; tell whether that is done, or can be waited for no longer.

        Without its blob an update may earn nothing; one that is not revealed costs the stake.
        """
        missing: EnvironmentFault | RemoteError | str = (
            f"the update of round {part.round} is not published yet"
        )
        try:
            with self._progress.timed("publish", part.round):
                if self._publisher.publish(part):
                    return True
        except (EnvironmentFault, RemoteError) as fault:
            if not self._urgency.presses(part):
                raise
            missing = fault
        if not self._urgency.presses(part):
            return False
        self._progress.problem(missing, "revealing without the update in the store, to save the stake")
        return True

    def _forfeit(self, part: Part, bounty: BountyState, head: Head) -> Waiting | None:
        """Give up the stake, once the block that ended the window is deep enough not to be replaced.

        Without a commit on the chain, nothing was lost.
        """
        missed = self._missed.setdefault((part.bounty, part.round), head.number)
        if head.number - missed + 1 < self._outbox.confirmations:
            return Waiting(f"the end of the reveal window of round {part.round} to be confirmed")
        if self._entry(part, bounty, head) is EntryState.NONE:
            return self._skip(part, "a reorganisation took the commit back")
        why = self._why(part, "the reveal window is over")
        self._book.save(part.after(RoundEvent.REVEAL_MISSED, why))
        return None

    def _expire(self, part: Part, head: Head) -> Waiting | None:
        """End a failed or overdue round, which pays us, when nobody whose turn is earlier has done so."""
        ended_s = self._ended_s.setdefault((part.bounty, part.round), head.timestamp_s)
        cohort = self._cohort(part, head)
        turn_s = ended_s + EXPIRE_GRACE_S + EXPIRE_STAGGER_S * cohort.index(self._me)
        if head.timestamp_s < turn_s:
            return Waiting(f"someone to end round {part.round}, which failed or is overdue", turn_s)
        self._mined(_intent(Action.EXPIRE, part), self._market.expire(part.bounty, part.round, cohort))
        return Waiting(f"the end of round {part.round} to be mined")

    def _cohort(self, part: Part, head: Head) -> list[Address]:
        """Who revealed in the part's round, ascending."""
        mines = [event.mine for event in self._record(part, head) if isinstance(event, Revealed)]
        if self._me not in mines:
            raise RpcError(f"the chain's node has no record yet of our reveal in round {part.round}")
        return sorted(mines, key=lambda mine: int(mine, 16))

    def _record(self, part: Part, head: Head) -> list[Event]:
        """What the chain has recorded of the part's round."""
        events = self._market.events(part.since_block - REORG_BLOCKS, head.number, part.bounty)
        return [event for event in events if getattr(event, "round", None) == part.round]

    # ---- afterwards

    def conclude(self, part: Part, head: Head) -> None:
        """Bring the part of a round that is over to its end, from what the chain recorded.

        Raises RpcError if the node does not have the records yet.
        """
        record = self._record(part, head)
        part = ended(part, record, self._me, self._why(part, "the round is over"))
        settled = next((event for event in record if isinstance(event, RoundSettled)), None)
        if settled and part.state is RoundState.NO_SHARE and self._urgency.allows(STORE_CALL_S):
            part = replace(part, why=why_no_share(self._store, settled, self._me))
        self._book.save(part)
        why = {"why": part.why} if part.why else {}
        self._progress.round(
            hex32(part.bounty), part.round, result=part.state.value, asset=part.asset, **part.paid, **why
        )

    def withdraw(self, intent: Intent, to: Address, asset: Address, head: Head) -> Waiting | None:
        """Take out what the contract owes this mine in an asset; None when nothing is left to wait for.

        What was sent is waited for until it is confirmed: mined, it has emptied the balance already.
        """
        if self._outbox.wanted(intent) and not self._market.withdrawable(self._me, head, asset=asset):
            return None
        try:
            mined = self._mined(intent, self._market.withdraw(to, asset))
        except Refusal as refusal:  # of a token: it must not hold up other bounties
            self._progress.problem(refusal, f"it is still owed: mine claim --asset {asset}")
            return None
        return None if mined else Waiting("the withdrawal to be mined")

    def _mined(self, intent: Intent, call: Call) -> bool:
        """Send `call` once, however often this is asked; tell whether it is mined and confirmed.

        Being late by a block is no fault: the next head says what to do instead.
        """
        try:
            return pay(self._market, self._outbox, intent, call) is not None
        except (errors.CohortFull, errors.WrongStatus, errors.WrongRound, errors.NothingToWithdraw):
            return False


_ENDS = (RoundSettled, RoundFailed, BountyClosed)
_MISSED = {RoundEvent.COMMIT_REFUSED, RoundEvent.REVEAL_MISSED, RoundEvent.REVEAL_TAKEN_BACK}
_COMMITTED = {RoundState.COMMITTED, RoundState.REVEALING}
_WAS_REVEALED = {RoundState.REVEALED, RoundState.PAID, RoundState.NO_SHARE, RoundState.RETURNED}
_WAS_COMMITTED = _COMMITTED | _WAS_REVEALED
_TOO_LATE = {Status.FAILED, Status.OVERDUE}
_NEEDS_ENTRY = {Command.TRAIN, Command.COMMIT, Command.REVEAL, Command.SKIP, Command.FORFEIT}


def _intent(action: Action, part: Part) -> Intent:
    return Intent.of_round(action, part.bounty, part.round)


def ended(part: Part, record: Sequence[Event], me: Address, why: str) -> Part:
    """Return the part of `me` as its round ended by what the chain recorded of that; `why`, if it was missed.

    Raises RpcError if the round is not over, or the node does not have the records yet.
    """
    missing = RpcError(f"the chain's node has no record yet of how round {part.round} ended")
    if not any(isinstance(event, _ENDS) for event in record):  # nor perhaps of what came shortly before
        raise missing
    mine = {type(event): event for event in record if getattr(event, "mine", None) == me}
    paid = mine.get(MinePaid)
    failed = any(isinstance(event, RoundFailed) for event in record)
    settled = any(isinstance(event, RoundSettled) for event in record)
    for event in _course(part.state, Committed in mine, Revealed in mine):
        missed = event in _MISSED
        part = part.after(event, why if missed else "")
    if part.state is RoundState.REVEALED:
        if not isinstance(paid, MinePaid):
            raise missing
        without = settled and not paid.share_bps
        part = part.after(
            RoundEvent.ROUND_FAILED
            if failed
            else RoundEvent.SETTLED_WITHOUT_SHARE
            if without
            else RoundEvent.SETTLED_WITH_SHARE
        )
    if isinstance(paid, MinePaid):
        part = replace(part, paid={name: getattr(paid, name) for name in PAID_FIELDS})
    return part


def _course(state: RoundState, committed: bool, revealed: bool) -> list[RoundEvent]:
    """What has happened since `state`, in a round that is over, up to its reveal."""
    if state in (RoundState.IDLE, RoundState.TRAINED):
        return [RoundEvent.COMMIT_REFUSED]
    if not committed:
        return [RoundEvent.COMMIT_REFUSED]  # it was not mined, or a reorganisation took it back
    if state is RoundState.REVEALED:
        return [] if revealed else [RoundEvent.REVEAL_TAKEN_BACK]
    course = []
    if state is RoundState.COMMITTING:
        course.append(RoundEvent.COMMIT_SEEN)
    if state in (RoundState.COMMITTING, RoundState.COMMITTED):
        if not revealed:
            return [*course, RoundEvent.REVEAL_MISSED]
        course.append(RoundEvent.REVEAL_SENT)
    return [*course, RoundEvent.REVEAL_SEEN if revealed else RoundEvent.REVEAL_MISSED]


def _waiting(part: Part, bounty: BountyState, status: Status) -> Waiting:
    """What a mine waits for that has nothing to do now."""
    ends, terms = deadlines_of(bounty), bounty.terms
    match status:
        case Status.COMMIT:
            return Waiting(
                f"{terms.cohort_cap - bounty.committed} more mines to commit in round {bounty.round}",
                ends.commit_s,
            )
        case Status.REVEAL:
            missing = bounty.committed - bounty.revealed
            return Waiting(f"{missing} more mines to reveal in round {bounty.round}", ends.reveal_s)
        case Status.SETTLE:
            return Waiting(f"the scientist to settle round {bounty.round}", ends.settle_s)
        case Status.FAILED if not bounty.committed:  # it would bring nobody else anything to end it
            name = short(hex32(bounty.bounty))
            return Waiting(
                f"the scientist to close bounty {name}, which nobody committed to; or `mine leave`"
            )
        case _:
            return Waiting(f"someone to end round {bounty.round}, which failed or is overdue")
