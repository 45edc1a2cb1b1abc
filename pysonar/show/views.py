"""What the commands show of a home and of a campaign."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sonar.errors import ConfigError, EnvironmentFault, JournalError, MarketError, RemoteError, RpcError
from sonar.protocol.ids import ETHER
from sonar.telling.amounts import Unit, format_amount, format_wei
from sonar.telling.figures import cells, heading, in_words
from sonar.telling.progress import Done, Line, Note, PlainSink, Round
from sonar.telling.tables import print_table
from sonar.telling.text import printable, short

if TYPE_CHECKING:
    from pysonar.campaign.records import Records
    from pysonar.wiring import Scientist
    from sonar.chain.rpc import Head
    from sonar.protocol.phase import BountyState


class PlainTold:
    """Tells a campaign's events to people: the rounds as sentences, the result as the tables that follow."""

    def __init__(self) -> None:
        self._plain = PlainSink()

    def emit(self, line: Line) -> None:
        """Write one event."""
        event = line.event
        if isinstance(event, Round):
            event = Note(sentence_of(asdict(event.summary)))
        elif isinstance(event, Done):
            event = Done(event.what)
        self._plain.emit(Line(line.party, line.at_s, event))


def sentence_of(line: dict[str, Any]) -> str:
    """Return a finished round (`history.line_of`) as a sentence."""
    if line["loss"] is None:
        return f"round {line['round']} {line['ended']}, {len(line['cohort'])} revealed"
    best = "" if line["loss"] == line["best_loss"] else f" (the best is {in_words(line['best'])})"
    told = (
        f"round {line['round']}: {in_words(line['figures'])}{best}, "
        f"{len(line['accepted'])} of {len(line['cohort'])} accepted, "
        f"paid {format_amount(line['paid_units'], Unit(**line['asset']))}"
    )
    return "; ".join([told, *(f"left out {short(mine)}: {why}" for mine, why in line["left_out"].items())])


def status_of(scientist: Scientist) -> dict[str, Any]:
    """Return the account and every campaign of the home. What an absent chain would say is null."""
    campaigns, damaged = [], []
    for name in scientist.names():
        try:
            campaigns.append(_campaign(scientist, name))
        except (ConfigError, JournalError) as error:
            damaged.append({"name": name, "error": str(error), "hint": error.hint})
    balance_wei, tokens, problem = None, [], ""
    try:
        balance_wei = scientist.market.ether(scientist.address)
        tokens = _tokens(scientist, campaigns)
    except (EnvironmentFault, RpcError) as fault:
        problem = str(fault)
    return {
        "address": scientist.address,
        "home": str(scientist.home.path),
        "network": scientist.network.name,
        "balance_wei": balance_wei,
        "tokens": tokens,
        "problem": problem,
        "campaigns": campaigns,
        "damaged": damaged,
    }


def _campaign(scientist: Scientist, name: str) -> dict[str, Any]:
    """One campaign, and where it stands. Raises ConfigError, JournalError if its records are damaged."""
    from pysonar.campaign.history import position, summary_of
    from pysonar.campaign.records import Records

    records = Records(scientist.journal, name)
    summary = summary_of(records, scientist.started(name))
    found = position(records, lambda: scientist.market)
    summary["now"] = _now(*found) if found else None
    summary["problem"] = _age_problem(records, found[1].model_digest if found else b"")
    return summary


