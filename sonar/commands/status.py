"""`sonar status`: the bounties of a network, from the chain; why mines were left out, from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.telling.bounties import BountyFacts, BountyHistory, RoundFacts
from sonar.telling.terminal import JsonFlag, WideFlag, print_json

if TYPE_CHECKING:
    from sonar.chain.contract.market import Market
    from sonar.home.settings import NetworkConfig
    from sonar.manifests.model import ModelManifest
    from sonar.protocol.events import BountyPosted
    from sonar.protocol.fold import RoundRecord
    from sonar.protocol.ids import Address, BountyId, Digest
    from sonar.protocol.phase import BountyState
    from sonar.store.choose import OpenStore
    from sonar.telling.amounts import Unit


def status(
    bounty: Annotated[
        str | None,
        typer.Argument(help="A bounty's id in hex, or its first digits, for its rounds. Default: all."),
    ] = None,
    network: NetworkOption = None,
    wide: WideFlag = False,
    json: JsonFlag = False,
) -> None:
    """Show the network's bounties: status, round, deadlines and escrow; or one bounty's rounds.

    Everything comes from the chain, and anybody can see it. For one bounty, also who was left out of a round
    and why, if the network's store can be read from here. Needs no key.

    Examples: `sonar status --network ./net/network.toml`, `sonar status 0x3fd1`
    """
    from sonar.chain.contract.market import Market
    from sonar.commands.shown import show, show_history
    from sonar.protocol.ids import parse_bounty
    from sonar.telling.progress import PlainSink, Progress

    config = load_network(network)
    market = Market.connect(config, progress=Progress(PlainSink()))
    units: dict[Address, Unit] = {}
    if bounty is None:
        found = [_facts(market, market.bounty(posted.bounty), units) for posted in market.bounties()]
        followed = _followed(market, [one.scientist for one in found])
        found = [replace(one, followed=_of(followed, [one.scientist])) for one in found]
        if json:
            print_json(found)
        else:
            show(found, wide=wide)
        return
    # A whole id needs no search.
    identity = parse_bounty(bounty) if len(bounty) >= 64 else market.posted(bounty).bounty
    told = history(config, market, identity, units)
    if json:
        print_json(told)
    else:
        show_history(told, wide=wide)


def _facts(market: Market, state: BountyState, units: dict[Address, Unit]) -> BountyFacts:
    """What to show of a bounty. `units` are those of the assets met before."""
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
        symbol=units[terms.asset].symbol,
        decimals=units[terms.asset].decimals,
    )


def _followed(market: Market, accounts: Sequence[Address]) -> dict[str, str]:
    """Return which of these accounts go on under another one; none if the node does not tell."""
    from sonar.chain.deploying.succession import succession_on
    from sonar.errors import RemoteError

    try:
        return {str(old): str(new) for old, new in succession_on(market).followed(accounts).items()}
    except RemoteError:
        return {}


def _of(followed: dict[str, str], accounts: Sequence[Address]) -> dict[str, str]:
    return {account: followed[account] for account in accounts if account in followed}


def history(
    network: NetworkConfig, market: Market, bounty: BountyId, units: dict[Address, Unit]
) -> BountyHistory:
    """Return a bounty with its rounds and events: the chain's record, and what the store says of it."""
    from sonar.protocol.fold import fold
    from sonar.telling.bounties import record_of

    facts = _facts(market, market.bounty(bounty), units)
    events = market.events(market.deployed_block, bounty=bounty)
    records = list(fold(events).values())
    times = _times(market, [one.ended_block for one in records if one.ended_block is not None])
    own = {one.name: getattr(facts, one.name) for one in fields(facts)}
    mines = [mine for record in records for mine in record.commits]
    own["followed"] = _followed(market, [facts.scientist, *mines])
    told = BountyHistory(
        **own,
        history=[_round(record, times) for record in records],
        events=[record_of(event) for event in events],
    )
    posted = next((event for event in events if type(event).__name__ == "BountyPosted"), None)
    return told if posted is None else _with_store(told, network, posted, records)  # type: ignore[arg-type]


