"""Documents as people read them: tables, and a mine's standing in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mine.show.cover import in_lines, price_lines
from mine.show.documents import Income, JoinedFacts, MineStatus, OfferFacts, RoundIncome, Standing
from mine.show.record import in_words
from sonar.frozen import frozen
from sonar.protocol.ids import ETHER, Address
from sonar.telling.amounts import IN_ETHER, Unit, format_wei, in_column
from sonar.telling.tables import print_named, print_table, print_text
from sonar.telling.text import clock, count, printable, short, span

if TYPE_CHECKING:
    from mine.data.dataset import DataSet


@frozen
class Layout:
    """A table of documents: the fields that it shows by their headings, and how `print_table` treats them."""

    headings: Mapping[str, str]
    right: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()


DATASETS = Layout(
    {
        "name": "data",
        "rows": "rows",
        "used": "rounds\nused",
        "budget": "epsilon\nspent",
        "columns": "columns",
        "source": "source",
    },
    right=("rows", "used"),
    texts=("columns", "source"),
    spare=("source",),
)
FIT = Layout(
    {"name": "data", "fits": "fits", "problem": "problem", "hint": "what to do"}, texts=("problem", "hint")
)
JOINED = Layout(
    {
        "bounty": "bounty",
        "data": "data",
        "rows": "rows",
        "blindings": "blindings\nper update",
        "idle_s": "idle time\nfor them, s",
    },
    right=("rows", "blindings", "idle_s"),
)
_OFFERS = Layout(
    {
        "bounty": "bounty",
        "name": "name",
        "status": "phase",
        "ends": "until",
        "round": "round",
        "mines": "mines",
        "stake_units": "stake",
        "fee_units": "fee",
        "reward_units": "reward",
        "data": "your data",
    },
    right=("round", "mines"),
    texts=("data",),
    spare=("status", "mines", "round", "name"),
)
_STATUS = Layout(
    {
        "bounty": "bounty",
        "data": "data",
        "status": "status",
        "round": "round",
        "state": "yours",
        "ends": "until",
        "updates": "updates\ntold",
        "bits": "bits\ntold",
    },
    right=("round", "updates", "bits"),
    texts=("data",),
    spare=("data", "updates", "ends"),
)
_EARNINGS = Layout(
    {
        "round": "round",
        "state": "result",
        "share_bps": "share\n%",
        "fee_units": "fee",
        "reward_units": "reward",
        "forfeit_units": "forfeits",
        "stake_lost_units": "stake lost",
        "gas_wei": "gas",
        "net_units": "net",
        "stake_back_units": "stake back",
    },
    right=("round", "share_bps"),
    spare=("stake_back_units", "gas_wei", "share_bps", "forfeit_units"),
)


def print_status(document: MineStatus, *, wide: bool = False) -> None:
    """Show a status document to a person."""
    print_named(_standing(document))
    if document.bounties:
        print()
        print_rows([_told(one) for one in document.bounties], _STATUS, wide=wide)
        print_text(
            "told: encrypted updates, of which the scientist sees the sum over each cohort; and at most "
            "this many bits per mine, by scores of 16 bits and by rounds without a share"
            + (", or by all that capsules may have told." if _has_veil(document.bounties) else ".")
        )
        print_covers([one for one in document.bounties if one.status not in ("closed", "left")], wide=wide)
    refused = [(short(one.bounty), f"refused: {one.error}\n{one.hint}".strip()) for one in document.refused]
    print_named(refused)


def _standing(document: MineStatus) -> Iterable[tuple[str, str]]:
    """The lines above the table, each by its name."""
    yield "mine", f"{document.address} on {document.network}"
    works = f"process {document.process} works on this home" if document.process else ""
    yield "run", works or "nothing works on this home (mine run)"
    if document.problem:
        yield "chain", f"{document.problem}\nwhat follows is this home's own record"
    else:
        have, owed = format_wei(document.ether_wei or 0), format_wei(document.withdrawable_wei or 0)
        yield "account", f"{have} at block {document.block}; {owed} to withdraw (mine claim)"
        for one in document.tokens or ():
            yield "token", f"{one.told} (mine claim --asset {one.asset})"
        for before in document.former or ():
            yield "former", before.told("mine claim --move")
    if ipfs := document.ipfs:
        state = count(ipfs["peers"], "peer") if ipfs["running"] else "not running (mine run)"
        yield "ipfs", f"{ipfs['peer_id'] or 'no identity yet'}, {state}"
    for data in document.data:
        yield (
            "data",
            f"{data.name}: {count(data.rows, 'row')}, used in {data.used} of {data.max_rounds} rounds"
            + (f"; epsilon spent: {data.budget} (mine privacy)" if data.budget else ""),
        )
    if not document.bounties:
        yield "bounties", "none joined (mine bounties, mine join BOUNTY)"


def _told(one: Standing) -> dict[str, Any]:
    return {**vars(one), "updates": one.revealed.updates, "bits": one.revealed.bits}


def _has_veil(bounties: Iterable[Standing]) -> bool:
    return any(one.cover is not None and one.cover.kind == "veil" for one in bounties)


def print_covers(bounties: Iterable[JoinedFacts | Standing], *, wide: bool = False) -> None:
    """Say of each bounty who could read an answer, and what is told of one."""
    for one in bounties:
        name = one.bounty if wide else short(one.bounty)
        print_named((name, line) for line in (in_lines(one.cover) if one.cover else ()))


def print_offers(offers: Sequence[OfferFacts], *, wide: bool = False) -> None:
    """Show open bounties: a table for each asset that they pay in, and below it what each asks for."""
    for asset, same in groupby(sorted(offers, key=lambda one: (one.asset != ETHER, one.asset)), _asset_of):
        rows = list(same)
        unit = Unit(asset, rows[0].symbol, rows[0].decimals)
        if asset != ETHER:
            print(f"\npaid in {unit.name}:")
        print_rows([{**vars(one), "data": one.data or "none"} for one in rows], _OFFERS, unit, wide=wide)
    print()
    for one in offers:
        name = one.bounty if wide else short(one.bounty)
        print_named((name, text) for text in _asked(one))


def _asset_of(one: OfferFacts | RoundIncome) -> Address:
    return one.asset


def _asked(one: OfferFacts) -> Iterable[str]:
    """What a bounty asks of a mine, and why this one's data will not do."""
    if one.record:
        yield f"scientist {one.scientist}: {in_words(one.record)}"
    if one.needs:
        yield f"needs {', '.join(one.needs)}; {one.asks}; key of {one.key_bits} bits"
    yield from in_lines(one.cover) if one.cover else ()
    yield from price_lines(one.price, one.costs) if one.price else ()
    yield (
        f"a scientist who does not settle within {span(one.windows_s[2])} pays {one.overdue_bps / 100:g}% of "
        "the unpaid reward, in equal parts to the mines that revealed"
    )
    if one.problem:
        yield f"not for you: {one.problem}"
        yield one.hint


