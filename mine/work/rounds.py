"""The effects of a round: train, commit, reveal. The journal is true at every step.

Nothing here decides when: `mine.work.state` does. Each effect ends in a new state of the part, or in what it
waits for. How rounds end is in `mine.work.ending`.
"""

from __future__ import annotations

from dataclasses import replace

from mine import consent
from mine.consent import Policy
from mine.work.ending import Endings
from mine.work.publisher import Publisher
from mine.work.sender import Sender
from mine.work.state import Book, Command, Part, Turn, decide
from mine.work.updates import Updates
from mine.work.urgency import Urgency
from sonar.chain.contract.calls import Call
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import EnvironmentFault, InsufficientFunds, RemoteError, UsageError
from sonar.protocol import seal as seals
from sonar.protocol.ids import Address, Digest, hex32
from sonar.protocol.phase import EntryState, Status
from sonar.protocol.round import RoundEvent, RoundState
from sonar.telling.progress import Progress, Waiting
from sonar.telling.text import count, short


class Rounds:
    """A mine's effects in the rounds of its bounties."""

    def __init__(
        self,
        market: Market,
        me: Address,
        sender: Sender,
        book: Book,
        policy: Policy,
        progress: Progress,
        urgency: Urgency,
        updates: Updates,
        publisher: Publisher,
        endings: Endings,
    ) -> None:
        self._market, self._me, self._sender, self._endings = market, me, sender, endings
        self._book, self._policy, self._progress = book, policy, progress
        self._urgency, self._updates, self._publisher = urgency, updates, publisher

    def advance(self, turn: Turn) -> Waiting:
        """Do everything that can be done now in the current round, and return what it waits for then."""
        status, begun = turn.status, self._book.part(turn.bounty.bounty, turn.bounty.round).state
        while True:
            part = self._book.part(turn.bounty.bounty, turn.bounty.round)
            command = decide(part.state, status)
            if command in _NEEDS_ENTRY or (part.state in _GIVEN_UP and part.seal):
                part = self._agree_with_chain(part, turn)
                command = decide(part.state, status)
            waiting = self._do(command, part, turn, is_new=part.state is not begun)
            if waiting is not None:
                return waiting

    def _unseen(self, part: Part, turn: Turn) -> bool:
        """Whether what the part has just done is newer than the block that the bounty was read at."""
        done = {Status.COMMIT: _WAS_COMMITTED, Status.REVEAL: _WAS_REVEALED}.get(turn.status, set())
        seen = {Status.COMMIT: EntryState.COMMITTED, Status.REVEAL: EntryState.REVEALED}.get(turn.status)
        return part.state in done and self._entry(part, turn) is not seen

    def _do(self, command: Command, part: Part, turn: Turn, *, is_new: bool) -> Waiting | None:
        """Do one thing; None if the part has a new state to act on. `is_new`: it came to its own now."""
        match command:
            case Command.TRAIN:
                return self._train(part, turn)
            case Command.COMMIT:
                return self._commit(part, turn)
            case Command.REVEAL:
                return self._reveal(part, turn)
            case Command.EXPIRE:
                return self._endings.expire(part, turn.head)
            case Command.MISS:
                return self._miss(part, turn)
            case Command.WAIT:
                self._look_after(part, turn)
                return _waiting(turn, int(is_new and self._unseen(part, turn)))

    def _look_after(self, part: Part, turn: Turn) -> None:
        """What was believed to be on the chain goes out again here if a reorganisation took it back; nothing
        else asks for it any more. And an update that was revealed is kept in the store.
        """
        if part.state in _WAS_COMMITTED and turn.status is Status.COMMIT:
            self._sender.restore(
                _intent(Action.COMMIT, part),
                lambda: self._commit_call(part, turn),
                lambda at: self._entry(part, turn, at) is EntryState.NONE,
                turn.head,
            )
        if part.state in _WAS_REVEALED and turn.status is Status.REVEAL:
            self._sender.restore(
                _intent(Action.REVEAL, part),
                lambda: self._reveal_call(part),
                lambda at: self._entry(part, turn, at) is EntryState.COMMITTED,
                turn.head,
            )
        if part.state is RoundState.REVEALED:
            self._publisher.keep(part)

    def _entry(self, part: Part, turn: Turn, at: Head | None = None) -> EntryState:
        """What the chain knows of our part: in the same block as the bounty, or `at` another."""
        bounty = turn.bounty
        entry = self._market.entry(bounty.bounty, self._me, at=at or turn.head)
        if entry.round != bounty.round or entry.state is EntryState.NONE:
            return EntryState.NONE
        if entry.seal != seals.kept(part.seal):
            raise UsageError(
                f"account {self._me} has committed in round {bounty.round} from another home folder",
                hint="run the mine with that home: its journal has the salt, without which the stake is lost",
            )
        return entry.state

    def _agree_with_chain(self, part: Part, turn: Turn) -> Part:
        """Take over what the chain knows of our part: a transaction may have been mined while we were away,
        or reported falsely. What can still be sent again is believed when it is deep enough.
        """
        known = self._entry(part, turn)
        if part.state in _BEFORE_COMMIT and known is EntryState.NONE:
            return self._of_this_model(part, turn)
        if known is not EntryState.NONE and (part.state, turn.status) in _BY_DEPTH:
            try:
                known = self._entry(part, turn, self._sender.deep(turn.head))
            except UnknownBounty:  # it is younger than that
                known = EntryState.NONE
        for event in _FOLLOWS.get((part.state, known), ()):
            part = self._book.save(part.after(event))
        return part

    def _of_this_model(self, part: Part, turn: Turn) -> Part:
        """Begin again if the part was trained on another model than the round's: a node lied then, or a
        reorganisation has changed how the last round was settled.
        """
        stale = part.model and part.model != turn.bounty.model_digest
        if not stale or self._sender.may_be_mined(_intent(Action.COMMIT, part)):
            return part
        return self._book.save(Part(part.bounty, part.round))

    # ---- before the commit: nothing is at stake

    def _train(self, part: Part, turn: Turn) -> Waiting | None:
        """Make the update, and have it in the journal with its salt before anybody hears of it."""
        bounty, dataset = turn.bounty, turn.joined.dataset
        if not self._urgency.can_commit(turn):
            if turn.ends.commit_s < bounty.opened_s + bounty.terms.commit_window_s:
                return _quiet(turn)
            return self._miss(part, turn, "too little time is left in the commit window")
        consent.check_bounty(bounty, self._policy)
        consent.check_uses(self._book.uses(dataset.digest), self._policy)
        made = self._updates.make(part, turn)
        if isinstance(made, Waiting):
            return made
        self._updates.tell_bits(turn)
        self._book.save(made, uses=dataset.digest)
        return None

    def _commit(self, part: Part, turn: Turn) -> Waiting | None:
        if part.state is RoundState.TRAINED:
            if not self._urgency.can_commit(turn):
                return _quiet(turn)
            part = self._book.save(part.after(RoundEvent.COMMIT_SENT))
        try:
            mined = self._sender.mined(_intent(Action.COMMIT, part), self._commit_call(part, turn))
        except InsufficientFunds as poor:
            return self._sender.stake_from_earnings(part, poor, turn.head)
        if not mined:
            return Waiting(f"the commit of round {part.round} to be mined", turn.ends.commit_s)
        self._book.save(part.after(RoundEvent.COMMIT_SEEN))
        self._book.forget_refusal(part.bounty)
        return None

    def _commit_call(self, part: Part, turn: Turn) -> Call:
        terms = turn.bounty.terms
        return self._market.commit(
            part.bounty, part.round, part.seal, terms.stake_units, asset=terms.asset, proof=part.proof
        )

    # ---- too late

    def _miss(self, part: Part, turn: Turn, why: str = "") -> Waiting:
        """Record why a round is missed, by this head, but give nothing up: the head may be wrong.

        Once the round is over, it is concluded by what the chain has recorded (`mine.work.ending`).
        """
        number = turn.bounty.round
        sent = Action.COMMIT if part.state in _BEFORE_COMMIT else Action.REVEAL
        if part.state is RoundState.REVEALING and self._entry(part, turn) is EntryState.REVEALED:
            return Waiting(f"the reveal of round {number} to be confirmed", turn.ends.settle_s)
        if self._sender.may_be_mined(_intent(sent, part)) and turn.status is Status.REVEAL:
            return Waiting(f"the outcome of the commit of round {number}", turn.ends.reveal_s)
        window = "commit" if sent is Action.COMMIT else "reveal"
        told = self._book.why(part, why or f"the {window} window is over")
        if part.why != told:
            self._book.save(replace(part, why=told))
        return Waiting(f"the end of round {number}: {told}"[:200], turn.ends.settle_s)

    # ---- after the commit: the stake is at risk until the reveal is seen

    def _reveal(self, part: Part, turn: Turn) -> Waiting | None:
        until_s = turn.ends.reveal_s
        if part.state is RoundState.COMMITTED:
            if not self._ready(part):
                return Waiting("a reveal in another bounty, whose stake is more urgent", until_s)
            part = self._book.save(part.after(RoundEvent.REVEAL_SENT))
        if not self._sender.mined(_intent(Action.REVEAL, part), self._reveal_call(part)):
            return Waiting(f"the reveal of round {part.round} to be mined", until_s)
        self._book.save(part.after(RoundEvent.REVEAL_SEEN))
        return None

    def _reveal_call(self, part: Part) -> Call:
        return self._market.reveal(part.bounty, part.round, Digest(part.update), part.salt)

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


