"""The public record of a round's settlement."""

from __future__ import annotations

from pysonar.campaign.records import Cohort, Outcome, Records, Verdict
from pysonar.campaign.standing import TWIN
from pysonar.keys.job import Job
from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.manifests.model import ModelManifest
from sonar.protocol.ids import Address, Digest


def _counts_with(verdict: Verdict, mine: str) -> str:
    """Why an accepted update counts for less than one, empty if it does not."""
    others = [
        twin for twin, first in verdict.twins.items() if twin != mine and first == verdict.twins.get(mine)
    ]
    there = [twin for twin in others if twin in verdict.accepted]
    if not there:
        return ""
    named = f"{there[0]} and {len(there) - 1} more" if len(there) > 1 else there[0]
    return f"{TWIN}: it shares weight and pay with {named}"


def evidence_of(
    records: Records,
    job: Job,
    number: int,
    models: tuple[ModelManifest, ModelManifest],
    losses: tuple[int, int],
) -> EvidenceManifest:
    """Return the evidence of a round with an outcome: `models` before and after it, its loss and the best."""
    verdict: Verdict = records.get(Verdict, number)
    outcome: Outcome = records.get(Outcome, number)
    cohort: Cohort = records.get(Cohort, number)
    members = [
        CohortMember(
            mine=Address(mine),
            update=Digest(digest),
            rows=update.rows if (update := records.update(number, mine)) else 0,
            accepted=mine in verdict.accepted,
            reason=verdict.left_out.get(mine, _counts_with(verdict, mine)),
            share_bps=outcome.shares_bps[mine],
        )
        for mine, digest in cohort.digests.items()
    ]
    return EvidenceManifest(
        chain_id=job.chain_id,
        contract=job.contract,
        bounty=job.bounty,
        round=number,
        model=models[0].cid(),
        new_model=models[1].cid(),
        loss=losses[0],
        best_loss=losses[1],
        accepted_rows=sum(member.rows for member in members if member.accepted),
        aggregate=Digest(outcome.aggregate_digest) if outcome.sums else None,
        cohort=tuple(members),
    )
