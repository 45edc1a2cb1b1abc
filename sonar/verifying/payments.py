"""What the contract must have paid in a round, worked out once more from the terms and the record.

The formulas are the contract's (contracts/README.md, "Money"), in whole units and rounded down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sonar.protocol.fold import Ending, RoundRecord
from sonar.protocol.ids import Address
from sonar.protocol.phase import WHOLE_BPS, CloseReason, Terms
from sonar.verifying.findings import Findings

GROUP = "payments"


@dataclass(frozen=True)
class Due:
    """What a mine must have been credited, in the asset's smallest units."""

    stake_units: int
    fee_units: int
    reward_units: int
    forfeit_units: int


@dataclass(frozen=True)
class Purse:
    """A bounty's money between rounds: its escrow, and the best loss so far."""

    escrow_units: int
    best_loss: int


def due(terms: Terms, purse: Purse, record: RoundRecord) -> dict[Address, Due]:
    """Return what each mine that revealed must have got of a round that has ended."""
    revealed = len(record.reveals)
    forfeits = (len(record.commits) - revealed) * terms.stake_units
    each = forfeits // revealed if revealed else 0
    fees, rewards = _from_escrow(terms, purse, record)
    return {
        mine: Due(terms.stake_units, fees.get(mine, 0), rewards.get(mine, 0), each) for mine in record.cohort
    }


def _from_escrow(
    terms: Terms, purse: Purse, record: RoundRecord
) -> tuple[Mapping[Address, int], Mapping[Address, int]]:
    """Fees and rewards by mine."""
    if record.settled:
        return _by_share(terms, purse, record, min(purse.best_loss, record.settled.new_loss))
    if record.ended is not Ending.OVERDUE or not record.reveals:
        return {}, {}
    each = terms.overdue_at(purse.best_loss) // len(record.reveals)
    return dict.fromkeys(record.cohort, terms.fee_units), dict.fromkeys(record.cohort, each)


def _by_share(
    terms: Terms, purse: Purse, record: RoundRecord, best_loss: int
) -> tuple[Mapping[Address, int], Mapping[Address, int]]:
    shares = {mine: record.paid[mine].share_bps if mine in record.paid else 0 for mine in record.cohort}
    earners = [mine for mine, share in shares.items() if share]
    fee = terms.fee_units * len(record.reveals) // len(earners) if earners else 0
    pot = terms.reward_at(best_loss) - terms.reward_at(purse.best_loss)
    rewards, sum_bps, before = {}, 0, 0
    for mine, share in shares.items():  # by differences of a running sum, so that it adds up to the last unit
        sum_bps += share
        rewards[mine] = pot * sum_bps // WHOLE_BPS - before
        before += rewards[mine]
    return dict.fromkeys(earners, fee), rewards


def check(findings: Findings, terms: Terms, purse: Purse, record: RoundRecord) -> Purse:
    """Check what a round that has ended paid, and how it closed; return the money after it."""
    wanted = due(terms, purse, record)
    for mine, mine_due in wanted.items():
        if (paid := record.paid.get(mine)) is None:
            findings.false(GROUP, f"payment of {mine}", mine_due, "none")
            continue
        got = Due(paid.stake_units, paid.fee_units, paid.reward_units, paid.forfeit_units)
        for name, units in vars(mine_due).items():
            findings.same(GROUP, f"{name} of {mine}", units, getattr(got, name))
    for mine in record.paid.keys() - wanted.keys():
        findings.false(GROUP, f"payment of {mine}", "none, as it did not reveal", "one")
    after = _after(terms, purse, record, wanted)
    if record.settled:
        _check_settled(findings, purse, record, wanted, after)
    if record.failed:
        counts = (record.failed.committed, record.failed.revealed)
        findings.same(GROUP, "counts of the failed round", (len(record.commits), len(record.reveals)), counts)
    _check_closing(findings, terms, record, after)
    return after


def _after(terms: Terms, purse: Purse, record: RoundRecord, wanted: Mapping[Address, Due]) -> Purse:
    forfeits = (len(record.commits) - len(record.reveals)) * terms.stake_units
    left = forfeits - sum(one.forfeit_units for one in wanted.values())
    paid = sum(one.fee_units + one.reward_units for one in wanted.values())
    best = min(purse.best_loss, record.settled.new_loss) if record.settled else purse.best_loss
    return Purse(purse.escrow_units + left - paid, best)


def _check_settled(
    findings: Findings, purse: Purse, record: RoundRecord, wanted: Mapping[Address, Due], after: Purse
) -> None:
    settled = record.settled
    assert settled is not None
    findings.same(GROUP, "best loss", after.best_loss, settled.best_loss)
    paid = sum(one.fee_units + one.reward_units for one in wanted.values())
    findings.same(GROUP, "paid", paid, settled.paid_units)
    findings.same(GROUP, "escrow", after.escrow_units, settled.escrow_units)
    shares = sum(one.share_bps for one in record.paid.values())
    if shares not in (0, WHOLE_BPS):
        findings.false(GROUP, "sum of the shares", f"0 or {WHOLE_BPS}", shares)
    elif not shares:  # nobody's update is in the model, so neither it nor its loss may have changed
        findings.same(GROUP, "loss without a share", purse.best_loss, settled.new_loss)


def _check_closing(findings: Findings, terms: Terms, record: RoundRecord, after: Purse) -> None:
    expected = _reason(terms, record, after)
    found = record.closed.reason if record.closed else None
    findings.same(GROUP, "why it closed", _named(expected), _named(found))
    if record.closed:
        findings.same(GROUP, "refund", after.escrow_units, record.closed.refund_units)


def _reason(terms: Terms, record: RoundRecord, after: Purse) -> CloseReason | None:
    """Why a bounty must have closed with this round; None if it goes on."""
    last = record.round == terms.rounds
    match record.ended:
        case Ending.SETTLED:
            if after.best_loss <= terms.target_loss:
                return CloseReason.TARGET_REACHED
            return CloseReason.LAST_ROUND if last else None
        case Ending.FAILED:
            if not record.commits:
                return CloseReason.NO_COMMITS
            return CloseReason.LAST_ROUND_FAILED if last else None
        case Ending.OVERDUE:
            return CloseReason.OVERDUE
    return CloseReason.BY_SCIENTIST


def _named(reason: CloseReason | None) -> str:
    return "it did not" if reason is None else reason.name.lower().replace("_", " ")
