"""The report of a run, from the chain's events and receipts and from the store, trusting no party."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sonar.chain.contract import sent
from sonar.chain.contract.market import Market
from sonar.chain.rpc import Request, fields_of, quantity
from sonar.chain.signatures import signers_of
from sonar.demo.budgets import BudgetRow
from sonar.demo.launch import Settings
from sonar.demo.readers import CapsuleRow, Capsules
from sonar.demo.report import MineRow, Report, RoundRow
from sonar.demo.view import SCIENTIST
from sonar.errors import RemoteError, RpcError
from sonar.families.quadratic.holdout import MILLION
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.home.settings import NetworkConfig
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import KeyManifest, ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.protocol.events import (
    BountyPosted,
    Event,
    MinePaid,
    Revealed,
    RoundSettled,
    Withdrawn,
)
from sonar.protocol.fold import RoundRecord, fold
from sonar.protocol.ids import Address, Cid, Digest, hex32, parse_address
from sonar.protocol.seal import settlement_digest
from sonar.store.folder import FolderStore
from sonar.telling.documents import CampaignRound, CapsuleReady


@dataclass
class Record:
    """What the run collects as it goes and the chain does not know."""

    pids: dict[str, int] = field(default_factory=dict)
    capsules: dict[str, CapsuleReady] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    rounds: dict[int, CampaignRound] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    budgets: list[BudgetRow] = field(default_factory=list)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the block's wall time to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start


@dataclass(frozen=True)
class _Receipt:
    gas_used: int
    fee_wei: int
    sender: str


def read_report(
    settings: Settings, market: Market, network: NetworkConfig, record: Record, *, wall_seconds: float
) -> Report:
    """Return the report of the one bounty on the demo's chain. Raises RemoteError when there is none."""
    everything = market.events(market.deployed_block)
    posted = next((event for event in everything if isinstance(event, BountyPosted)), None)
    if posted is None:
        raise RemoteError("no bounty was posted on the demo's chain")
    store = FolderStore(settings.home / "store")
    key = KeyManifest.from_bytes(store.get(_manifest(posted.key_digest), KeyManifest.max_bytes))
    model = ModelManifest.from_bytes(store.get(_manifest(posted.model_digest), ModelManifest.max_bytes))
    spec = model.family
    assert isinstance(spec, QuadraticSpec)  # the demo has posted it
    null_mse = spec.targets[0].scale ** 2
    receipts = _receipts(market, everything)
    folded = list(fold(everything).values())
    settled = [one.settled for one in folded if one.settled]
    losses = [event.best_loss for event in settled]
    return Report(
        bounty=hex32(posted.bounty),
        scientist=posted.scientist,
        contract=market.address,
        key_bits=key.bits,
        chain={"client": network.client, "chain_id": market.chain_id},
        store=network.store.kind,
        null_mse=null_mse,
        initial_loss=posted.terms.initial_loss,
        initial=_figures(posted.terms.initial_loss, null_mse),
        final_loss=min(losses, default=posted.terms.initial_loss),
        rounds=[_round(one, one.settled, receipts, store, record, null_mse) for one in folded if one.settled],
        mines=_mines(everything, receipts, store, record),
        escrow_wei=posted.escrow_units,
        paid_wei=sum(event.paid_units for event in settled),
        refunded_wei=sum(one.closed.refund_units for one in folded if one.closed),
        held_wei=market.bounty(posted.bounty).escrow_units,
        contract_balance_wei=market.ether(market.address),
        wall_seconds=wall_seconds,
        seconds=_seconds(record),
        capsules=_capsules(market, model, folded, record),
        budgets=record.budgets,
        home=str(settings.home),
    )


def _seconds(record: Record) -> dict[str, float]:
    """Where the time went: stages in wall time; under them the parties' own work, summed over processes."""
    sums = defaultdict(float, record.seconds)
    for finished in record.rounds.values():
        for part, seconds in finished.seconds.items():
            sums[f"{SCIENTIST}: {part}"] += seconds
    return dict(sums)


