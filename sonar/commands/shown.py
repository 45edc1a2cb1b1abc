"""What `sonar status` shows people: a table of bounties, or one bounty's rounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from sonar.protocol.ids import ETHER
from sonar.protocol.phase import NOBODY
from sonar.telling.amounts import Unit, in_column
from sonar.telling.bounties import BountyFacts, BountyHistory, RoundFacts
from sonar.telling.figures import cells, heading, in_words
from sonar.telling.tables import print_named, print_table, print_text
from sonar.telling.text import clock, short

_LOSS = "loss, % of\nnull model's"


def show(found: Sequence[BountyFacts], *, wide: bool = False) -> None:
    """Print a table of bounties for each asset that they pay in."""
    if not found:
        print("No bounty was posted yet. `pysonar run bounty.toml` posts one.")
        return
    for unit, same in groupby(sorted(found, key=_by_asset), _unit_of):
        if unit.asset != ETHER:
            print(f"\npaid in {unit.name}:")
        _show_bounties(list(same), unit, wide=wide)
    changed = dict(each for one in found for each in one.followed.items())
    print_named([("account", f"{old} goes on as {new}") for old, new in changed.items()])
    print_text("loss: of the best model so far; the null model always predicts the mean")


def _by_asset(one: BountyFacts) -> tuple[bool, str]:
    return one.asset != ETHER, one.asset


def _unit_of(one: BountyFacts) -> Unit:
    return Unit(one.asset, one.symbol, one.decimals)


def _show_bounties(found: Sequence[BountyFacts], unit: Unit, *, wide: bool) -> None:
    name, escrow = in_column([one.escrow_units for one in found], unit)
    ends = f"escrow\n{name}"
    columns = {
        "bounty": [one.bounty if wide else short(one.bounty) for one in found],
        "status": [one.status for one in found],
        "until": ["" if one.until_s is None else clock(one.until_s) for one in found],
        "round": [f"{one.round}/{one.rounds}" for one in found],
        "committed": [f"{one.committed}/{one.cohort_cap}" for one in found],
        "revealed": [str(one.revealed) for one in found],
        _LOSS: [_percent(one.best_loss) for one in found],
        ends: escrow,
        "open to": ["named mines" if one.by_name else "all" for one in found],
    }
    if not any(columns["until"]):
        del columns["until"]
    if not any(one.by_name for one in found):
        del columns["open to"]
    print_table(
        list(columns),
        list(zip(*columns.values(), strict=True)),
        right=("round", "committed", "revealed", _LOSS, ends),
        spare=("revealed", "open to", "committed", ends),
        wide=wide,
    )


def _percent(loss: int) -> str:
    """A loss on the chain, in millionths of the null model's, in per cent of it."""
    return f"{loss / 10_000:,.2f}"


def show_history(told: BountyHistory, *, wide: bool = False) -> None:
    """Print one bounty: where it stands, a line for each round, and who was left out of it and why."""
    print_named(_standing(told))
    if told.history:
        print()
        _show_rounds(told.history, _unit_of(told), wide=wide)
    print_named(
        (f"round {one.round}", f"left out {mine if wide else short(mine)}: {why}")
        for one in told.history
        for mine, why in one.left_out.items()
    )
    print_named([("account", f"{old} goes on as {new}") for old, new in told.followed.items()])
    print_named([("problem", told.problem)])


def _standing(told: BountyHistory) -> Iterable[tuple[str, str]]:
    closed = next((one.reason for one in told.events if one.event == "BountyClosed"), "")
    posted = next((one.escrow_units for one in told.events if one.event == "BountyPosted"), None)
    name, amounts = in_column([told.escrow_units, posted or 0], _unit_of(told))
    left = "" if told.until_s is None else f" until {clock(told.until_s)}, {told.until_s - told.now_s} s left"
    yield "bounty", told.bounty
    yield "name", told.name
    yield "scientist", told.scientist
    why = f" ({closed.replace('_', ' ')})" if closed else ""
    yield "status", f"{told.status}{left}{why}"
    yield "round", f"{told.round} of at most {told.rounds}"
    if told.status != "closed":
        yield "mines", f"{told.committed} of at most {told.cohort_cap} committed, {told.revealed} revealed"
    yield "open to", "mines that are named" if told.by_name else ""
    yield "settler", "" if told.settler == NOBODY else f"{told.settler} signs each settlement too"
    yield "escrow", f"{amounts[0]} {name}" + ("" if posted is None else f" left of {amounts[1]} {name}")
    asset = _unit_of(told)
    yield "token", "" if told.asset == ETHER else f"{asset.symbol or 'without a name'}, {told.asset}"
    if told.best:
        yield "start", in_words(told.initial)
        yield "best", in_words(told.best)
        yield "target", in_words(told.target)
    else:
        ends = f"{_percent(told.initial_loss)} at first, {_percent(told.best_loss)} at best"
        yield "loss", f"{ends}; the target is {_percent(told.target_loss)} (in % of the null model's)"


def _show_rounds(rounds: Sequence[RoundFacts], unit: Unit, *, wide: bool) -> None:
    names = next((list(one.figures) for one in rounds if one.figures), [])
    name, paid = in_column([one.earned_units for one in rounds], unit)
    figures = [cells(one.figures, names) for one in rounds]
    columns = {
        "round": [str(one.round) for one in rounds],
        "ended": [one.ended or "goes on" for one in rounds],
        "at": ["" if one.ended_s is None else clock(one.ended_s) for one in rounds],
        "revealed": [f"{one.revealed} of {one.committed}" for one in rounds],
        "accepted": ["" if one.accepted is None else str(one.accepted) for one in rounds],
        _LOSS: ["" if one.loss is None else _percent(one.loss) for one in rounds],
        **{heading(each): [row[i] for row in figures] for i, each in enumerate(names)},
        f"paid\n{name}": paid,
        "transaction": [_hash(one, wide=wide) for one in rounds],
    }
    columns = {each: shown for each, shown in columns.items() if any(shown)}
    if names:
        columns.pop(_LOSS, None)
    left = {"ended", "at", "transaction"}
    print_table(
        list(columns),
        list(zip(*columns.values(), strict=True)),
        right=[each for each in columns if each not in left],
        spare=[each for each in ("revealed", "MSE", "at", "transaction") if each in columns],
        wide=wide,
    )


def _hash(one: RoundFacts, *, wide: bool) -> str:
    return (one.tx_hash if wide else short(one.tx_hash)) if one.tx_hash else ""