def print_earnings(document: Income, *, wide: bool = False) -> None:
    """Show an earnings document to a person: a table for each bounty, in the unit that it pays in."""
    units = {one.asset: Unit(one.asset, one.symbol, one.decimals) for one in document.tokens}
    for bounty, same in groupby(document.rounds, lambda one: one.bounty):
        rows = list(same)
        unit = units.get(rows[0].asset, Unit(rows[0].asset))
        paid = "" if unit.asset == ETHER else f", paid in {unit.name}"
        print(f"bounty {bounty if wide else short(bounty)}{paid}")
        print_rows([vars(row) for row in rows], _EARNINGS, unit, wide=wide)
        print_named((f"round {row.round}", row.why) for row in rows)
        print()
    print_named(_sums(document))


def _sums(document: Income) -> Iterable[tuple[str, str]]:
    """The totals of all rounds."""
    yield "net", f"{format_wei(document.net_wei)} (fees + rewards + forfeits - lost stakes - gas)"
    if document.problem:
        yield "chain", f"{document.problem}\nwhat is shown is this home's own record"
        return
    yield "to withdraw", f"{format_wei(document.withdrawable_wei or 0)} (mine claim), stakes included"
    yield "withdrawn", f"{format_wei(document.withdrawn_wei or 0)}, stakes included"
    for one in document.tokens:
        yield "token", f"{one.told} (mine claim --asset {one.asset})"


def print_rows(
    rows: Sequence[Mapping[str, Any]], layout: Layout, unit: Unit = IN_ETHER, *, wide: bool = False
) -> None:
    """Print rows as a table, amounts in `unit` and gas in ether's, without columns of nothing."""
    columns: dict[str, tuple[str, list[str]]] = {}
    for key, heading in layout.headings.items():
        values = [row[key] for row in rows]
        if not key.endswith(("_units", "_wei")):
            cells = [_cell(key, value, wide) for value in values]
            if any(cells):
                columns[key] = heading, cells
        elif any(values):
            name, cells = in_column(values, IN_ETHER if key.endswith("_wei") else unit)
            columns[key] = f"{heading}\n{name}", cells
    headings = {key: heading for key, (heading, _) in columns.items()}
    amounts = [key for key in columns if key.endswith(("_units", "_wei"))]
    print_table(
        list(headings.values()),
        list(zip(*(cells for _, cells in columns.values()), strict=True)),
        right=[headings[key] for key in (*layout.right, *amounts) if key in headings],
        texts=[headings[key] for key in layout.texts if key in headings],
        spare=[headings[key] for key in layout.spare if key in headings],
        wide=wide,
    )


def _cell(key: str, value: Any, wide: bool) -> str:
    if key in ("bounty", "asset"):
        return str(value) if wide else short(value)
    if key == "ends":
        return clock(value) if value else ""
    if key == "share_bps":
        return f"{value / 100:.2f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_added(dataset: DataSet) -> None:
    """Print what was registered, and what was left out of it."""
    columns = printable(", ".join(dataset.columns))
    print(f"{dataset.name}: {count(dataset.rows, 'row')}, columns {columns}")
    print_left_out(dataset)


def print_left_out(dataset: DataSet) -> None:
    """Print which columns of its source serve only bounties that say what they mean, and which none."""
    for column, why in dataset.left_out.items():
        told = "for bounties that declare it" if column in dataset.declarable else "left out"
        print(printable(f"{told}: column {column!r} ({why})"))
