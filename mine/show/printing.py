"""Documents as people read them: tables, and a mine's standing in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mine.show.documents import Income, MineStatus
from sonar.protocol.ids import ETHER
from sonar.telling import tables
from sonar.telling.amounts import format_wei
from sonar.telling.text import clock, printable, short

# Which fields a table shows, and their headings.
DATASETS = {"name": "data", "rows": "rows", "columns": "columns", "used": "rounds used", "source": "source"}
FIT = {"name": "data", "fits": "fits", "problem": "problem", "hint": "what to do"}
BOUNTIES = {
    "bounty": "bounty",
    "name": "name",
    "status": "status",
    "round": "round",
    "ends": "until",
    "mines": "mines",
    "stake": "stake",
    "fee": "fee",
    "reward": "reward",
    "key_bits": "key",
    "needs": "features",
    "feature_map": "feature map",
    "data": "your data",
}
JOINED = {
    "bounty": "bounty",
    "data": "data",
    "rows": "rows",
    "blindings": "blindings per update",
    "idle_s": "idle seconds for them",
}
_STATUS = {
    "bounty": "bounty",
    "data": "data",
    "status": "status",
    "round": "round",
    "state": "yours",
    "ends": "until",
    "revealed": "told",
}
_EARNINGS = {
    "bounty": "bounty",
    "round": "round",
    "state": "result",
    "share_bps": "bps",
    "fee_units": "fee",
    "reward_units": "reward",
    "forfeit_units": "forfeits",
    "stake_back_units": "stake back",
    "stake_lost_units": "stake lost",
    "gas_wei": "gas",
    "net_units": "net",
    "why": "why",
}
_TOKEN_EARNINGS = {"asset": "in units of"} | _EARNINGS


def print_status(document: MineStatus) -> None:
    """Show a status document to a person."""
    print(f"mine      {document.address} on {printable(document.network)}")
    working = f"process {printable(document.process)} works on this home"
    print(f"run       {working if document.process else 'nothing works on this home (mine run)'}")
    if document.problem:
        print(f"chain     {printable(document.problem)}\n          what follows is this home's own record")
    else:
        print(f"account   {format_wei(document.ether_wei or 0)} at block {document.block}", end="")
        print(f"; {format_wei(document.withdrawable_wei or 0)} to withdraw (mine claim)")
        for one in document.tokens or ():
            print(f"token     {one.told} (mine claim --asset {one.asset})")
    if ipfs := document.ipfs:
        state = f"{ipfs['peers']} peers" if ipfs["running"] else "not running (mine run)"
        print(f"ipfs      {ipfs['peer_id'] or 'no identity yet'}, {state}")
    for data in document.data:
        used = f"used in {data.used} of {data.max_rounds} rounds"
        print(f"data      {data.name}: {data.rows} rows, {used}")
    rows = [
        {**vars(one), "revealed": f"{one.revealed.updates} updates, {one.revealed.bits} bits"}
        for one in document.bounties
    ]
    if rows:
        print_table(rows, _STATUS)
        print("told: encrypted updates, of which the scientist sees the sum over each cohort; and at most so")
        print("many bits of its own per mine, by scores of 16 bits and by rounds without a share.")
    else:
        print("bounties  none joined (mine bounties, mine join BOUNTY)")
    for refused in document.refused:
        print(f"refused   {short(refused.bounty)}: {printable(refused.error)}")
        print(f"          {printable(refused.hint)}")


def print_earnings(document: Income) -> None:
    """Show an earnings document to a person. Rounds paid in a token are told in its smallest unit."""
    for rows in (
        [vars(row) for row in document.rounds if (row.asset == ETHER) is in_ether]
        for in_ether in (True, False)
    ):
        if rows:
            print_table(rows, _EARNINGS if rows[0]["asset"] == ETHER else _TOKEN_EARNINGS)
    print(f"net           {format_wei(document.net_wei)} (fees + rewards + forfeits - lost stakes - gas)")
    if document.problem:
        print(f"chain         {printable(document.problem)}")
        print("              what is shown is this home's own record")
        return
    print(f"to withdraw   {format_wei(document.withdrawable_wei or 0)} (mine claim), stakes included")
    print(f"withdrawn     {format_wei(document.withdrawn_wei or 0)}, stakes included")
    for one in document.tokens:
        print(f"token         {one.told} (mine claim --asset {one.asset})")


def print_table(rows: Sequence[Mapping[str, Any]], columns: dict[str, str]) -> None:
    """Print rows as a table, without columns of zeros, or of reasons where there is none."""
    shown = [
        key for key in columns if not key.endswith(("_units", "_wei", "why")) or any(row[key] for row in rows)
    ]
    tables.print_table(
        [columns[key] for key in shown],
        [[_cell(key, row[key], row) for key in shown] for row in rows],
        right=[columns[key] for key in shown if key.endswith(("_units", "_wei", "_bps", "rows"))],
    )


def _cell(key: str, value: Any, row: Mapping[str, Any]) -> str:
    if key.endswith(("_units", "_wei")):
        in_ether = key.endswith("_wei") or row.get("asset", ETHER) == ETHER
        return format_wei(value) if in_ether else str(value)
    if key in ("bounty", "asset"):
        return short(value)
    if key == "ends":
        return clock(value) if value else ""
    if key == "data" and not value and row.get("problem"):
        return f"none: {row['problem']}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
