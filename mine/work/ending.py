"""How a round ends for a mine: it helps to end one that failed, and takes over what the chain recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mine.work.state import Book, Joined, Part
from mine.work.urgency import STORE_CALL_S, Urgency
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.rpc import Head
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import RpcError, SonarError
from sonar.ports import Store
from sonar.protocol.events import MinePaid, RoundSettled
from sonar.protocol.fold import Ending, RoundRecord, record_of
from sonar.protocol.ids import Address, BountyId, Cid, hex32
from sonar.protocol.phase import BountyState, Entry, EntryState
from sonar.protocol.round import RoundEvent, RoundState
from sonar.telling.documents import MineRound
from sonar.telling.progress import Progress, Waiting

if TYPE_CHECKING:
    from mine.work.sender import Sender
    from sonar.chain.contract.market import Market

EXPIRE_GRACE_S = 2
EXPIRE_STAGGER_S = 3
"""A mine waits this long for the scientist, and for each mine before it in the cohort, to expire the round.
"""
QUERY_S = 0.5
"""How long a node takes for one query of logs, or less."""

_PAID_FIELDS = ("share_bps", "fee_units", "reward_units", "stake_units", "forfeit_units")


class Endings:
    """A mine's part in the end of rounds."""

    def __init__(
        self,
        market: Market,
        store: Store,
        me: Address,
        sender: Sender,
        book: Book,
        urgency: Urgency,
        progress: Progress,
    ) -> None:
        self._market, self._store, self._me = market, store, me
        self._sender, self._book, self._urgency, self._progress = sender, book, urgency, progress
        self._ended_s: dict[tuple[BountyId, int], int] = {}
        self._searched: dict[tuple[BountyId, int], int] = {}

    def expire(self, part: Part, head: Head) -> Waiting:
        """End a failed or overdue round, which pays us, if nobody whose turn is earlier has done so."""
        key = (part.bounty, part.round)
        ended_s = self._ended_s[key] = min(head.timestamp_s, self._ended_s.get(key, head.timestamp_s))
        cohort = self._record(part, part.since_block, head, lambda found: self._me in found.reveals).cohort
        if self._me not in cohort:
            raise RpcError(f"the chain's node has no record yet of our reveal in round {part.round}")
        turn_s = ended_s + EXPIRE_GRACE_S + EXPIRE_STAGGER_S * cohort.index(self._me)
        if head.timestamp_s < turn_s:
            return Waiting(f"someone to end round {part.round}, which failed or is overdue", turn_s)
        intent = Intent.of_round(Action.EXPIRE, part.bounty, part.round)
        self._sender.mined(intent, self._market.expire(part.bounty, part.round, cohort))
        return Waiting(f"the end of round {part.round} to be mined")

    def conclude(self, joined: Joined, part: Part, head: Head) -> bool:
        """Bring the part of a round that is over to its end, by what is known of the confirmed block; False
        while the round is not over there.

        What the contract holds and what it has recorded must agree, and the record must add up: each is
        one answer of a node. Raises RpcError as long as they do not.
        """
        deep = self._sender.deep(head)
        state = self._state(part.bounty, deep)
        if state is None or not (part.round < state.round or state.closed):
            return False
        if part.round > state.round:  # it never came: a node lied
            self._tell(self._book.save(part.after(RoundEvent.COMMIT_REFUSED, "the bounty ended before it")))
            return True
        since = part.since_block or joined.block
        record = self._record(part, since, deep, lambda found: found.is_whole, joined.block)
        entry = self._market.entry(part.bounty, self._me, at=deep)
        part = ended(part, record, self._me, part.why or self._book.why(part, "the round is over"), entry)
        if record.settled and _has_little(part) and self._urgency.allows(STORE_CALL_S):
            why = why_no_share(self._store, record.settled, self._me)
            if part.state is RoundState.NO_SHARE or why.startswith(_LEFT_OUT):
                part = replace(part, why=why)
        self._tell(self._book.save(part))
        return True

    def closed(self, joined: Joined, head: Head) -> bool:
        """Tell whether a bounty is closed in the confirmed block, by the contract."""
        state = self._state(joined.bounty, self._sender.deep(head))
        return state is not None and state.closed

    def unrecorded(self, joined: Joined, last: int, head: Head) -> RpcError | None:
        """Return why the record does not say that a bounty closed with the round `last`, if so."""
        try:
            record = self._record(
                Part(joined.bounty, last), joined.block, self._sender.deep(head), _is_closed
            )
        except RpcError as error:
            return error
        return (
            None
            if record.closed
            else RpcError("the chain's node has no record yet that the bounty is closed")
        )

    def _state(self, bounty: BountyId, deep: Head) -> BountyState | None:
        """The bounty in a block; None if it was not posted then."""
        try:
            return self._market.bounty(bounty, at=deep)
        except UnknownBounty:
            return None

    def _tell(self, part: Part) -> None:
        told = MineRound(part.state.value, part.asset, **part.paid, why=part.why)
        self._progress.round(hex32(part.bounty), part.round, told)

    def _record(
        self,
        part: Part,
        since: int,
        head: Head,
        enough: Callable[[RoundRecord], bool],
        posted: int | None = None,
    ) -> RoundRecord:
        """What the chain has recorded of the part's round from about block `since` up to `head`.

        If that is not `enough`, it is looked for from the block on in which the bounty was `posted`, and then
        from the contract's first, but not at each block: both numbers were one node's word. On a chain with
        many blocks that takes long, so a reveal goes first.
        """
        from sonar.chain.contract.market import BLOCKS_PER_QUERY, REORG_BLOCKS

        record = self._read(part, min(since, head.number) - REORG_BLOCKS, head)
        key = (part.bounty, part.round)
        searched = self._searched.get(key)
        if searched is not None and abs(head.number - searched) < REORG_BLOCKS:
            return record
        for first in (*([] if posted is None else [posted]), self._market.deployed_block):
            first = min(first, head.number) - REORG_BLOCKS
            queries = (head.number - first) / BLOCKS_PER_QUERY
            if enough(record) or not self._urgency.allows(queries * QUERY_S):
                break
            record = self._read(part, first, head)
            self._searched[key] = head.number
        return record

    def _read(self, part: Part, first: int, head: Head) -> RoundRecord:
        return record_of(self._market.events(first, head.number, part.bounty), part.bounty, part.round)


