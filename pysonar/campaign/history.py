"""A campaign's history: from its records and the chain's events to lines for people and programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pysonar.campaign.records import Cohort, Finished, Outcome, Records
from pysonar.campaign.standing import found_in
from sonar.chain.contract.errors import UnknownBounty
from sonar.errors import EnvironmentFault, RemoteError, RpcError, SonarError
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import BountyId, hex32
from sonar.settling.verdict import Verdict
from sonar.telling.amounts import Unit
from sonar.telling.documents import CampaignRound, CampaignSummary, Payout

if TYPE_CHECKING:
    from pysonar.bounty.base import AnyBounty
    from sonar.chain.contract.market import Market
    from sonar.chain.rpc import Head
    from sonar.protocol.phase import BountyState


def check_whole(number: int, record: RoundRecord) -> None:
    """Check that the chain's record tells all of how round `number` ended. Raises RpcError."""
    if not record.is_whole:
        raise RpcError(f"round {number} is over, and the chain's node has no whole record yet of how")


def finished_of(record: RoundRecord, seconds: dict[str, float], gas: dict[str, int]) -> Finished:
    """Return how a round ended, by its whole record."""
    assert record.ended is not None
    assert record.ended_block is not None
    settled, closed = record.settled, record.closed
    return Finished(
        ended=record.ended.value,
        block=record.ended_block,
        committed=len(record.commits),
        loss=settled.new_loss if settled else -1,
        best_loss=settled.best_loss if settled else -1,
        payments={
            mine: {
                "stake_units": paid.stake_units,
                "fee_units": paid.fee_units,
                "reward_units": paid.reward_units,
                "forfeit_units": paid.forfeit_units,
            }
            for mine, paid in record.paid.items()
        },
        closed=closed.reason.name if closed else "",
        refund_units=closed.refund_units if closed else 0,
        gas=gas,
        seconds=seconds,
        model_digest=settled.new_model_digest if settled else b"",
    )


def position(records: Records, market: Callable[[], Market]) -> tuple[Head, BountyState] | None:
    """Return where an open bounty stands on the chain; None without one, or where the chain does not tell."""
    posted, last = records.bounty(), records.get(Finished, max(records.finished(), 1))
    if posted is None or (last is not None and last.closed):
        return None
    try:
        head = market().head()
        return head, market().bounty(BountyId(posted[0]), head)
    except (EnvironmentFault, RemoteError, UnknownBounty):
        return None


def check_age(records: Records, market: Callable[[], Market]) -> None:
    """Compare the records with the chain, if it answers. Raises JournalError if they are an older copy."""
    found = position(records, market)
    records.check_age(*(found[1].model_digest, found[1].round) if found else ())


def line_of(records: Records, number: int, bounty: AnyBounty) -> dict[str, Any]:
    """Return a finished round in JSON's own types; amounts in the smallest of the bounty's unit.

    `loss` and `best_loss` are in millionths of the null model's, null where there is none; `figures` are of
    this round's model, in people's units, and `best` says the least loss so far, in the bounty's metric.
    """
    unit = bounty.offer.unit
    finished: Finished = records.get(Finished, number)
    cohort: Cohort | None = records.get(Cohort, number)
    verdict: Verdict | None = records.get(Verdict, number)
    outcome: Outcome | None = records.get(Outcome, number)
    settled = finished.ended == "settled"
    return {
        "round": number,
        "ended": finished.ended,
        "loss": finished.loss if settled else None,
        "best_loss": finished.best_loss if settled else None,
        "figures": _figures(outcome, finished.loss, bounty) if settled else {},
        "best": _best(records, number, bounty) if settled else {},
        "told": _told(records, number, bounty) if settled else "",
        "cohort": list(cohort.digests) if cohort else list(finished.payments),
        "accepted": list(verdict.accepted) if verdict and settled else [],
        "left_out": dict(verdict.left_out) if verdict and settled else {},
        "shares_bps": dict(outcome.shares_bps) if outcome and settled else {},
        "scores": dict(outcome.scores) if outcome and settled else {},
        "asset": asdict(unit),
        "paid_units": sum(paid["fee_units"] + paid["reward_units"] for paid in finished.payments.values()),
        "gas": dict(finished.gas),
        "seconds": dict(finished.seconds),
    }