def _round(
    folded: RoundRecord,
    settled: RoundSettled,
    receipts: dict[str, _Receipt],
    store: FolderStore,
    record: Record,
    null_mse: float,
) -> RoundRow:
    calls = {
        "commit": folded.commits.values(),
        "reveal": folded.reveals.values(),
        "fix": [folded.fixed] if folded.fixed else [],
        "settle": [settled],
    }
    gas = {
        call: max(receipts[event.tx_hash].gas_used for event in events)
        for call, events in calls.items()
        if events
    }
    evidence = EvidenceManifest.from_bytes(
        store.get(_manifest(settled.evidence_digest), EvidenceManifest.max_bytes)
    )
    cohort = [address for _, address in sorted(record.addresses.items()) if address in folded.paid]
    return RoundRow(
        round=settled.round,
        loss=settled.new_loss,
        best_loss=settled.best_loss,
        figures=_figures(settled.new_loss, null_mse),
        cohort=cohort,
        shares_bps=[folded.paid[address].share_bps for address in cohort],
        left_out={member.mine: member.reason for member in evidence.cohort if not member.accepted},
        paid_wei=settled.paid_units,
        gas=gas,
        seconds=dict(record.rounds[settled.round].seconds) if settled.round in record.rounds else {},
    )


def _capsules(
    market: Market, model: ModelManifest, rounds: Sequence[RoundRecord], record: Record
) -> Capsules | None:
    """The bounty's capsules, and whose signatures the settlements carry."""
    cover = model.cover
    if not isinstance(cover, VeilCover):
        return None
    signed: dict[str, list[int]] = defaultdict(list)
    for one in rounds:
        for account in _signers(market, one):
            signed[account].append(one.round)
    rows = [
        CapsuleRow(party, record.addresses[party], record.pids[party], signed[record.addresses[party]])
        for party in sorted(record.capsules)
    ]
    return Capsules(rows, cover.threshold, cover.bits, cover.audit is not None)


def _signers(market: Market, one: RoundRecord) -> list[Address]:
    """Who signed a round's settlement, besides the scientist."""
    if one.settled is None:
        return []
    (told,) = sent.arguments(market.rpc, market.address, "settle", [one.settled.tx_hash])
    if isinstance(told, RpcError):
        raise told
    bounty, number, model, loss, awards, evidence, signature = told
    digest = settlement_digest(market.chain_id, market.address, bounty, number, model, loss, awards, evidence)
    return [account for account in signers_of(digest, signature) if account]


def _figures(loss: int, null_mse: float) -> dict[str, float]:
    """Return a loss in millionths as people say it."""
    part = loss / MILLION
    return {"r2": 1 - part, "mse": part * null_mse}


def _mines(
    events: Iterable[Event], receipts: dict[str, _Receipt], store: FolderStore, record: Record
) -> list[MineRow]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        match event:
            case MinePaid(mine=mine):
                sums[mine]["fees_wei"] += event.fee_units
                sums[mine]["rewards_wei"] += event.reward_units
                sums[mine]["stakes_back_wei"] += event.stake_units
                sums[mine]["forfeits_wei"] += event.forfeit_units
            case Withdrawn(account=account):
                sums[account]["withdrawn_wei"] += event.amount_units
            case Revealed(mine=mine):
                update = store.get(_manifest(event.update_digest), UpdateManifest.max_bytes)
                sums[mine]["rows"] = UpdateManifest.from_bytes(update).rows
            case _:
                pass
    for receipt in receipts.values():
        sums[receipt.sender]["gas_wei"] += receipt.fee_wei
    columns = (
        "rows",
        "fees_wei",
        "rewards_wei",
        "stakes_back_wei",
        "forfeits_wei",
        "gas_wei",
        "withdrawn_wei",
    )
    return [
        MineRow(name=party, address=address, pid=record.pids[party], **{c: sums[address][c] for c in columns})
        for party, address in sorted(record.addresses.items())
        if party.startswith("mine-")
    ]


def _receipts(market: Market, events: Iterable[Event]) -> dict[str, _Receipt]:
    hashes = list(dict.fromkeys(event.tx_hash for event in events))
    answers = market.rpc.batch(*(Request("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes))
    found: dict[str, _Receipt] = {}
    for tx_hash, answer in zip(hashes, answers, strict=True):
        if not isinstance(answer, dict):
            raise RemoteError(f"the chain's node has no receipt of {tx_hash}")
        gas_used, price = fields_of(answer, "a receipt", gasUsed=quantity, effectiveGasPrice=quantity)
        found[tx_hash] = _Receipt(gas_used, gas_used * price, parse_address(str(answer.get("from"))))
    return found


def _manifest(digest: Digest) -> Cid:
    return Cid("dag-cbor", digest)
