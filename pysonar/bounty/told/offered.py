"""What an offer means in time and money, in the scientist's words, whatever the bounty asks for."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.covered import gas, waits
from sonar.protocol.ids import ETHER
from sonar.protocol.phase import NOBODY
from sonar.telling.amounts import format_amount
from sonar.telling.text import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sonar.protocol.phase import Terms

MINES_ASK_BPS = 5_000
"""The default of a mine's policy."""
WIDTH = 80
"""The width of the text: terminals and notebooks break longer lines in the middle of a word."""


OPEN = (
    "open to every mine, so one person can take several places: the same data under several addresses "
    "count as one, but rows that were split or altered do not. For a real bounty name the mines that you "
    "know, with `allow`"
)
OPEN_UNSEEN = (
    "open to every mine, so one person can take several places, also with the same data, which nobody sees. "
    "For a real bounty name the mines that you know, with `allow`"
)


def lines(told: list[str]) -> Iterator[str]:
    """Wrap text into lines. Names are never broken: a mine's columns must have exactly these names."""
    for text in told:
        yield from wrap(
            text,
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def mines(terms: Terms) -> str:
    """Return how many mines a round has."""
    least, most = terms.min_mines, terms.cohort_cap
    return f"{most}" if least == most else f"{least} to {most}"


def amount(bounty: AnyBounty, units: int) -> str:
    """Return an amount in the bounty's unit."""
    return format_amount(units, bounty.offer.unit)


def time(bounty: AnyBounty) -> list[str]:
    """Return how long it takes, and what it costs to be away, in lines."""
    terms = bounty.offer.terms
    windows = (terms.commit_window_s, terms.reveal_window_s, terms.settle_window_s)
    commit, reveal, settle = map(span, windows)
    return [
        f"a round ends as soon as all {terms.cohort_cap} mines have revealed and you have settled",
        f"at the latest after {commit} to commit, {reveal} to reveal and {settle} to settle; "
        f"{span(terms.rounds * sum(windows))} for all {terms.rounds} rounds",
        *_quiet(bounty),
        *_away(bounty),
        *_settler(bounty),
        *waits(bounty),
    ]


def _away(bounty: AnyBounty) -> list[str]:
    """The cost if nobody settles: how much, from when, and how to avoid it."""
    terms = bounty.offer.terms
    due = terms.overdue_at(terms.initial_loss)
    if not terms.reward_units:
        return [
            "keep this program running: if nobody settles a round within its settle window, the mines that "
            "revealed get their fees for nothing, and the bounty closes without a result; you may be away "
            f"for less than {span(terms.settle_window_s)}"
        ]
    first_s = terms.commit_window_s + terms.reveal_window_s + terms.settle_window_s
    lines = [
        "keep this program running: if nobody settles a round within its settle window, "
        f"{terms.overdue_bps / 100:g}% of the reward that is unpaid then goes to the mines that revealed, in "
        "equal parts, besides their fees, and the bounty closes",
        f"in the first round that is {amount(bounty, due)}, {span(first_s)} after posting if no window "
        f"ends early; you may be away for less than {span(terms.settle_window_s)}. A longer settle_window_s "
        "costs nothing if you settle at once",
    ]
    if terms.overdue_bps < MINES_ASK_BPS:
        asked = f"{MINES_ASK_BPS / 100:g}% by default (min_overdue_bps)"
        lines.append(f"mines ask for {asked}: most will not join for less")
    if bounty.settings.settle_window_s is None and not bounty.dev:
        lines.append("on a development network, the settle window is minutes")
    return lines


def _settler(bounty: AnyBounty) -> list[str]:
    settler = bounty.offer.terms.settler
    if settler == NOBODY:
        return []
    return [
        f"each settlement waits for the signature of {settler}; without it, the settle window is missed, and "
        "the bounty ends as Overdue, with what is due then"
    ]


def _quiet(bounty: AnyBounty) -> list[str]:
    terms = bounty.offer.terms
    if not terms.quiet_s:
        return []
    return [
        f"with {terms.min_mines} mines or more, it stops waiting for others {span(terms.quiet_s)} after "
        "the last one committed"
    ]


def cost(bounty: AnyBounty) -> list[str]:
    """Return what is paid and staked, in lines."""
    terms = bounty.offer.terms
    escrow, reward, fee, stake = (
        amount(bounty, units)
        for units in (terms.escrow_units, terms.reward_units, terms.fee_units, terms.stake_units)
    )
    rewarded = f"reward {reward}, and fees" if terms.reward_units else "fees"
    lines = [
        f"escrow {escrow}: {rewarded} {fee} x {terms.cohort_cap} mines x {terms.rounds} rounds",
        "that is the most that mines can be paid; what they do not earn comes back when the bounty closes",
        f"gas comes on top: {gas(bounty)}",
        f"each mine stakes {stake} per round, and gets it back when it reveals",
    ]
    if terms.asset != ETHER:
        lines += [
            f"all in the token {terms.asset}, which mines must have allowed; gas is in ether",
            "whoever controls the token may be able to freeze or change balances, also those in escrow",
        ]
    return lines
