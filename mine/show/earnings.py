"""What a mine earned and revealed, read from the chain's events; gas from its own journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, field, replace
from typing import TYPE_CHECKING

from mine.consent import SCORE_BITS
from mine.show.documents import Income, RoundIncome, TokenIncome
from mine.work.ending import ended, paid_fields
from mine.work.state import Book, Part
from sonar.chain.sending.intent import Action, Intent
from sonar.errors import RpcError
from sonar.frozen import frozen
from sonar.protocol.events import Withdrawn
from sonar.protocol.fold import RoundRecord, fold
from sonar.protocol.ids import ETHER, Address, BountyId, hex32
from sonar.protocol.round import RoundState

if TYPE_CHECKING:
    from sonar.chain.contract.market import Market

Records = Mapping[tuple[BountyId, int], RoundRecord]


@frozen
class RoundEarnings:
    """One round's income, in the smallest unit of `asset`; gas in wei.

    `stake_lost_units` is of a commit that can no longer be revealed. `why` it was skipped, is forfeit or
    has no share.
    """

    bounty: str
    round: int
    state: str
    share_bps: int = 0
    fee_units: int = 0
    reward_units: int = 0
    forfeit_units: int = 0
    stake_back_units: int = 0
    stake_lost_units: int = 0
    gas_wei: int = 0
    asset: Address = ETHER
    why: str = ""

    @property
    def net_units(self) -> int:
        """The round's income, in ether after gas; a returned stake is not income."""
        income = self.fee_units + self.reward_units + self.forfeit_units - self.stake_lost_units
        return income - self.gas_wei if self.asset == ETHER else income


@frozen
class Earnings:
    """All rounds, and the account: what the contract still owes it and what it has taken out, by asset.

    `problem` is why the chain could not be asked; the rounds are then this home's own record of it.
    """

    address: Address
    rounds: tuple[RoundEarnings, ...]
    other_gas_wei: int
    withdrawable: Mapping[Address, int] = field(default_factory=dict)
    withdrawn: Mapping[Address, int] = field(default_factory=dict)
    problem: str = ""

    def net(self, asset: Address) -> int:
        """What all rounds brought in an asset, in its smallest unit; all gas is of the ether."""
        net = sum(one.net_units for one in self.rounds if one.asset == asset)
        if asset != ETHER:
            return net
        return net - self.other_gas_wei - sum(one.gas_wei for one in self.rounds if one.asset != ETHER)

    def document(self) -> Income:
        """As one document; `tokens` has the amounts of each asset but ether."""
        tokens = sorted({one.asset for one in self.rounds} | set(self.withdrawable) - {ETHER})
        return Income(
            address=self.address,
            rounds=[RoundIncome(**asdict(one), net_units=one.net_units) for one in self.rounds],
            net_wei=self.net(ETHER),
            other_gas_wei=self.other_gas_wei,
            withdrawable_wei=self.withdrawable.get(ETHER),
            withdrawn_wei=self.withdrawn.get(ETHER),
            tokens=[
                TokenIncome(asset, self.net(asset), self.withdrawable.get(asset), self.withdrawn.get(asset))
                for asset in tokens
                if asset != ETHER
            ],
            problem=self.problem,
        )


def earnings(
    market: Market, book: Book, me: Address, assets: Iterable[Address] = (), former: Sequence[Address] = ()
) -> Earnings:
    """Read the chain's record since the first of the mine's bounties, in ether and these `assets`.

    Of the account `me` and of those that it followed, `former`. Gas is of the transactions that this home
    knows. Raises ChainUnavailable, RpcError.
    """
    parts, ours = book.parts(), (me, *former)
    since = {one.bounty: one.block for one in book.joined()}
    for part in parts:
        since.setdefault(part.bounty, market.deployed_block)  # it was left, and when it was posted forgotten
    events = market.events(min(since.values())) if since else []
    records = fold(events)

    def paid(part: Part) -> Mapping[str, int]:
        """Of a bounty on another network, whose file this home had before, its own record is all there is."""
        record = records.get((part.bounty, part.round))
        found = [record.paid[one] for one in ours if one in record.paid] if record else []
        return paid_fields(found[0]) if found else part.paid

    rounds, other_gas_wei = _rounds(book, [*parts, *_forgotten(market, parts, records, ours)], paid)
    both = (ETHER, *assets)
    taken = [event for event in events if isinstance(event, Withdrawn) and event.account in ours]
    return Earnings(
        me,
        rounds,
        other_gas_wei,
        {asset: sum(market.withdrawable(one, asset=asset) for one in ours) for asset in both},
        {asset: sum(event.amount_units for event in taken if event.asset == asset) for asset in both},
    )