_COMMITTED = {RoundState.COMMITTED, RoundState.REVEALING}
_WAS_REVEALED = {RoundState.REVEALED, RoundState.PAID, RoundState.NO_SHARE, RoundState.RETURNED}
_WAS_COMMITTED = _COMMITTED | _WAS_REVEALED
_BEFORE_COMMIT = {RoundState.IDLE, RoundState.TRAINED, RoundState.COMMITTING}
_GIVEN_UP = {RoundState.SKIPPED, RoundState.FORFEIT}
_NEEDS_ENTRY = {Command.TRAIN, Command.COMMIT, Command.REVEAL, Command.MISS}
_BY_DEPTH = {(RoundState.COMMITTING, Status.COMMIT)} | {
    (RoundState.REVEALING, status) for status in (Status.REVEAL, Status.SETTLE)
}
_C, _R, _E = EntryState.COMMITTED, EntryState.REVEALED, RoundEvent
_FOLLOWS: dict[tuple[RoundState, EntryState], tuple[RoundEvent, ...]] = {
    (RoundState.COMMITTING, _C): (_E.COMMIT_SEEN,),
    (RoundState.COMMITTING, _R): (_E.COMMIT_SEEN, _E.REVEAL_SENT, _E.REVEAL_SEEN),
    (RoundState.COMMITTED, _R): (_E.REVEAL_SENT, _E.REVEAL_SEEN),
    (RoundState.REVEALING, _R): (_E.REVEAL_SEEN,),
    **{(state, known): (_E.COMMIT_STANDS,) for state in _GIVEN_UP for known in (_C, _R)},
}
"""What has happened to a part in a state, by what the chain knows of it."""


