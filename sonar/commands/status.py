"""`sonar status`: the bounties of a network, from the chain alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.telling.documents import BountyFacts, BountyHistory, RoundFacts, in_json
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from sonar.chain.contract.market import Market
    from sonar.protocol.events import Event
    from sonar.protocol.fold import RoundRecord
    from sonar.protocol.ids import Address
    from sonar.protocol.phase import BountyState
    from sonar.telling.amounts import Unit

EVENTS_SHOWN = 200


def status(
    bounty: Annotated[
        str | None,
        typer.Argument(help="A bounty's id in hex, or its first digits, for its rounds. Default: all."),
    ] = None,
    network: NetworkOption = None,
    json: JsonFlag = False,
) -> None:
    """Show the network's bounties: status, round, deadlines and escrow; or one bounty's rounds.

    Everything comes from the chain, and anybody can see it. Needs no key.

    Example: `sonar status --network ./net/network.toml`
    """
    from sonar.chain.contract.market import Market
    from sonar.protocol.fold import fold
    from sonar.protocol.ids import parse_bounty
    from sonar.telling.progress import PlainSink, Progress

    market = Market.connect(load_network(network), progress=Progress(PlainSink()))
    units: dict[Address, Unit] = {}
    if bounty is None:
        found = [_facts(market, market.bounty(posted.bounty), units) for posted in market.bounties()]
        if json:
            print_json(found)
        else:
            _show(found)
        return
    # A whole id needs no search.
    identity = parse_bounty(bounty) if len(bounty) >= 64 else market.posted(bounty).bounty
    facts = _facts(market, market.bounty(identity), units)
    events = market.events(market.deployed_block, bounty=identity)
    rounds = [_round(record) for record in fold(events).values()]
    if json:
        print_json(_history(facts, rounds, events))
    else:
        _show([facts])
        _show_rounds(rounds, units[facts.asset])
        _show_events(events, units[facts.asset])


def _facts(market: Market, state: BountyState, units: dict[Address, Unit]) -> BountyFacts:
    """What is to be told of a bounty. `units` are those of the assets that were met before."""
    from sonar.chain.contract.token import unit_of
    from sonar.protocol.ids import ZERO32, hex32
    from sonar.protocol.phase import Status, deadlines_of, status_of
    from sonar.telling.amounts import format_amount

    terms, now_s = state.terms, market.head().timestamp_s
    if terms.asset not in units:
        units[terms.asset] = unit_of(market, terms.asset)
    current, ends = status_of(state, now_s), deadlines_of(state)
    until = {Status.COMMIT: ends.commit_s, Status.REVEAL: ends.reveal_s, Status.SETTLE: ends.settle_s}
    return BountyFacts(
        bounty=hex32(state.bounty),
        scientist=state.scientist,
        status=current.name.lower(),
        until_s=until.get(current),
        now_s=now_s,
        round=state.round,
        rounds=terms.rounds,
        committed=state.committed,
        revealed=state.revealed,
        cohort_cap=terms.cohort_cap,
        initial_loss=terms.initial_loss,
        best_loss=state.best_loss,
        target_loss=terms.target_loss,
        asset=terms.asset,
        escrow_units=state.escrow_units,
        escrow=format_amount(state.escrow_units, units[terms.asset]),
        by_name=terms.allow_root != ZERO32,
        settler=terms.settler,
        quiet_s=terms.quiet_s,
        overdue_bps=terms.overdue_bps,
        cohort_fixed=state.cohort_fixed,
    )


def _history(facts: BountyFacts, rounds: list[RoundFacts], events: Sequence[Event]) -> BountyHistory:
    """The bounty's facts with what its events tell."""
    told = [{"event": type(event).__name__, **in_json(event)} for event in events]
    own = {one.name: getattr(facts, one.name) for one in fields(facts)}
    return BountyHistory(**own, history=rounds, events=told)


def _round(record: RoundRecord) -> RoundFacts:
    settled, fixed = record.settled, record.fixed
    return RoundFacts(
        round=record.round,
        opened_s=record.opened.opened_s if record.opened else None,
        committed=len(record.commits),
        revealed=len(record.reveals),
        cohort_digest="0x" + fixed.digest.hex() if fixed else None,
        ended=record.ended.value if record.ended else None,
        ended_block=record.ended_block,
        loss=settled.new_loss if settled else None,
        best_loss=settled.best_loss if settled else None,
        earned_units=record.earned_units,
        shares_bps={mine: paid.share_bps for mine, paid in record.paid.items()},
    )


def _show(found: Sequence[BountyFacts]) -> None:
    from sonar.telling.progress import clock, short
    from sonar.telling.tables import print_table

    if not found:
        print("No bounty was posted yet. `pysonar run bounty.toml` posts one.")
        return
    rows = [
        [
            one.bounty if len(found) == 1 else short(one.bounty),
            one.status + (", named mines" if one.by_name else ""),
            "" if one.until_s is None else f"{clock(one.until_s)} ({one.until_s - one.now_s} s)",
            f"{one.round}/{one.rounds}",
            f"{one.committed}/{one.cohort_cap}",
            str(one.revealed),
            f"{_loss(one.initial_loss)} → {_loss(one.best_loss)}",
            one.escrow,
        ]
        for one in found
    ]
    print_table(
        ["bounty", "status", "until", "round", "committed", "revealed", "loss of null", "escrow"], rows
    )


def _loss(millionths: int) -> str:
    """A loss as a part of the null model's."""
    return f"{millionths / 1e6:.6f}"


def _show_rounds(rounds: Sequence[RoundFacts], unit: Unit) -> None:
    from sonar.telling.amounts import format_amount
    from sonar.telling.tables import print_table

    headings = ["round", "ended", "committed", "revealed", "loss", "paid"]
    print()
    print_table(
        headings,
        [
            [
                str(one.round),
                one.ended or "",
                str(one.committed),
                str(one.revealed),
                "" if one.loss is None else _loss(one.loss),
                format_amount(one.earned_units, unit),
            ]
            for one in rounds
        ],
        right=[*headings[:1], *headings[2:]],
    )
    print()


def _show_events(events: Sequence[Event], unit: Unit) -> None:
    from sonar.telling.progress import printable

    if earlier := len(events[:-EVENTS_SHOWN]):
        print(f"{earlier} earlier events are left out; --json has all of them")
    for event in events[-EVENTS_SHOWN:]:
        hidden = ("bounty", "block", "tx_hash", "log_index", "round", "terms")
        told = {one.name: getattr(event, one.name) for one in fields(event) if one.name not in hidden}
        rest = ", ".join(_told(key, value, unit) for key, value in told.items())
        text = f"block {event.block}  round {getattr(event, 'round', '-')}  {type(event).__name__}: {rest}"
        print(printable(text))  # a token's symbol is a stranger's


def _told(key: str, value: Any, unit: Unit) -> str:
    """Tell a field of an event in the units that people count in."""
    from sonar.telling.amounts import format_amount

    if key.endswith("_units"):
        return f"{key.removesuffix('_units')} {format_amount(value, unit)}"
    if key.endswith("_loss"):
        return f"{key} {_loss(value)}"
    if key == "share_bps":
        return f"share {value / 100:.2f}%"
    return f"{key} {in_json(value, key)}"
