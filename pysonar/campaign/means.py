"""What a campaign works with, and how it sends."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pysonar.bounty.base import AnyBounty
from pysonar.campaign.records import Finished, Records
from pysonar.campaign.signing import Signing
from pysonar.keys.holder import KeyHolder
from sonar.chain.contract.calls import Call
from sonar.chain.contract.errors import (
    NothingToWithdraw,
    NotInCohort,
    SettlementNotSigned,
    WrongCohortSize,
    WrongRound,
    WrongStatus,
)
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.chain.sending.queue import BURIED_BLOCKS
from sonar.errors import InsufficientFunds, MarketError, SonarError
from sonar.ports import Store
from sonar.protocol.fold import RoundRecord, record_of
from sonar.protocol.ids import BountyId
from sonar.telling.progress import Progress, Waiting


class Stopwatch:
    """What each part of each round took, in seconds; of round 0 the posting."""

    def __init__(self, progress: Progress, timer: Callable[[], float] = time.perf_counter) -> None:
        self._progress, self._timer = progress, timer
        self._seconds: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._idle_since = timer()

    @contextmanager
    def timed(self, number: int, part: str) -> Iterator[None]:
        """Time the work done inside."""
        start = self._timer()
        try:
            yield
        finally:
            self._seconds[number][part] += self._timer() - start

    def end_idle(self, number: int) -> None:
        """Count what was waited for a round's mines, once."""
        if "waiting" not in self._seconds[number]:
            self._seconds[number]["waiting"] = self._timer() - self._idle_since

    def begin_idle(self) -> None:
        """From now on the next round's mines are waited for."""
        self._idle_since = self._timer()

    def tell(self, number: int) -> dict[str, float]:
        """Return and tell a round's seconds, and forget them."""
        seconds = {part: round(value, 6) for part, value in self._seconds.pop(number, {}).items()}
        for part, value in seconds.items():
            self._progress.timing(part, value, number)
        return seconds


@dataclass
class Means:
    """The parts that one campaign works with. `copies` is the home's own store, for what others read of
    her.
    """

    market: Market
    store: Store
    copies: Store
    holder: KeyHolder
    signing: Signing
    outbox: Outbox
    records: Records
    bounty: AnyBounty
    progress: Progress
    watch: Stopwatch
    confirmations: int = 1
    told: set[str] = field(default_factory=set)
    searched: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The bounty's name."""
        return self.bounty.settings.name

    @property
    def posted(self) -> tuple[BountyId, int]:
        """Id and block of the bounty, which is posted."""
        posted = self.records.bounty()
        assert posted is not None
        return BountyId(posted[0]), posted[1]

    @property
    def id(self) -> BountyId:
        """The id of the bounty, which is posted."""
        return self.posted[0]

    def intent(self, action: Action, number: int) -> Intent:
        """The intent to do something in a round of the bounty."""
        return Intent.of_round(action, self.id, number)

    def since(self, number: int) -> int:
        """The block from which on to look for a round's events: where the one before it ended, if known."""
        over, before = self.records.finished(), self.intent(Action.SETTLE, number - 1)
        finished: Finished | None = self.records.get(Finished, min(over, number - 1))
        first = finished.block if finished is not None else self.posted[1]
        if over < number - 1 and self.outbox.submitted(before):
            with suppress(MarketError):  # it ended otherwise
                receipt = self.outbox.outcome(before)
                first = first if receipt is None else receipt.block
        return first - REORG_BLOCKS

    def deep(self, head: Head) -> Head:
        """The newest block that is confirmed at `head`. Raises RpcError if the node lacks it."""
        return self.market.at_depth(head, self.confirmations)

    def record(self, number: int, last: int, enough: Callable[[RoundRecord], bool]) -> RoundRecord:
        """What the chain has recorded of a round of the bounty, up to the block `last`.

        If that is not `enough`, it is looked for from the contract's first block on, but not at each block:
        where the round's record begins was one node's word.
        """
        found = self._read(number, min(self.since(number), last - REORG_BLOCKS), last)
        searched = self.searched.get(number)
        if not enough(found) and (searched is None or abs(last - searched) >= REORG_BLOCKS):
            found = self._read(number, self.market.deployed_block, last)
            self.searched[number] = last
        return found

    def _read(self, number: int, first: int, last: int) -> RoundRecord:
        return record_of(self.market.events(first, last, self.id), self.id, number)

    def lacks(self, intent: Intent, head: Head) -> None:
        """Doubt a receipt's word for what was mined deeper than any node lags, if `head` does not show it."""
        if self.outbox.wanted(intent) or not self.outbox.submitted(intent):
            return
        with suppress(MarketError):
            receipt = self.outbox.outcome(intent)
            if receipt is not None and receipt.block + BURIED_BLOCKS <= head.number:
                self.outbox.doubt(intent)

    def transact(self, intent: Intent, call: Call | None, what: str, until_s: int | None) -> Waiting | None:
        """Send once; None when it is mined. Without a `call`, only what was sent before is waited for."""
        try:
            if call is not None:
                self.outbox.submit(intent, call)
            if self.outbox.outcome(intent) is None:
                return Waiting(f"{what} to be mined", until_s)
        except InsufficientFunds as poor:
            return self.without_ether(poor, what, until_s)
        except NothingToWithdraw:  # another campaign took it along, or the node is behind: `head` will tell
            return Waiting("the chain's next block")
        except (WrongRound, WrongStatus, WrongCohortSize, NotInCohort) as late:
            # A deadline passed, somebody else moved the bounty, or a reorganisation changed its cohort,
            # between the reading and the transaction.
            self.progress.note(f"{what} is not possible any more ({late}); looking again")
            return Waiting("the chain's next block")
        except SettlementNotSigned as unsigned:  # a settler's contract may change its mind
            self.tell_once(what, unsigned)
            return Waiting(f"the settler {unsigned.settler} to agree to {what}", until_s)
        except MarketError as refusal:  # it may be a lie, and giving up would lose the escrow
            self.tell_once(what, refusal, f"trying again at the next block. {refusal.hint}".rstrip())
            return Waiting("the chain's next block")
        return None

    def without_ether(self, poor: InsufficientFunds, what: str, until_s: int | None) -> Waiting:
        """The wait for ether: gas may get cheaper, or somebody may send some."""
        self.tell_once(what, poor, f"trying again. {poor.hint}")
        return Waiting(f"ether to pay for {what}", until_s)

    def tell_once(self, what: str, problem: SonarError, hint: str = "") -> None:
        """Report a problem, once for each kind and for `what` it holds up."""
        key = f"{type(problem).__name__} {what}"
        if key not in self.told:
            self.progress.problem(problem, hint)
        self.told.add(key)
