"""The public record of a round's settlement, from the campaign's own records."""

from __future__ import annotations

from pysonar.campaign.records import Cohort, Outcome, Records
from pysonar.keys.job import Job
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import ModelManifest
from sonar.settling import evidence
from sonar.settling.evidence import Place, Settled
from sonar.settling.verdict import Verdict


def evidence_of(
    records: Records,
    job: Job,
    number: int,
    models: tuple[ModelManifest, ModelManifest],
    losses: tuple[int, int],
) -> EvidenceManifest:
    """Return the evidence of a round with an outcome: `models` before and after it, its loss and the best."""
    outcome: Outcome = records.get(Outcome, number)
    cohort: Cohort = records.get(Cohort, number)
    settled = Settled(
        digests=cohort.digests,
        rows={mine: each.rows for mine in cohort.digests if (each := records.update(number, mine))},
        verdict=records.get(Verdict, number),
        shares=outcome.shares_bps,
        models=(models[0].cid(), models[1].cid()),
        losses=losses,
        aggregate=outcome.aggregate_digest if outcome.sums else b"",
    )
    return evidence.evidence_of(Place(job.chain_id, job.contract, job.bounty, number), settled)
