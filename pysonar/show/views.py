"""What the commands show of a home and of a campaign."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pysonar.accounts import former
from sonar.errors import (
    ConfigError,
    EnvironmentFault,
    JournalError,
    KeyFileError,
    MarketError,
    RemoteError,
    RpcError,
)
from sonar.protocol.ids import ETHER, Address
from sonar.telling.again import with_home
from sonar.telling.amounts import Unit, format_amount, format_wei, in_column
from sonar.telling.figures import cells, heading, in_words
from sonar.telling.tables import print_named, print_table
from sonar.telling.text import short

if TYPE_CHECKING:
    from pysonar.campaign.records import Records
    from pysonar.rotating import BountyKey
    from pysonar.wiring import Scientist
    from sonar.chain.rpc import Head
    from sonar.protocol.phase import BountyState


def status_of(scientist: Scientist, only: str = "") -> dict[str, Any]:
    """Return the account and every campaign of the home, or one. What an absent chain would say is null.

    Raises ConfigError for a name that was not started here.
    """
    campaigns, damaged = [], []
    names = scientist.names()
    if only and only not in names:
        scientist.started(only)
    for name in [only] if only else names:
        try:
            campaigns.append(_campaign(scientist, name))
        except (ConfigError, JournalError) as error:
            damaged.append({"name": name, "error": str(error), "hint": error.hint})
    balance_wei, tokens, before, followed, problem = None, [], [], {}, ""
    try:
        balance_wei = scientist.market.ether(scientist.address)
        tokens, before = _tokens(scientist, campaigns), former(scientist)
        followed = _followed(scientist, campaigns)
    except (EnvironmentFault, RpcError) as fault:
        problem = str(fault)
    return {
        "address": scientist.address,
        "home": str(scientist.home.path),
        "network": scientist.network.name,
        "balance_wei": balance_wei,
        "tokens": tokens,
        "former": before,
        "followed": followed,
        "problem": problem,
        "campaigns": campaigns,
        "damaged": damaged,
    }


def _campaign(scientist: Scientist, name: str) -> dict[str, Any]:
    """One campaign, and where it stands. Raises ConfigError, JournalError if its records are damaged."""
    from pysonar.campaign.history import position, summary_of
    from pysonar.campaign.records import Records
    from pysonar.rotating import keys_of

    records = Records(scientist.journal, name)
    summary = summary_of(records, scientist.started(name))
    found = position(records, lambda: scientist.market)
    summary["now"] = _now(*found) if found else None
    summary["problem"] = _age_problem(records, found[1] if found else None)
    summary["keys"] = []
    try:
        summary["keys"] = keys_of(scientist, name)
    except KeyFileError as fault:
        summary["problem"] = summary["problem"] or f"{fault}: {fault.hint}"
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
        found.append({"asset": asset, "held_units": have, "told": told})
    return found


def _followed(scientist: Scientist, campaigns: list[dict[str, Any]]) -> dict[str, str]:
    """The mines of all campaigns that go on under another account, each with the latest."""
    from sonar.chain.deploying.succession import succession_on

    mines = [Address(mine) for summary in campaigns for mine in summary["payouts"]]
    return {str(old): str(new) for old, new in succession_on(scientist.market).followed(mines).items()}


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


def _age_problem(records: Records, state: BountyState | None) -> str:
    try:
        records.check_age(*(state.model_digest, state.round) if state else ())
    except JournalError as older:
        return f"{older}: {older.hint}"
    return ""


def print_status(document: dict[str, Any], *, wide: bool = False) -> None:
    """Print what `status_of` returned."""
    balance_wei = document["balance_wei"]
    have = "the chain does not tell" if balance_wei is None else format_wei(balance_wei)
    posted = [each for each in document["campaigns"] if each["status"] != "not posted"]
    waiting = ", ".join(each["name"] for each in document["campaigns"] if each not in posted)
    print_named(
        [
            ("account", f"{document['address']}: {have}"),
            *(("token", one["told"]) for one in document["tokens"]),
            *(("former", one.told("pysonar rotate --account --move")) for one in document["former"]),
            ("home", document["home"]),
            ("network", document["network"]),
            ("problem", document["problem"]),
            ("not posted", waiting and f"{waiting}; `pysonar resume NAME` posts it"),
        ]
    )
    if not document["campaigns"] and not document["damaged"]:
        print(with_home("no bounty yet; start one: `pysonar run bounty.toml`"))
    for summary in posted:
        print()
        print_result(summary, wide=wide)
    if document["followed"]:
        print()
        print_named([("mine", f"{old} goes on as {new}") for old, new in document["followed"].items()])
    for one in document["damaged"]:
        print()
        print_named([("damaged", one["name"]), ("problem", one["error"]), ("hint", one["hint"])])


def print_result(summary: dict[str, Any], *, wide: bool = False) -> None:
    """Print one campaign: its rounds, what each mine was paid, and where the money went."""
    ended = f" ({summary['closed'].lower().replace('_', ' ')})" if summary["closed"] else ""
    now, unit = summary.get("now"), Unit(**summary["asset"])
    lines = [
        ("bounty", f"{summary['name']}: {summary['status']}{ended}"),
        ("id", summary["bounty"] or ""),
        ("now", _now_in_words(now) if now else ""),
        ("problem", summary.get("problem") or ""),
        (
            "escrow",
            f"{format_amount(summary['escrow_units'], unit)}, "
            f"paid {format_amount(summary['paid_units'], unit)}, "
            f"came back {format_amount(summary['refunded_units'], unit)}",
        ),
        ("target", in_words(summary["target"])),
        ("best", in_words(summary["final"]) if summary["final"] != summary["initial"] else ""),
        *(("key", _key_in_words(key)) for key in summary.get("keys", [])),
    ]
    print_named(lines)
    print()
    _print_rounds(summary, unit)
    if summary["payouts"]:
        print()
        _print_payouts(summary["payouts"], unit, wide=wide)


def _key_in_words(key: BountyKey) -> str:
    """Which rounds a key has, and what it is still for."""
    first, last = key.first_round, key.last_round
    rounds = "no round yet" if key.state == "asked for" else "no round"
    if first:
        rounds = f"from round {first} on" if not last else f"rounds {first} to {last}"
        rounds = f"round {first}" if first == last else rounds
    return f"{key.fingerprint[:16]}: {rounds}, {key.state}"


def _now_in_words(now: dict[str, Any]) -> str:
    return (
        f"round {now['round']}: {now['status'].lower()}, {now['committed']} committed, "
        f"{now['revealed']} revealed"
    )


def _print_rounds(summary: dict[str, Any], unit: Unit) -> None:
    start, lines = summary["initial"], summary["rounds"]
    if not summary["metric"]:
        _print_study_rounds(lines, unit)
        return
    name, paid = in_column([line["paid_units"] for line in lines], unit)
    rows = [["start", *cells(start, start), "", ""]]
    for line, amount in zip(lines, paid, strict=True):
        shown = cells(line["figures"], start)
        if line["loss"] is None:
            shown[0] = line["ended"]
        rows.append([str(line["round"]), *shown, f"{len(line['accepted'])} of {len(line['cohort'])}", amount])
    headings = ["round", *map(heading, start), "accepted", f"paid\n{name}"]
    print_table(headings, rows, right=headings, spare=[*headings[3:-2], "accepted"])
    _print_left_out(lines)


def _print_study_rounds(lines: list[dict[str, Any]], unit: Unit) -> None:
    """What each round of a study has brought."""
    name, paid = in_column([line["paid_units"] for line in lines], unit)
    rows = [
        [
            str(line["round"]),
            line["told"] or (line["ended"] if line["loss"] is None else "nothing was opened"),
            f"{len(line['accepted'])} of {len(line['cohort'])}",
            amount,
        ]
        for line, amount in zip(lines, paid, strict=True)
    ]
    headings = ["round", "brought", "accepted", f"paid\n{name}"]
    print_table(headings, rows, right=[headings[0], *headings[2:]], spare=["accepted"])
    _print_left_out(lines)


def _print_left_out(lines: list[dict[str, Any]]) -> None:
    left_out = [
        (f"round {line['round']}", f"left out {short(mine)}: {why}")
        for line in lines
        for mine, why in line["left_out"].items()
    ]
    print_named(left_out)


_PAYOUTS = {
    "fees": "fee_units",
    "rewards": "reward_units",
    "forfeits": "forfeit_units",
    "stakes back": "stake_units",
}


def _print_payouts(payouts: dict[str, dict[str, int]], unit: Unit, *, wide: bool) -> None:
    """What each mine was credited, the best paid first; without columns of zeros."""
    mines = sorted(payouts, key=lambda mine: -payouts[mine]["fee_units"] - payouts[mine]["reward_units"])
    columns = {"mine": [mine if wide else short(mine) for mine in mines]}
    for told, part in _PAYOUTS.items():
        amounts = [payouts[mine][part] for mine in mines]
        if any(amounts):
            name, shown = in_column(amounts, unit)
            columns[f"{told}\n{name}"] = shown
    headings = list(columns)
    print_table(headings, list(zip(*columns.values(), strict=True)), right=headings[1:], wide=wide)