def _tokens(scientist: Scientist, campaigns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the account holds of each token that a campaign pays in; null where the token does not answer."""
    from sonar.chain.contract.token import held

    units = {summary["asset"]["asset"]: Unit(**summary["asset"]) for summary in campaigns}
    found = []
    for asset, unit in units.items():
        if asset == ETHER:
            continue
        have = None
        with suppress(RemoteError, MarketError):
            have = held(scientist.market, asset, scientist.address)
        told = "?" if have is None else format_amount(have, unit)
        found.append({"asset": asset, "held": have, "told": told})
    return found


def _now(head: Head, state: BountyState) -> dict[str, Any]:
    """Where an open bounty stands on the chain. Deadlines in chain seconds."""
    from sonar.protocol.phase import deadlines_of, status_of

    return {
        "round": state.round,
        "status": status_of(state, head.timestamp_s).name,
        "committed": state.committed,
        "revealed": state.revealed,
        "chain_time_s": head.timestamp_s,
        **deadlines_of(state)._asdict(),
    }


def _age_problem(records: Records, newest: bytes) -> str:
    try:
        records.check_age(newest)
    except JournalError as older:
        return f"{older}: {older.hint}"
    return ""


def print_status(document: dict[str, Any]) -> None:
    """Print what `status_of` returned."""
    balance_wei = document["balance_wei"]
    print(f"account  {document['address']}: {'?' if balance_wei is None else format_wei(balance_wei)}")
    for one in document["tokens"]:
        print(f"token    {one['told']}")
    print(f"home     {document['home']}\nnetwork  {printable(document['network'])}")
    if document["problem"]:
        print(f"problem  {printable(document['problem'])}")
    if not document["campaigns"] and not document["damaged"]:
        print("bounties none yet; start one: pysonar run bounty.toml")
    for summary in document["campaigns"]:
        print()
        print_result(summary)
    for one in document["damaged"]:
        print(f"\nbounty {one['name']}: {printable(one['error'])}")
        print(f"  hint: {printable(one['hint'])}")


def print_result(summary: dict[str, Any]) -> None:
    """Print one campaign: its rounds, what each mine was paid, and where the money went."""
    ended = f" ({summary['closed'].lower().replace('_', ' ')})" if summary["closed"] else ""
    print(f"bounty   {summary['name']}: {summary['status']}{ended}")
    if summary["bounty"]:
        print(f"id       {summary['bounty']}")
    if now := summary.get("now"):
        print(
            f"now      round {now['round']}: {now['status'].lower()}, {now['committed']} committed, "
            f"{now['revealed']} revealed"
        )
    if problem := summary.get("problem"):
        print(f"problem  {printable(problem)}")
    unit = Unit(**summary["asset"])
    print(
        f"escrow   {format_amount(summary['escrow_units'], unit)}, "
        f"paid {format_amount(summary['paid_units'], unit)}, "
        f"came back {format_amount(summary['refunded_units'], unit)}"
    )
    _print_rounds(summary, unit)
    if summary["payouts"]:
        print()
        _print_payouts(summary["payouts"], unit)


def _print_rounds(summary: dict[str, Any], unit: Unit) -> None:
    start = summary["initial"]
    rows = [["start", *cells(start, start), "", ""]]
    for line in summary["rounds"]:
        shown = cells(line["figures"], start)
        if line["loss"] is None:
            shown[0] = line["ended"]
        accepted = f"{len(line['accepted'])} of {len(line['cohort'])}"
        rows.append([str(line["round"]), *shown, accepted, format_amount(line["paid_units"], unit)])
    headings = ["round", *map(heading, start), "accepted", "paid"]
    print_table(headings, rows, right=headings)
    if summary["final"] != start:
        print(f"best     {in_words(summary['final'])}")
    print(f"target   {in_words(summary['target'])}")
    for line in summary["rounds"]:
        for mine, why in line["left_out"].items():
            print(printable(f"round {line['round']} left out {short(mine)}: {why}"))


def _print_payouts(payouts: dict[str, dict[str, int]], unit: Unit) -> None:
    parts = {
        "fees": "fee_units",
        "rewards": "reward_units",
        "forfeits": "forfeit_units",
        "stakes back": "stake_units",
    }
    rows = [
        [mine, *(format_amount(paid[part], unit) for part in parts.values())]
        for mine, paid in payouts.items()
    ]
    print_table(["mine", *parts], rows, right=parts)
