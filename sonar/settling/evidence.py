"""The public record of a round's settlement, from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.protocol.ids import Address, BountyId, Cid, Digest
from sonar.settling.verdict import NO_SUM, TWIN, Verdict


@dataclass(frozen=True)
class Place:
    """Which round of which bounty, on which chain."""

    chain_id: int
    contract: Address
    bounty: BountyId
    round: int


@dataclass(frozen=True)
class Settled:
    """What a round is settled with.

    `digests`: by mine what it revealed; `rows`: what well-formed updates say. `models`: before and after;
    `losses`: the new model's and the best.
    """

    digests: Mapping[str, bytes]
    rows: Mapping[str, int]
    verdict: Verdict
    shares: Mapping[str, int]
    models: tuple[Cid, Cid]
    losses: tuple[int, int]
    aggregate: bytes


def evidence_of(place: Place, settled: Settled) -> EvidenceManifest:
    """Return the evidence of a settled round; `aggregate` is empty if none was opened."""
    verdict = settled.verdict
    members = [
        CohortMember(
            mine=Address(mine),
            update=Digest(digest),
            rows=settled.rows.get(mine, 0),
            accepted=mine in verdict.accepted,
            reason=verdict.left_out.get(mine, _counts_with(verdict, mine)),
            share_bps=settled.shares[mine],
            twin=Address(verdict.twins[mine]) if mine in verdict.twins else None,
        )
        for mine, digest in settled.digests.items()
    ]
    return EvidenceManifest(
        chain_id=place.chain_id,
        contract=place.contract,
        bounty=place.bounty,
        round=place.round,
        model=settled.models[0],
        new_model=settled.models[1],
        loss=settled.losses[0],
        best_loss=settled.losses[1],
        accepted_rows=sum(member.rows for member in members if member.accepted),
        aggregate=Digest(settled.aggregate) if settled.aggregate else None,
        cohort=tuple(members),
    )


def _counts_with(verdict: Verdict, mine: str) -> str:
    """Why an accepted update counts for less than one, empty if it does not."""
    if verdict.no_sum:
        return NO_SUM
    others = [
        twin for twin, first in verdict.twins.items() if twin != mine and first == verdict.twins.get(mine)
    ]
    there = [twin for twin in others if twin in verdict.accepted]
    if not there:
        return ""
    named = f"{there[0]} and {len(there) - 1} more" if len(there) > 1 else there[0]
    return f"{TWIN}: it shares weight and pay with {named}"
