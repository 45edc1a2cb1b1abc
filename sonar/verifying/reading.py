"""Reads a bounty from chain and store, and has all of it checked, round by round.

The chain's node is believed in what happened; that is checked against itself wherever hashes allow it. A
node that keeps no old states will do: only transactions and logs are read of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sonar.chain.contract import sent as transactions
from sonar.chain.contract.committee import is_committee
from sonar.chain.contract.market import BLOCKS_PER_QUERY, Market
from sonar.errors import RpcError, StoreRefused, StoreUnavailable, UsageError
from sonar.manifests.model import AllowList, KeyManifest, ModelManifest, VeilCover
from sonar.ports import Store
from sonar.protocol.events import BountyClosed, BountyPosted, Event
from sonar.protocol.fold import RoundRecord, fold
from sonar.protocol.ids import Cid, hex32, parse_bounty
from sonar.protocol.phase import NOBODY
from sonar.telling.progress import Progress
from sonar.telling.verdicts import BountyVerified, RoundVerified, result_of
from sonar.verifying import posting
from sonar.verifying.findings import Findings, read
from sonar.verifying.posting import Place
from sonar.verifying.rounds import Course, Sent

_SPAN_BLOCKS = 25 * BLOCKS_PER_QUERY
NO_STORE = "the network's store cannot be opened from here"


class Source:
    """A store that is given up for good once it does not answer; without one, nothing is there."""

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._open = opened
        self._store: Store | None = None
        self._gone: StoreUnavailable | None = None

    def get(self, cid: Cid, most: int) -> bytes:
        """Return the bytes of `cid`. Raises what `Store.get` does."""
        if self._gone is not None:
            raise self._gone
        try:
            self._store = self._store or self._open()
            return self._store.get(cid, most)
        except StoreRefused:
            raise
        except StoreUnavailable as gone:
            self._gone = gone
            raise
        except UsageError as wrong:  # no store is named that could be opened here
            self._gone = StoreUnavailable(f"{NO_STORE}: {wrong}", hint=wrong.hint)
            raise self._gone from wrong


def posted_as(market: Market, text: str) -> BountyPosted:
    """Return the event that posted the bounty of this id, or whose id begins so. Raises UsageError."""
    if len(text) < 64:
        return market.posted(text)
    found = market.posting(parse_bounty(text))  # a whole id needs no search from the beginning
    if found is None:
        raise UsageError(f"no bounty on this network is {text[:80]}", hint="`sonar status` lists them all")
    return found


def verify(
    market: Market, opened: Callable[[], Store], posted: BountyPosted, progress: Progress | None = None
) -> BountyVerified:
    """Check a bounty, whatever state it is in. `progress` is told of each round, and of each update.

    What the store does not have is a finding. Raises ChainUnavailable, and RpcError where the node
    contradicts itself.
    """
    progress, source = progress or Progress(), Source(opened)
    progress.waiting("the bounty's record on the chain")
    records = sorted(fold(_events(market, posted)).values(), key=lambda record: record.round)
    place = Place(market.chain_id, market.address)
    findings = Findings(0)
    course = _posting(findings, market, place, posted, source)
    course.tell = progress.waiting
    rounds = [findings.told("posted"), *_rounds(market, course, records)]
    return _told(market, posted, course, rounds)


def _events(market: Market, posted: BountyPosted) -> list[Event]:
    """All events of a bounty. Years after it has closed, the blocks since then need not be read."""
    found, first, last = list[Event](), posted.block, market.head().number
    while first <= last and not any(isinstance(event, BountyClosed) for event in found):
        until = min(first + _SPAN_BLOCKS - 1, last)
        found += market.events(first, until, posted.bounty)
        first = until + 1
    return found


def _posting(
    findings: Findings, market: Market, place: Place, posted: BountyPosted, source: Source
) -> Course:
    (found,) = transactions.arguments(market.rpc, market.address, "postBounty", [posted.tx_hash])
    salt = b"" if isinstance(found, RpcError) else found[3]
    posting.check_terms(findings, place, posted, market.bounty(posted.bounty).terms, salt)
    manifest = read(source.get, Cid("dag-cbor", posted.model_digest), ModelManifest.max_bytes)
    model, key, allowed = posting.check_model(findings, posted, manifest), None, None
    if model is not None:
        key = posting.check_key(findings, model, read(source.get, model.key, KeyManifest.max_bytes))
        listed = read(source.get, model.allow_list, AllowList.max_bytes) if model.allow_list else None
        allowed = posting.check_allowed(findings, posted.terms, listed)
        _cover(findings, market, place, posted, model)
    return Course(place, posted, model, key, allowed, source.get)


def _cover(
    findings: Findings, market: Market, place: Place, posted: BountyPosted, model: ModelManifest
) -> None:
    """Check the capsules, and that they are the settler if they audit."""
    cover = model.cover if isinstance(model.cover, VeilCover) else None
    if cover is None:
        posting.check_settler(findings, posted.terms, None, "")
        return
    posting.check_capsules(findings, place, cover)
    fault = ""
    if cover.audit is not None:
        members = [member.account for member in cover.members]
        fault = is_committee(market, posted.terms.settler, members, cover.threshold)
    posting.check_settler(findings, posted.terms, cover, fault)


def _rounds(market: Market, course: Course, records: Sequence[RoundRecord]) -> Iterable[RoundVerified]:
    settler = course.posted.terms.settler
    contract = settler != NOBODY and bool(market.code(settler))
    for record in records:
        course.tell(f"round {record.round} of {len(records)}")
        reveals = list(record.reveals.values())
        hashes = [event.tx_hash for event in reveals]
        told = transactions.arguments(market.rpc, market.address, "reveal", hashes)
        salts = {
            event.mine: found[3]
            for event, found in zip(reveals, told, strict=True)
            if not isinstance(found, RpcError)
        }
        yield course.check(record, Sent(salts, _signature(market, record), contract))


def _signature(market: Market, record: RoundRecord) -> bytes | None:
    """What came with a settlement for its settler; None if the node does not tell it."""
    if record.settled is None:
        return None
    (found,) = transactions.arguments(market.rpc, market.address, "settle", [record.settled.tx_hash])
    return None if isinstance(found, RpcError) else bytes(found[6])


def _told(
    market: Market, posted: BountyPosted, course: Course, rounds: list[RoundVerified]
) -> BountyVerified:
    cover = course.model.cover if course.model else None
    audited = isinstance(cover, VeilCover) and cover.audit is not None
    return BountyVerified(
        bounty=hex32(posted.bounty),
        chain_id=market.chain_id,
        contract=market.address,
        scientist=posted.scientist,
        result=result_of(rounds),
        held=sum(sum(one.held.values()) for one in rounds),
        rounds=rounds,
        auditors=[m.account for m in cover.members] if audited and isinstance(cover, VeilCover) else [],
        threshold=cover.threshold if audited and isinstance(cover, VeilCover) else 0,
    )