def _figures(outcome: Outcome | None, loss: int, bounty: AnyBounty) -> dict[str, float]:
    """All figures of a round's model; if this home has lost it, those that its loss gives."""
    return bounty.figures(loss, None if outcome is None else outcome.weights)


def _told(records: Records, number: int, bounty: AnyBounty) -> str:
    """What a settled round has brought, in words."""
    outcome: Outcome | None = records.get(Outcome, number)
    if outcome is None or not outcome.sums or bounty.metric:
        return ""
    earlier = (records.get(Outcome, each) for each in range(1, number))
    opened = 1 + sum(each is not None and bool(each.sums) for each in earlier)
    return bounty.told(outcome.sums, outcome.rows, opened, outcome.loss)


def _best(records: Records, number: int, bounty: AnyBounty) -> dict[str, float]:
    """The least loss up to this round: the same figures as in the line of the round that reached it."""
    least = records.get(Finished, number).best_loss
    said = _said(bounty, least)
    for earlier in range(1, number + 1):
        finished: Finished = records.get(Finished, earlier)
        if finished.ended == "settled" and finished.loss == least:
            exact = _figures(records.get(Outcome, earlier), least, bounty)
            return {name: exact.get(name, value) for name, value in said.items()}
    return said


def _said(bounty: AnyBounty, loss: int) -> dict[str, float]:
    return bounty.figures(loss)


def payouts_of(records: Records) -> dict[str, dict[str, int]]:
    """Return what each mine was credited in all: stakes back, fees, rewards and forfeits in wei."""
    totals: dict[str, dict[str, int]] = {}
    for number in range(1, records.finished() + 1):
        finished: Finished = records.get(Finished, number)
        for mine, paid in finished.payments.items():
            total = totals.setdefault(mine, dict.fromkeys(paid, 0))
            for part, amount in paid.items():
                total[part] += amount
    return totals


def summary_of(records: Records, bounty: AnyBounty) -> dict[str, Any]:
    """Return the bounty's results so far, in JSON's own types; amounts in the asset's smallest unit.

    Losses are in millionths of the null model's; `initial`, `final` and `target` say them in people's units.
    """
    posted, rounds = records.bounty(), records.finished()
    lines = [line_of(records, number, bounty) for number in range(1, rounds + 1)]
    initial = bounty.figures(bounty.initial_loss, bounty.design.start)
    losses = [line["best_loss"] for line in lines if line["best_loss"] is not None]
    better = [line for line in lines if line["loss"] is not None and line["loss"] < bounty.initial_loss]
    last: Finished | None = records.get(Finished, rounds) if rounds else None
    return {
        "name": bounty.settings.name,
        "bounty": hex32(posted[0]) if posted else None,
        "status": "not posted" if posted is None else "closed" if last and last.closed else "open",
        "closed": last.closed if last else "",
        "key_bits": bounty.settings.key_bits,
        "initial_loss": bounty.initial_loss,
        "final_loss": losses[-1] if losses else bounty.initial_loss,
        "target_loss": bounty.target_loss,
        "metric": bounty.metric,
        "initial": initial,
        "final": min(better, key=itemgetter("loss"))["figures"] if better else initial,
        "target": _said(bounty, bounty.target_loss),
        "asset": asdict(bounty.offer.unit),
        "escrow_units": bounty.offer.terms.escrow_units,
        "paid_units": sum(line["paid_units"] for line in lines),
        "refunded_units": last.refund_units if last else 0,
        "rounds": lines,
        "payouts": payouts_of(records),
        "result": _result(records, bounty),
    }


def _result(records: Records, bounty: AnyBounty) -> dict[str, Any] | None:
    """What a study has found, in JSON's own types; None before its end, or if its sums allow no answer."""
    if bounty.metric or not records.is_closed():
        return None
    with suppress(SonarError):
        found: dict[str, Any] = found_in(records, bounty).to_dict()
        return found
    return None


def round_of(line: Mapping[str, Any]) -> CampaignRound:
    """Return what `line_of` said as it travels."""
    return CampaignRound(**{**line, "asset": Unit(**line["asset"])})


def document_of(summary: Mapping[str, Any]) -> CampaignSummary:
    """Return what `summary_of` said as it travels."""
    made = {
        "asset": Unit(**summary["asset"]),
        "rounds": [round_of(line) for line in summary["rounds"]],
        "payouts": {mine: Payout(**paid) for mine, paid in summary["payouts"].items()},
    }
    return CampaignSummary(**{**summary, **made})