def remembered(book: Book, me: Address, problem: str) -> Earnings:
    """The same from this home's own record, where the chain cannot be asked."""
    rounds, other_gas_wei = _rounds(book, book.parts(), lambda part: part.paid)
    return Earnings(me, rounds, other_gas_wei, problem=problem)


def _forgotten(
    market: Market, parts: Sequence[Part], records: Records, ours: Sequence[Address]
) -> Iterator[Part]:
    """The parts that the chain has of our accounts and this home has not: what it knows is from before."""
    known = {(part.bounty, part.round) for part in parts}
    for where, record in records.items():
        me = next((one for one in ours if one in record.commits), None)
        if me is not None and where not in known:
            terms = market.bounty(record.bounty).terms
            part = Part(
                record.bounty,
                record.round,
                RoundState.COMMITTED,
                stake_units=terms.stake_units,
                asset=terms.asset,
            )
            with suppress(RpcError):  # it is not over
                part = ended(part, record, me, "")
            yield replace(part, why="this home has no record of it; it may be an older copy")


def _rounds(
    book: Book, parts: Iterable[Part], paid: Callable[[Part], Mapping[str, int]]
) -> tuple[tuple[RoundEarnings, ...], int]:
    """A row for each part, by bounty and round, and the gas that belongs to none."""
    gas = gas_by_round(book)
    rows = []
    for part in sorted(parts, key=lambda part: (part.bounty, part.round)):
        amounts = paid(part)
        rows.append(
            RoundEarnings(
                hex32(part.bounty),
                part.round,
                part.state.value,
                amounts.get("share_bps", 0),
                amounts.get("fee_units", 0),
                amounts.get("reward_units", 0),
                amounts.get("forfeit_units", 0),
                amounts.get("stake_units", 0),
                part.stake_units if part.state is RoundState.FORFEIT else 0,
                gas.pop((part.bounty.hex(), part.round), 0),
                part.asset,
                part.why,
            )
        )
    return tuple(rows), sum(gas.values())


_OF_ROUND = (Action.APPROVE, Action.COMMIT, Action.REVEAL, Action.EXPIRE)


def gas_by_round(book: Book) -> dict[tuple[str, int], int]:
    """Fees in wei of this home's transactions by (bounty in hex, round); ("", 0) for those of no round."""
    spent: dict[tuple[str, int], int] = defaultdict(int)
    # One that was mined again after a reorganisation is there twice, and is paid for as it was at last.
    lines = {line.data["tx_hash"]: line for line in book.journal.events("transaction")}
    for line in lines.values():
        intent = Intent.read(str(line.data["key"]))
        of = (intent.subject, intent.round) if intent.action in _OF_ROUND else ("", 0)
        spent[of] += int(line.data["fee_wei"])
    return spent


@frozen
class Leak:
    """What the public record reveals about a mine's data in one bounty, beyond the sums over its cohorts."""

    rounds: int
    score_bits: int
    no_share: int

    @property
    def bits(self) -> int:
        """Scores, and one bit for each round that ended without a share: by a test, or by the score."""
        return self.score_bits + self.no_share


def leak(records: Records, bounty: BountyId, me: Address) -> Leak:
    """Count what a bounty's settled rounds have told, from their records."""
    rounds = [record for record in records.values() if record.bounty == bounty]
    scored = [record.paid[me] for record in rounds if record.settled and me in record.paid]
    revealed = sum(me in record.reveals for record in rounds)
    return Leak(revealed, SCORE_BITS * len(scored), sum(not paid.share_bps for paid in scored))


def leak_of_states(states: Sequence[RoundState]) -> Leak:
    """The same from a mine's own record of its rounds, where the chain cannot be asked."""
    no_share = states.count(RoundState.NO_SHARE)
    scored = states.count(RoundState.PAID) + no_share
    revealed = scored + states.count(RoundState.REVEALED) + states.count(RoundState.RETURNED)
    return Leak(revealed, SCORE_BITS * scored, no_share)
