"""The node's loop: one pass reads the chain, decides, and acts without waiting.

Theory of operation. For each joined bounty a pass asks the chain for the bounty at the head, looks up what
to do in `mine.work.state.DECISIONS`, asks the chain again what it knows of our own part, and only then acts.
What must survive a crash is in the journal before the effect that depends on it: the seeds of a veil before
an update is made, the update and its salt before the commit is sent. So a pass may end anywhere, by kill -9
too: the next one finds either that an effect did not happen, and does it, or that it did, and goes on.

The blob is in the store before its reveal, as long as there is time for that. A reveal saves a stake, so near
the end of its window it goes before everything that could hold it up: see `mine.work.urgency`.

One bounty's refusal never stops another's. A chain that does not answer stops all, and is raised.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mine.consent import Policy
from mine.hands import Hands
from mine.work import joining
from mine.work.publisher import Publisher
from mine.work.state import Book, Joined, Refusal, Turn
from mine.work.urgency import STORE_CALL_S, Urgency
from mine.work.workshop import Workshop
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import (
    BlockMissing,
    ChainUnavailable,
    DigestMismatch,
    EnvironmentFault,
    JournalError,
    MarketError,
    RpcError,
    SonarError,
)
from sonar.ports import Store
from sonar.protocol.events import BountyClosed, BountyPosted
from sonar.protocol.ids import ETHER, Address, BountyId, hex32
from sonar.protocol.phase import Status
from sonar.telling.documents import MineSummary
from sonar.telling.progress import Done, Progress, Waiting
from sonar.telling.text import short

# A node that lags does not know a new bounty yet, and bytes with another digest are the store's fault.
_PASSING = (EnvironmentFault, RpcError, UnknownBounty, DigestMismatch)
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # a longer one could miss a window
_RISK_PAUSES_S = (0.5, 1.0)  # of a bounty with a stake at risk
_OFFER_PAUSES_S = (*_PAUSES_S, 8.0, 15.0, 30.0, 60.0)
_SEARCH_AGAIN_S = 300.0
_TOLD_MOST = 100
_OFFERS = (BountyPosted.__name__, BountyClosed.__name__)
_OFFERS_S = 1.0
"""How long a pass may examine offers: anybody can post any number of bad ones."""


@dataclass(frozen=True)
class Options:
    """`join_all` joins whatever fits (development networks only); `claim` withdraws when a bounty is over."""

    join_all: bool = False
    exit_when_done: bool = False
    claim: bool = False


@dataclass
class _Pause:
    """A bounty that had a fault is not tried before `again_s` (monotonic)."""

    failures: int
    again_s: float
    waiting: Waiting


class Node:
    """A mine at work on all its joined bounties.

    `me` and `outbox` are of the account that joins new ones, `former` of those that end what they have begun;
    `account_of` tells which of them a bounty belongs to.
    """

    def __init__(
        self,
        market: Market,
        store: Store,
        me: Address,
        outbox: Outbox,
        book: Book,
        workshop: Workshop,
        policy: Policy,
        progress: Progress,
        options: Options = Options(),
        monotonic: Callable[[], float] = time.monotonic,
        former: Sequence[Outbox] = (),
        account_of: Callable[[BountyId], Address] | None = None,
    ) -> None:
        self._market, self._store, self._me, self._book = market, store, me, book
        self._workshop, self._policy, self._progress, self._options = workshop, policy, progress, options
        self._monotonic = monotonic
        self._urgency = Urgency(book, monotonic)
        self._publisher = Publisher(store, workshop.drafts, self._urgency)
        self._hands = Hands(
            market,
            store,
            (outbox, *former),
            book,
            workshop,
            policy,
            progress,
            self._urgency,
            self._publisher,
            account_of or (lambda bounty: me),
        )
        self._pauses: dict[BountyId, _Pause] = {}
        self._searched_to, self._search_again_s = market.deployed_block - 1, monotonic() + _SEARCH_AGAIN_S
        self._closed: set[BountyId] = set()
        self._offers: list[BountyPosted] = []
        self._offered: dict[BountyId, BountyPosted] = {}
        self._seen: tuple[Head, Waiting | Done] | None = None
        self._newest = 0
        self._told: set[str] = set()
        self._late: set[BountyId] = set()
        self._tidied = -1

    def tick(self) -> Waiting | Done:
        """One pass over all joined bounties. Every fault is told and kept, but ChainUnavailable, and
        WrongContract if it is another chain now.
        """
        try:
            return self._pass()
        except RpcError as error:
            raise ChainUnavailable(str(error), hint=error.hint) from error

    def _pass(self) -> Waiting | Done:
        head = self._market.head()
        if head.number < self._newest:
            self._market.check_code()  # a development chain that lost its state begins anew
        self._newest = head.number
        self._urgency.see(head)
        if self._seen is not None and self._seen[0] == head and not (self._pauses or self._offers):
            return self._seen[1]  # nothing can have changed without a block
        self._hands.recover(head)
        waits = self._visits(self._in_order(), head)
        if self._options.join_all:
            waits += self._visits(self._join_new(head), head)
        self._tidy()
        joined = self._book.joined()
        result: Waiting | Done
        if waits:
            result = min(waits, key=lambda wait: wait.until_s or 1 << 62)
        elif self._options.exit_when_done and (joined or not self._options.join_all):
            told = (
                "every joined bounty is over"
                if joined
                else "no bounty is joined; `mine join BOUNTY` joins one"
            )
            result = Done(told, MineSummary(self._me, len(joined)))
        else:
            result = Waiting("a bounty to join" if self._options.join_all else "`mine join BOUNTY`")
        self._seen = (head, result)
        return result

    def _tidy(self) -> None:
        """Remove what belongs to parts and bounties that are over, when there are more of them, and at first:
        a kill may have left something.
        """
        if self._tidied != self._book.ended:
            with suppress(JournalError):  # it is in nobody's way
                self._workshop.drafts.keep_only(self._book.drafts_of())
                self._workshop.sums.keep_only(one for one in self._book.joined() if not one.over)
            self._tidied = self._book.ended

    def fill_pool(self) -> bool:
        """Use idle time: make a blinding per core if an open bounty will need them; tell whether it did.

        The pool holds what two updates take.
        """
        for task in (task for hand in self._hands for task in hand.updates.tasks()):
            with suppress(JournalError):  # it is told where a blinding is needed; a reveal needs none
                missing = 2 * task.blindings - self._workshop.pool.count(task.key)
                if missing > 0:
                    self._workshop.pool.fill(task.key, min(missing, self._workshop.pool.cores))
                    self._seen = None  # an update may wait for them, and not for a block
                    return True
        return False

    def _in_order(self) -> list[Joined]:
        """The joined bounties that go on, those with a stake at risk first, and the most urgent of these."""
        urgent_s = {part.bounty: part.urgent_s for part in self._book.at_risk()}
        going_on = [one for one in self._book.joined() if not one.over]
        return sorted(going_on, key=lambda one: urgent_s.get(one.bounty, math.inf))

    def _join_new(self, head: Head) -> list[Joined]:
        """Join bounties that fit and were posted since the last look, as far as time allows; return them.

        Refusals are told once.
        """
        # A node that lags says nothing of blocks that it lacks, and a reorganisation moves a posting. What a
        # lie has left out is found when all is searched again.
        self._searched_to = min(self._searched_to, head.number)
        if self._monotonic() >= self._search_again_s:
            self._searched_to = self._market.deployed_block - 1
            self._search_again_s = self._monotonic() + _SEARCH_AGAIN_S
        events = self._market.events(self._searched_to + 1 - REORG_BLOCKS, head.number, names=_OFFERS)
        posted = [event for event in events if isinstance(event, BountyPosted)]
        self._closed |= {event.bounty for event in events if isinstance(event, BountyClosed)}
        for event in posted:  # a bounty whose record has changed is examined again
            if event.bounty not in self._closed and self._offered.get(event.bounty) != event:
                self._offers = [offer for offer in self._offers if offer.bounty != event.bounty] + [event]
                self._offered[event.bounty] = event
        self._searched_to = head.number
        known = {joined.bounty for joined in self._book.joined()}
        started_s = self._monotonic()
        for _ in range(len(self._offers)):
            if self._monotonic() - started_s >= _OFFERS_S or not self._urgency.allows(STORE_CALL_S):
                break
            offer = self._offers[0]
            later = offer.bounty not in known and not self._join(offer)
            del self._offers[0]  # not before: a chain that goes away meanwhile must not lose it
            if later:
                self._offers.append(offer)
        return [one for one in self._book.joined() if one.bounty not in known]

    def _join(self, posted: BountyPosted) -> bool:
        """Try to join; False for a fault that may pass, such as a manifest that has not arrived yet."""
        if self._paused(posted.bounty):
            return False
        try:
            if self._market.bounty(posted.bounty).closed:
                if posted.bounty not in self._closed:
                    raise RpcError("the chain's node has no record yet that the bounty is closed")
            else:
                sums = self._workshop.sums
                me = self._hands.account_of(posted.bounty)
                joining.join(self._market, self._store, me, self._policy, self._book, sums, posted)
                self._progress.note(f"joined bounty {short(hex32(posted.bounty))}")
        except ChainUnavailable:
            raise
        except (*_PASSING, MarketError) as fault:  # only reads were made, which no contract refuses
            self._pause(posted.bounty, fault, _OFFER_PAUSES_S)
            return False
        except SonarError as error:
            self._refuse(posted.bounty, error)
        self._pauses.pop(posted.bounty, None)
        return True

    def _visits(self, joined: list[Joined], head: Head) -> list[Waiting]:
        """One pass over these bounties; what is waited for in each, with its name if there are several."""
        waits = {one.bounty: self._visit(one, head) for one in joined}
        several = sum(not one.over for one in self._book.joined()) > 1
        return [
            replace(wait, what=f"{wait.what}, in bounty {short(hex32(bounty))}") if several else wait
            for bounty, wait in waits.items()
            if wait is not None
        ]

    def _visit(self, joined: Joined, head: Head) -> Waiting | None:
        """One pass over one bounty; None when it is over. Its own faults end here."""
        if (waiting := self._paused(joined.bounty)) is not None:
            return waiting
        try:
            waiting = self._step(joined, head)
        except ChainUnavailable:
            raise
        except BlockMissing as late:  # what came before took long: the next pass has a newer block
            if joined.bounty not in self._late:
                self._late.add(joined.bounty)
                return Waiting(f"bounty {short(hex32(joined.bounty))} to work again: {late}"[:300])
            return self._pause(joined.bounty, late, _PAUSES_S)
        except SonarError as error:
            at_risk = any(part.bounty == joined.bounty for part in self._book.at_risk())
            return self._pause(joined.bounty, error, _RISK_PAUSES_S if at_risk else _PAUSES_S)
        self._pauses.pop(joined.bounty, None)
        self._late.discard(joined.bounty)
        return waiting

    def _step(self, joined: Joined, head: Head) -> Waiting | None:
        turn = Turn.at(head, joined, self._market.bounty(joined.bounty, at=head))
        fault = self._conclude(turn)
        if turn.status is not Status.CLOSED:
            waiting = self._hands.of(joined.bounty).rounds.advance(turn)
            if fault is not None:  # the round that is open does not wait for an old one's record
                self._tell_once(fault)
            return waiting
        return self._finish(turn, fault)

    def _conclude(self, turn: Turn) -> RpcError | None:
        """Bring parts of rounds that are over to their ends; return why that does not work yet for one."""
        fault, endings = None, self._hands.of(turn.joined.bounty).endings
        for part in self._book.open_parts(turn.joined.bounty):
            if part.round < turn.bounty.round or turn.status is Status.CLOSED:
                try:
                    endings.conclude(turn.joined, part, turn.head)
                except RpcError as error:
                    fault = error
        return fault

    def _tell_once(self, fault: SonarError) -> None:
        if str(fault) not in self._told:
            if len(self._told) >= _TOLD_MOST:  # a node can word its faults in any number of ways
                self._told.clear()
            self._told.add(str(fault))
            self._progress.problem(fault, "asking again; the open round continues")

    def _finish(self, turn: Turn, fault: RpcError | None) -> Waiting | None:
        """Leave a bounty that is closed, when its record is whole; the money needs the contract alone.

        `fault`: why the end of a part is not known. A node may have dropped such old records for good.
        """
        joined, asset = turn.joined, turn.bounty.terms.asset
        hand = self._hands.of(joined.bounty)
        if not hand.endings.closed(joined, turn.head):
            return Waiting(f"the end of bounty {short(hex32(joined.bounty))} to be confirmed")
        if self._options.claim:
            # Again, if need be: what was owed may have been more than a node told when it was taken out.
            intent = hand.outbox.next(Intent(Action.WITHDRAW, joined.bounty.hex()))
            if (waiting := hand.sender.withdraw(intent, asset, turn.head)) is not None:
                return waiting
        if fault := fault or hand.endings.unrecorded(joined, turn.bounty.round, turn.head):
            claim = "mine claim" if asset == ETHER else f"mine claim --asset {asset}"
            hint = f"a node that keeps no old records never will; `{claim}` takes out your money without them"
            raise RpcError(str(fault), hint=hint)
        if self._book.open_parts(joined.bounty):
            return Waiting(f"the end of bounty {short(hex32(joined.bounty))} to be confirmed")
        if not self._urgency.allows(STORE_CALL_S):
            return Waiting("a reveal in another bounty, before old updates are unpinned")
        self._publisher.let_go(self._book.parts(joined.bounty))
        self._book.join(replace(joined, over=True))
        self._progress.note(f"bounty {short(hex32(joined.bounty))} is closed")
        return None

    def _paused(self, bounty: BountyId) -> Waiting | None:
        """What a bounty with a recent fault waits for; None if it may be tried."""
        pause = self._pauses.get(bounty)
        return pause.waiting if pause is not None and self._monotonic() < pause.again_s else None

    def _pause(self, bounty: BountyId, error: SonarError, pauses_s: tuple[float, ...]) -> Waiting:
        """Report a bounty's fault if it is new, and try again after a while: it may pass."""
        before = self._pauses.get(bounty)
        failures = before.failures + 1 if before else 0
        if not isinstance(error, _PASSING):
            self._refuse(bounty, error)
        elif failures == 0:
            self._progress.problem(
                error, f"trying again until the round's window closes. {error.hint}".strip()
            )
        pause_s = pauses_s[min(failures, len(pauses_s) - 1)]
        waiting = Waiting(f"bounty {short(hex32(bounty))} to work again: {error}"[:300])
        self._pauses[bounty] = _Pause(failures, self._monotonic() + pause_s, waiting)
        return waiting

    def _refuse(self, bounty: BountyId, error: SonarError) -> None:
        hint = error.hint or "its scientist must fix it; `mine leave` stops the attempts"
        if self._book.refuse(Refusal(bounty, str(error), hint)):
            self._progress.problem(f"bounty {short(hex32(bounty))}: {error}", hint)
