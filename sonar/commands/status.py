"""`sonar status`: the bounties of a network, from the chain alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.telling.terminal import JsonFlag, print_json

if TYPE_CHECKING:
    from sonar.chain.contract.market import Market
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
    from sonar.protocol.ids import parse_bounty
    from sonar.telling.progress import PlainSink, Progress

    market = Market.connect(load_network(network), progress=Progress(PlainSink()))
    if bounty is None:
        units: dict[str, Unit] = {}
        found = [_facts(market, market.bounty(posted.bounty), units) for posted in market.bounties()]
        if json:
            print_json(found)
        else:
            _show(found)
        return
    # A whole id needs no search.
    identity = parse_bounty(bounty) if len(bounty) >= 64 else market.posted(bounty).bounty
    known: dict[str, Unit] = {}
    facts = _facts(market, market.bounty(identity), known)
    history = [_event(event) for event in market.events(market.deployed_block, bounty=identity)]
    if json:
        print_json(facts | {"events": history})
    else:
        _show([facts])
        _show_history(history, known[facts["asset"]])


def _facts(market: Market, state: BountyState, units: dict[str, Unit]) -> dict[str, Any]:
    """What is to be told of a bounty. `units` are those of the assets that were met before."""
    from sonar.chain.contract.token import unit_of
    from sonar.protocol.ids import ZERO32
    from sonar.protocol.phase import Status, deadlines_of, status_of
    from sonar.telling.amounts import format_amount

    asset = state.terms.asset
    if asset not in units:
        units[asset] = unit_of(market, asset)
    now_s = market.head().timestamp_s
    current = status_of(state, now_s)
    ends = deadlines_of(state)
    until = {Status.COMMIT: ends.commit_s, Status.REVEAL: ends.reveal_s, Status.SETTLE: ends.settle_s}
    return {
        "bounty": "0x" + state.bounty.hex(),
        "scientist": state.scientist,
        "status": current.name.lower(),
        "until_s": until.get(current),
        "now_s": now_s,
        "round": state.round,
        "rounds": state.terms.rounds,
        "committed": state.committed,
        "revealed": state.revealed,
        "cohort_cap": state.terms.cohort_cap,
        "initial_loss": state.terms.initial_loss,
        "best_loss": state.best_loss,
        "target_loss": state.terms.target_loss,
        "asset": asset,
        "escrow_units": state.escrow_units,
        "escrow": format_amount(state.escrow_units, units[asset]),
        "by_name": state.terms.allow_root != ZERO32,
    }


def _event(event: Any) -> dict[str, Any]:
    from dataclasses import asdict

    plain = {key: _plain(value) for key, value in asdict(event).items() if key != "bounty"}
    return {"event": type(event).__name__} | plain


def _plain(value: Any) -> Any:
    from enum import IntEnum

    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _show(found: list[dict[str, Any]]) -> None:
    from sonar.telling.progress import clock, short
    from sonar.telling.tables import print_table

    if not found:
        print("No bounty was posted yet. `pysonar run bounty.toml` posts one.")
        return
    rows = []
    for one in found:
        left = (
            "" if one["until_s"] is None else f"{clock(one['until_s'])} ({one['until_s'] - one['now_s']} s)"
        )
        rows.append(
            [
                one["bounty"] if len(found) == 1 else short(one["bounty"]),
                one["status"] + (", named mines" if one["by_name"] else ""),
                left,
                f"{one['round']}/{one['rounds']}",
                f"{one['committed']}/{one['cohort_cap']}",
                str(one["revealed"]),
                f"{one['initial_loss'] / 1e6:.4f} → {one['best_loss'] / 1e6:.4f}",
                one["escrow"],
            ]
        )
    print_table(
        ["bounty", "status", "until", "round", "committed", "revealed", "loss of null", "escrow"], rows
    )


def _show_history(history: list[dict[str, Any]], unit: Unit) -> None:
    from sonar.telling.progress import printable

    if earlier := len(history[:-EVENTS_SHOWN]):
        print(f"{earlier} earlier events are left out; --json has all of them")
    for event in history[-EVENTS_SHOWN:]:
        hidden = ("event", "block", "tx_hash", "log_index", "round", "terms")
        rest = ", ".join(_told(key, value, unit) for key, value in event.items() if key not in hidden)
        text = f"block {event['block']}  round {event.get('round', '-')}  {event['event']}: {rest}"
        print(printable(text))  # a token's symbol is a stranger's


def _told(key: str, value: Any, unit: Unit) -> str:
    """Tell a field of an event in the units that people count in."""
    from sonar.telling.amounts import format_amount

    if key.endswith("_units"):
        return f"{key.removesuffix('_units')} {format_amount(value, unit)}"
    if key.endswith("_loss"):
        return f"{key} {value / 1e6:.6f}"  # of the null model's
    if key == "share_bps":
        return f"share {value / 100:.2f}%"
    return f"{key} {value}"
