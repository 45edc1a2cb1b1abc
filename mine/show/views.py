"""What the commands show: documents for `--json`, and tables made of them for people."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mine import consent
from mine.consent import Policy
from mine.show.earnings import Leak, Records, earnings, leak, leak_of_states, remembered
from mine.wiring import Mine
from mine.work import joining, trainer
from mine.work.pool import making_s
from mine.work.state import Book, Joined
from sonar.chain.contract import token
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.rpc import Head
from sonar.errors import ChainUnavailable, MarketError, RemoteError, RpcError, SonarError
from sonar.families.registry import family_of
from sonar.protocol.events import BountyPosted
from sonar.protocol.fold import fold
from sonar.protocol.ids import ETHER, Address, BountyId, hex32
from sonar.protocol.phase import BountyState, Deadlines, Status, deadlines_of, status_of
from sonar.store.choose import describe_node
from sonar.telling import tables
from sonar.telling.amounts import Unit, format_amount, format_wei
from sonar.telling.progress import clock, printable, short

Rows = list[dict[str, Any]]

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


def datasets(book: Book, policy: Policy) -> Rows:
    """Every registered data set, and how often it was used of how many times at most."""
    return [
        {**one.to_record(), "used": book.uses(one.digest), "max_rounds": policy.max_rounds}
        for one in book.datasets()
    ]


def fit(mine: Mine, posted: BountyPosted) -> Rows:
    """Every data set against one bounty, with all checks. Raises what is wrong with the bounty itself."""
    state = mine.market.bounty(posted.bounty)
    consent.check_bounty(state, mine.policy)
    task = trainer.read_task(mine.store, state, posted.model_digest, posted.key_digest, mine.policy)
    trainer.proof(task, mine.address)
    rows: Rows = []
    for dataset in mine.book.datasets():
        row: dict[str, Any] = {"name": dataset.name, "fits": True, "problem": "", "hint": ""}
        try:
            trainer.fits(task, dataset)
            trainer.prepare(task, dataset)
        except SonarError as error:
            row |= {"fits": False, "problem": str(error), "hint": error.hint}
        rows.append(row)
    return rows


def bounties(mine: Mine) -> Rows:
    """Every bounty that is not closed."""
    head, known = mine.market.head(), mine.book.datasets()
    offers = [
        joining.look_at(mine.market, mine.store, mine.address, mine.policy, known, posted)
        for posted in mine.market.bounties()
    ]
    return [
        _offer(offer, head, mine.unit(offer.state.terms.asset))
        for offer in offers
        if offer.status is not Status.CLOSED
    ]


def _offer(offer: joining.Offer, head: Head, unit: Unit) -> dict[str, Any]:
    terms, task = offer.state.terms, offer.task
    return {
        "bounty": hex32(offer.posted.bounty),
        "name": task.model.name if task else "",
        "scientist": offer.posted.scientist,
        "status": offer.status.name.lower(),
        "round": f"{offer.state.round}/{terms.rounds}",
        "ends": _ends(offer.state, offer.status),
        "mines": f"{offer.state.committed}/{terms.cohort_cap}",
        "windows_s": [terms.commit_window_s, terms.reveal_window_s, terms.settle_window_s],
        "asset": terms.asset,
        "stake": format_amount(terms.stake_units, unit),
        "fee": format_amount(terms.fee_units, unit),
        "reward": format_amount(terms.reward_units, unit),
        "stake_units": terms.stake_units,
        "fee_units": terms.fee_units,
        "reward_units": terms.reward_units,
        "key_bits": task.model.plan.key_bits if task else 0,
        "needs": list(task.columns) if task else [],
        "feature_map": family_of(task.model.family).in_words(task.model.family) if task else "",
        "data": list(offer.fitting) or f"none: {offer.problem}",
        "hint": offer.problem.hint if offer.problem else "",
        "chain_time_s": head.timestamp_s,
    }


def joined(mine: Mine, found: Sequence[Joined]) -> Rows:
    """Bounties that were just joined, and what an update takes of the idle time before it."""
    rows: Rows = []
    for one in found:
        task = joining.task_of(mine.market, mine.store, mine.policy, one)
        rows.append(
            {
                "bounty": hex32(one.bounty),
                "data": one.dataset.name,
                "rows": one.dataset.rows,
                "blindings": task.plan.ciphertexts,
                "idle_s": round(making_s(task.key.bits, task.plan.ciphertexts), 3),
            }
        )
    return rows


def status(mine: Mine) -> dict[str, Any]:
    """The mine, its bounties, its data, and what it told; without the chain, what the journal knows of it."""
    book = mine.book
    document = {
        "address": mine.address,
        "network": mine.network.name,
        "process": mine.home.worker(),
        "ipfs": describe_node(mine.network.store, mine.home.path),
        "data": datasets(book, mine.policy),
        "refused": [
            {"bounty": hex32(one.bounty), "error": one.error, "hint": one.hint} for one in book.refusals()
        ],
    }
    try:
        found, problem = _on_chain(mine), ""
    except (ChainUnavailable, RpcError) as fault:
        found, problem = {"bounties": [_remembered(book, one) for one in book.joined()]}, _why(fault)
    return document | {"problem": problem} | found | {"bounties": found["bounties"] + _left(book)}


def _why(fault: SonarError) -> str:
    return f"{fault}. {fault.hint}".rstrip()


def _on_chain(mine: Mine) -> dict[str, Any]:
    market, found = mine.market, mine.book.joined()
    head = market.head()
    records = fold(market.events(min(one.block for one in found), head.number) if found else [])
    return {
        "block": head.number,
        "chain_time_s": head.timestamp_s,
        "ether_wei": market.ether(mine.address),
        "withdrawable_wei": market.withdrawable(mine.address),
        "tokens": [_token(mine, asset) for asset in mine.tokens()],
        "bounties": [_standing(mine, one, head, records) for one in found],
    }


def _token(mine: Mine, asset: Address) -> dict[str, Any]:
    """What the mine has in a token, and what it is owed; null where the token does not answer."""
    unit = mine.unit(asset)
    have, owed = None, mine.market.withdrawable(mine.address, asset=asset)
    with suppress(RemoteError, MarketError):
        have = token.held(mine.market, asset, mine.address)
    return {
        "asset": asset,
        "held_units": have,
        "withdrawable_units": owed,
        "told": f"{'?' if have is None else format_amount(have, unit)}; "
        f"{format_amount(owed, unit)} to withdraw",
    }


def _remembered(book: Book, one: Joined) -> dict[str, Any]:
    """What this home's own record tells of a joined bounty."""
    return _record(book, one.bounty, one.dataset.name, "closed" if one.over else "unknown")