def _intent(action: Action, part: Part) -> Intent:
    return Intent.of_round(action, part.bounty, part.round)


def _quiet(turn: Turn) -> Waiting:
    """What a mine waits for if its commit would be late, unless others' commits postpone the end."""
    what = f"the commit phase of round {turn.bounty.round} to end: too little time is left for our commit"
    return Waiting(what, turn.ends.commit_s)


def _waiting(turn: Turn, unseen: int) -> Waiting:
    """What a mine waits for that has nothing to do now.

    `unseen`: how many commits and reveals of its own are newer than the block that the bounty was read at.
    """
    bounty, ends, cap = turn.bounty, turn.ends, turn.bounty.terms.cohort_cap
    match turn.status:
        case Status.COMMIT:
            committed = min(bounty.committed + unseen, cap)
            if committed == cap:  # the last is newer than this block
                return Waiting(f"the last commit of round {bounty.round} to be confirmed", ends.commit_s)
            more = count(cap - committed, "more mine")
            told = f"{more} to commit in round {bounty.round} ({committed} of at most {cap} have)"
            return Waiting(told, ends.commit_s)
        case Status.REVEAL:
            revealed = min(bounty.revealed + unseen, bounty.committed)
            if revealed == bounty.committed:
                return Waiting(f"the last reveal of round {bounty.round} to be confirmed", ends.reveal_s)
            more = count(bounty.committed - revealed, "more mine")
            told = f"{more} to reveal in round {bounty.round} ({revealed} of {bounty.committed} have)"
            return Waiting(told, ends.reveal_s)
        case Status.SETTLE:
            return Waiting(f"the scientist to settle round {bounty.round}", ends.settle_s)
        case Status.FAILED if not bounty.committed:  # nobody else gains anything by ending it
            name = short(hex32(bounty.bounty))
            return Waiting(
                f"the scientist to close bounty {name}, which nobody committed to; or `mine leave`"
            )
        case _:
            return Waiting(f"someone to end round {bounty.round}, which failed or is overdue")