def _is_closed(record: RoundRecord) -> bool:
    return record.closed is not None


_LEFT_OUT = "left out: "
_FEE_BPS = 1
"""The share of a mine that is left out for others' privacy alone: it brings the fee."""


def _has_little(part: Part) -> bool:
    """Whether a mine without a share, or with the least one, wants to know why."""
    paid = part.state is RoundState.PAID and part.paid.get("share_bps", 0) <= _FEE_BPS
    return paid or part.state is RoundState.NO_SHARE


_MISSED = {RoundEvent.COMMIT_REFUSED, RoundEvent.REVEAL_MISSED, RoundEvent.REVEAL_TAKEN_BACK}


def ended(part: Part, record: RoundRecord, me: Address, why: str, entry: Entry | None = None) -> Part:
    """Return the part of `me` as its round ended by what the chain recorded of that; `why`, if it was missed.

    `entry`, if given, is what the contract holds of `me`: it tells of the newest round alone. Raises RpcError
    if the round is not over, the record lacks something, or the two do not agree.
    """
    missing = RpcError(f"the chain's node has no whole record yet of how round {part.round} ended")
    seen = (me in record.commits, me in record.reveals)
    if not record.is_whole:
        raise missing
    if entry is not None and entry.round <= part.round and seen != _seen(entry, part.round):
        raise missing
    for event in _course(part.state, *seen):
        part = part.after(event, why if event in _MISSED else "")
    paid = record.paid.get(me)
    if part.state is RoundState.REVEALED:
        if paid is None or record.ended is None:
            raise missing
        part = part.after(_outcome(record.ended, paid.share_bps))
    if paid is not None:
        part = replace(part, paid=paid_fields(paid))
    return part


def _seen(entry: Entry, round_number: int) -> tuple[bool, bool]:
    """Whether a mine has committed and revealed in a round, by its entry, which is of no later one."""
    if entry.round < round_number:
        return False, False
    return entry.state is not EntryState.NONE, entry.state is EntryState.REVEALED


def paid_fields(paid: MinePaid) -> dict[str, int]:
    """What a mine was credited, by the names in its part."""
    return {name: getattr(paid, name) for name in _PAID_FIELDS}


def _outcome(ending: Ending, share_bps: int) -> RoundEvent:
    """What the end of a round was for one who had revealed. An overdue round pays without shares."""
    if ending is Ending.FAILED:
        return RoundEvent.ROUND_FAILED
    if ending is Ending.SETTLED and not share_bps:
        return RoundEvent.SETTLED_WITHOUT_SHARE
    return RoundEvent.SETTLED_WITH_SHARE


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


def why_no_share(store: Store, settled: RoundSettled, me: Address) -> str:
    """Return why a settled round brought a mine no share, from the record that the scientist published.

    It is her word; nothing depends on it. If it cannot be read, return why.
    """
    from sonar.manifests.evidence import EvidenceManifest

    try:
        data = store.get(Cid("dag-cbor", settled.evidence_digest), EvidenceManifest.max_bytes)
        evidence = EvidenceManifest.from_bytes(data)
    except SonarError as error:
        return f"the scientist's record of the round cannot be read: {error}"
    member = next((member for member in evidence.cohort if member.mine == me), None)
    if member is None or (evidence.bounty, evidence.round) != (settled.bounty, settled.round):
        return "the scientist's record is not of this round"
    if not member.accepted:
        return f"{_LEFT_OUT}{member.reason}"
    return "it was counted, but did not improve the model" + (f"; {member.reason}" if member.reason else "")
