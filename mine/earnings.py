"""What a mine earned and what it revealed, read from the chain's events; gas from its own journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mine.consent import SCORE_BITS
from mine.state import Book
from sonar.chain.events import Event, MinePaid, Revealed, RoundSettled, Withdrawn
from sonar.chain.market import Market
from sonar.protocol.ids import Address, BountyId, hex32


@dataclass(frozen=True)
class RoundEarnings:
    """One round's income, in wei. `stake_lost_wei` is of a commit that can no longer be revealed."""

    bounty: str
    round: int
    state: str
    share_bps: int = 0
    fee_wei: int = 0
    reward_wei: int = 0
    forfeit_wei: int = 0
    stake_back_wei: int = 0
    stake_lost_wei: int = 0
    gas_wei: int = 0

    @property
    def net_wei(self) -> int:
        """What the round brought, after gas; a stake that comes back is no income."""
        income = self.fee_wei + self.reward_wei + self.forfeit_wei
        return income - self.stake_lost_wei - self.gas_wei


@dataclass(frozen=True)
class Earnings:
    """All rounds, and the account: what the contract still owes it and what it has taken out, in wei."""

    address: Address
    rounds: tuple[RoundEarnings, ...]
    other_gas_wei: int
    withdrawable_wei: int
    withdrawn_wei: int

    def to_json(self) -> dict[str, Any]:
        """As one JSON document."""
        return {
            "address": self.address,
            "rounds": [{**asdict(one), "net_wei": one.net_wei} for one in self.rounds],
            "net_wei": sum(one.net_wei for one in self.rounds) - self.other_gas_wei,
            "other_gas_wei": self.other_gas_wei,
            "withdrawable_wei": self.withdrawable_wei,
            "withdrawn_wei": self.withdrawn_wei,
        }


def earnings(market: Market, book: Book, me: Address) -> Earnings:
    """Read everything since the first joined bounty was posted. Raises ChainUnavailable."""
    joined = book.joined()
    events = market.events(min(one.block for one in joined)) if joined else []
    gas = gas_by_round(book)
    rounds = []
    for one in joined:
        stake_wei = market.bounty(one.bounty).terms.stake_wei
        for part in book.parts(one.bounty):
            spent = gas.pop((one.bounty.hex(), part.round), 0)
            paid = find_paid(events, one.bounty, part.round, me)
            lost = stake_wei if part.state.value == "forfeit" else 0
            rounds.append(_row(hex32(one.bounty), part.round, part.state.value, paid, lost, spent))
    withdrawn = sum(
        event.amount_wei for event in events if isinstance(event, Withdrawn) and event.account == me
    )
    return Earnings(me, tuple(rounds), sum(gas.values()), market.withdrawable(me), withdrawn)


def _row(bounty: str, number: int, state: str, paid: MinePaid | None, lost: int, gas: int) -> RoundEarnings:
    if paid is None:
        return RoundEarnings(bounty, number, state, stake_lost_wei=lost, gas_wei=gas)
    return RoundEarnings(
        bounty,
        number,
        state,
        paid.share_bps,
        paid.fee_wei,
        paid.reward_wei,
        paid.forfeit_wei,
        paid.stake_wei,
        lost,
        gas,
    )


def find_paid(events: Iterable[Event], bounty: BountyId, number: int, me: Address) -> MinePaid | None:
    """The event that paid `me` in a round."""
    for event in events:
        if isinstance(event, MinePaid) and (event.bounty, event.round, event.mine) == (bounty, number, me):
            return event
    return None


def gas_by_round(book: Book) -> dict[tuple[str, int], int]:
    """Fees in wei of this home's transactions by (bounty in hex, round); ("", 0) for those of no round."""
    spent: dict[tuple[str, int], int] = defaultdict(int)
    for line in book.journal.events("transaction"):
        what = str(line.data["key"]).split("/")
        of = (what[1], int(what[2])) if len(what) == 3 else ("", 0)
        spent[of] += int(line.data["fee_wei"])
    return spent


@dataclass(frozen=True)
class Leak:
    """What the public record tells about a mine's data in one bounty, beyond the sums over its cohorts."""

    rounds: int
    score_bits: int
    left_out: int

    @property
    def bits(self) -> int:
        """Scores, and one bit for each time that a test or the score left the mine out."""
        return self.score_bits + self.left_out


def leak(events: Iterable[Event], bounty: BountyId, me: Address) -> Leak:
    """Count what a bounty's settled rounds have told, from its events."""
    of_bounty = [event for event in events if getattr(event, "bounty", None) == bounty]
    settled = {event.round for event in of_bounty if isinstance(event, RoundSettled)}
    scored = [e for e in of_bounty if isinstance(e, MinePaid) and e.mine == me and e.round in settled]
    revealed = sum(1 for event in of_bounty if isinstance(event, Revealed) and event.mine == me)
    return Leak(revealed, SCORE_BITS * len(scored), sum(1 for event in scored if not event.share_bps))