def _left(book: Book) -> Rows:
    """The same of those that it worked in and then left: what was revealed stays revealed."""
    joined = {one.bounty for one in book.joined()}
    left = dict.fromkeys(part.bounty for part in book.parts() if part.bounty not in joined)
    return [_record(book, bounty, "", "left") for bounty in left]


def _record(book: Book, bounty: BountyId, data: str, status: str) -> dict[str, Any]:
    parts = book.parts(bounty)
    return {
        "bounty": hex32(bounty),
        "data": data,
        "status": status,
        "round": str(parts[-1].round) if parts else "",
        "state": parts[-1].state.value if parts else "",
        "ends": None,
        "states": {str(part.round): part.state.value for part in parts},
        "revealed": _told(leak_of_states([part.state for part in parts])),
    }


def _told(told: Leak) -> dict[str, int]:
    return {
        "updates": told.rounds,
        "score_bits": told.score_bits,
        "no_share": told.no_share,
        "bits": told.bits,
    }


def _standing(mine: Mine, one: Joined, head: Head, records: Records) -> dict[str, Any]:
    try:
        state = mine.market.bounty(one.bounty, at=head)
    except UnknownBounty:  # it was joined on another network, before this home took over a new network file
        return _remembered(mine.book, one)
    phase = status_of(state, head.timestamp_s)
    told = leak(records, one.bounty, mine.address)
    return {
        "bounty": hex32(one.bounty),
        "data": one.dataset.name,
        "status": phase.name.lower(),
        "round": f"{state.round}/{state.terms.rounds}",
        "state": mine.book.part(one.bounty, state.round).state.value,
        "ends": _ends(state, phase),
        "states": {str(part.round): part.state.value for part in mine.book.parts(one.bounty)},
        "revealed": _told(told),
    }


def _ends(state: BountyState, phase: Status) -> int | None:
    """Chain time at which the phase ends by itself, if it does."""
    ends: Deadlines = deadlines_of(state)
    return {Status.COMMIT: ends.commit_s, Status.REVEAL: ends.reveal_s, Status.SETTLE: ends.settle_s}.get(
        phase
    )