def _times(market: Market, blocks: Sequence[int]) -> dict[int, int]:
    """When these blocks were made, in chain seconds; without those that the node does not give."""
    from sonar.chain.rpc import Request, fields_of, quantity
    from sonar.errors import RpcError

    wanted = sorted(set(blocks))
    asked = [Request("eth_getBlockByNumber", (hex(number), False)) for number in wanted]
    times = {}
    for number, answer in zip(wanted, market.rpc.batch(*asked) if asked else [], strict=True):
        try:
            (times[number],) = fields_of(answer, "a block", timestamp=quantity)
        except RpcError:
            continue
    return times


def _round(record: RoundRecord, times: dict[int, int]) -> RoundFacts:
    settled, fixed = record.settled, record.fixed
    ending = settled or record.failed or record.closed
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
        tx_hash=ending.tx_hash if ending and record.ended else None,
        ended_s=times.get(record.ended_block) if record.ended_block is not None else None,
    )


def _with_store(
    told: BountyHistory, network: NetworkConfig, posted: BountyPosted, records: Sequence[RoundRecord]
) -> BountyHistory:
    """The same with the model's name, its figures, and the evidence of each round, as far as it is there."""
    from sonar.errors import EnvironmentFault, RemoteError, UsageError

    try:
        opened = store_of(network)
        try:
            return _read(told, opened, posted, records)
        finally:
            opened.close()
    except (EnvironmentFault, RemoteError, UsageError) as fault:
        parts = (f"the store does not show who was left out: {fault}", fault.hint)
        return replace(
            told,
            problem="; ".join(filter(None, parts)),
        )


def store_of(network: NetworkConfig) -> OpenStore:
    """Open the store without a node of its own. Raises ConfigError where that cannot be."""
    from pathlib import Path

    from sonar.errors import ConfigError
    from sonar.store.choose import API_VARIABLE, open_store, running_api
    from sonar.telling.progress import Progress

    if network.store.kind == "folder" and not Path(network.store.path).is_dir():
        problem = f"its folder {network.store.path} is not on this machine"
        raise ConfigError("store", problem, hint="ask where the chain runs")
    if network.store.kind == "kubo" and not running_api(network.store):
        problem = "it is a private IPFS swarm, and no running node is named"
        raise ConfigError("store", problem, hint=f"name one by {API_VARIABLE}")
    return open_store(network.store, Path(), Progress())


def _read(
    told: BountyHistory, opened: OpenStore, posted: BountyPosted, records: Sequence[RoundRecord]
) -> BountyHistory:
    """The store's first fault ends the reading; what was read before is kept."""
    from sonar.errors import EnvironmentFault, RemoteError
    from sonar.manifests.evidence import EvidenceManifest
    from sonar.manifests.model import ModelManifest
    from sonar.protocol.ids import Cid

    def get(digest: Digest, most: int) -> bytes:
        return opened.store.get(Cid("dag-cbor", digest), most)

    model = ModelManifest.from_bytes(get(posted.model_digest, ModelManifest.max_bytes))
    rounds, problem = [], ""
    for one, record in zip(told.history, records, strict=True):
        found = replace(one, figures=_figures(model, one.loss))
        if record.settled and not problem:
            try:
                raw = get(record.settled.evidence_digest, EvidenceManifest.max_bytes)
                cohort = EvidenceManifest.from_bytes(raw).cohort
                left_out = {str(member.mine): member.reason for member in cohort if not member.accepted}
                found = replace(found, accepted=len(cohort) - len(left_out), left_out=left_out)
            except (EnvironmentFault, RemoteError) as fault:
                problem = f"the evidence of round {one.round} cannot be read: {fault}"
        rounds.append(found)
    return replace(
        told,
        name=model.name,
        history=rounds,
        problem=problem,
        initial=_figures(model, told.initial_loss),
        best=_figures(model, told.best_loss),
        target=_figures(model, told.target_loss),
    )


def _figures(model: ModelManifest, loss: int | None) -> dict[str, float]:
    """What a round's loss says in people's units; nothing of another loss than the squared one."""
    from sonar.families.quadratic.spec import QuadraticSpec
    from sonar.telling.figures import of_squared

    spec = model.family
    if loss is None or not isinstance(spec, QuadraticSpec) or spec.loss != "squared":
        return {}
    scales = [target.scale for target in spec.targets]
    return of_squared(loss, scales[0] ** 2 if len(scales) == 1 else None)