def print_status(document: dict[str, Any]) -> None:
    """Show a status document to a person."""
    print(f"mine      {document['address']} on {printable(document['network'])}")
    working = f"process {printable(document['process'])} works on this home"
    print(f"run       {working if document['process'] else 'nothing works on this home (mine run)'}")
    if document["problem"]:
        print(f"chain     {printable(document['problem'])}\n          what follows is this home's own record")
    else:
        print(f"account   {format_wei(document['ether_wei'])} at block {document['block']}", end="")
        print(f"; {format_wei(document['withdrawable_wei'])} to withdraw (mine claim)")
        for one in document["tokens"]:
            print(f"token     {one['told']} (mine claim --asset {one['asset']})")
    if ipfs := document["ipfs"]:
        state = f"{ipfs['peers']} peers" if ipfs["running"] else "not running (mine run)"
        print(f"ipfs      {ipfs['peer_id'] or 'no identity yet'}, {state}")
    for one in document["data"]:
        used = f"used in {one['used']} of {one['max_rounds']} rounds"
        print(f"data      {one['name']}: {one['rows']} rows, {used}")
    rows = [
        {**one, "revealed": f"{one['revealed']['updates']} updates, {one['revealed']['bits']} bits"}
        for one in document["bounties"]
    ]
    if rows:
        print_table(rows, _STATUS)
        print("told: encrypted updates, of which the scientist sees the sum over each cohort; and at most so")
        print("many bits of its own per mine, by scores of 16 bits and by rounds without a share.")
    else:
        print("bounties  none joined (mine bounties, mine join BOUNTY)")
    for one in document["refused"]:
        print(
            f"refused   {short(one['bounty'])}: {printable(one['error'])}\n          {printable(one['hint'])}"
        )


def income(mine: Mine) -> dict[str, Any]:
    """What was earned, by the chain's record; without the chain, by this home's."""
    try:
        document = earnings(mine.market, mine.book, mine.address, mine.tokens()).to_json()
        for one in document["tokens"]:
            one |= _told_token(one, mine.unit(one["asset"]))
    except (ChainUnavailable, RpcError) as fault:
        return remembered(mine.book, mine.address, _why(fault)).to_json()
    return document


def _told_token(one: dict[str, Any], unit: Unit) -> dict[str, Any]:
    """A token's amounts in words."""
    names = {
        "net_units": "net, before gas",
        "withdrawable_units": "to withdraw",
        "withdrawn_units": "withdrawn",
    }
    told = [f"{format_amount(one[key], unit)} {text}" for key, text in names.items() if one[key] is not None]
    return {"unit": unit.name, "told": ", ".join(told)}


def print_earnings(document: dict[str, Any]) -> None:
    """Show an earnings document to a person. Rounds paid in a token are told in its smallest unit."""
    for rows in (
        [row for row in document["rounds"] if (row["asset"] == ETHER) is in_ether]
        for in_ether in (True, False)
    ):
        if rows:
            print_table(rows, _EARNINGS if rows[0]["asset"] == ETHER else _TOKEN_EARNINGS)
    print(f"net           {format_wei(document['net_wei'])} (fees + rewards + forfeits - lost stakes - gas)")
    if document["problem"]:
        print(f"chain         {printable(document['problem'])}")
        print("              what is shown is this home's own record")
        return
    print(f"to withdraw   {format_wei(document['withdrawable_wei'])} (mine claim), stakes included")
    print(f"withdrawn     {format_wei(document['withdrawn_wei'])}, stakes included")
    for one in document["tokens"]:
        print(f"token         {one['told']} (mine claim --asset {one['asset']})")


def print_table(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """Print rows as a table, without columns of zeros, or of reasons where there is none."""
    shown = [
        key for key in columns if not key.endswith(("_units", "_wei", "why")) or any(row[key] for row in rows)
    ]
    tables.print_table(
        [columns[key] for key in shown],
        [[_cell(key, row[key], row.get("asset", ETHER)) for key in shown] for row in rows],
        right=[columns[key] for key in shown if key.endswith(("_units", "_wei", "_bps", "rows"))],
    )


def _cell(key: str, value: Any, asset: str) -> str:
    if key.endswith(("_units", "_wei")):
        return format_wei(value) if asset == ETHER or key.endswith("_wei") else str(value)
    if key in ("bounty", "asset"):
        return short(value)
    if key == "ends":
        return clock(value) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
