"""What a scientist hands to auditors in memory, and what a lying one would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gmpy2 import mpz

from sonar.manifests.audit import (
    AuditedRound,
    AwardLine,
    HoldoutRows,
    OpenedAnswer,
    Openings,
    SettlementRequest,
)
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.events import Revealed
from sonar.protocol.ids import Address
from sonar.settling import evidence
from sonar.settling.shares import round_shares
from tests.audit_kit.judging import Played
from tests.audit_kit.telling import HERE
from tests.audit_kit.world import SALT, World
from tests.veil_kit import BOUNTY


def request_of(
    world: World,
    played: Played,
    *,
    rounds: Sequence[Played] | None = None,
    loss: int | None = None,
    shares: Mapping[str, int] | None = None,
    evidence_says: Callable[[EvidenceManifest], EvidenceManifest] = lambda told: told,
) -> SettlementRequest:
    """What she asks for. `rounds`: those before whose openings she sends, by default all. The others are
    lies: another loss, other shares, other evidence.
    """
    loss = loss if loss is not None else played.loss if played.point else world.best
    shares = dict(shares or shares_of(world, played, loss))
    settled = evidence.Settled(
        digests={mine: one.update_digest for mine, one in _reveals(world, played.number)},
        rows={
            mine: one.manifest.rows
            for mine, one in played.updates.items()
            if not _unread(played.verdict.left_out.get(mine, ""))
        },
        verdict=played.verdict,
        shares=shares,
        models=(world.model.cid(), (played.new_model or world.model).cid()),
        losses=(loss, min(loss, world.best)),
        aggregate=played.cohort.digest() if played.cohort is not None and not played.verdict.no_sum else b"",
    )
    place = evidence.Place(HERE.chain_id, HERE.address, BOUNTY, played.number)
    told_ = evidence_says(evidence.evidence_of(place, settled))
    digest = world.store.put(told_.to_bytes(), "dag-cbor").digest
    before = world.history if rounds is None else rounds
    return SettlementRequest(
        chain_id=HERE.chain_id,
        contract=HERE.address,
        bounty=BOUNTY,
        round=played.number,
        new_model=(played.new_model or world.model).digest(),
        new_loss=loss,
        awards=tuple(
            AwardLine(mine=Address(mine), share_bps=shares[mine])
            for mine in sorted(shares, key=lambda mine: int(mine, 16))
        ),
        evidence=digest,
        rounds=tuple(audited(world, each) for each in [*before, played]),
        new_weights=openings(world, played.new_weights) if played.new_weights else None,
        holdout=HoldoutRows.of(world.design.spec.columns, world.values, SALT),
        optimiser=world.settings,
    )


def shares_of(world: World, played: Played, loss: int) -> dict[str, int]:
    """What each mine is due."""
    scores: Mapping[str, float] = played.scores or dict.fromkeys(played.verdict.accepted, 0.0)
    cohort = [str(mine) for mine, _ in _reveals(world, played.number)]
    best = world.course.best.loss
    losses = (min(best, loss), best) if played.point else (best, best)
    return round_shares(scores, cohort, played.verdict, played.number, world.terms, losses)


def _reveals(world: World, number: int) -> list[tuple[Address, Revealed]]:
    record = world.records[number]
    return [(mine, record.reveals[mine]) for mine in record.cohort]


def _unread(reason: str) -> bool:
    return reason.startswith(("withheld", "malformed", "left out since"))


def audited(world: World, played: Played) -> AuditedRound:
    """A round as an auditor gets it."""
    answers = [
        OpenedAnswer(
            mine=mine,
            update=update.manifest.digest(),
            openings=openings(world, update.ciphertexts),
        )
        for mine, update in sorted(played.updates.items(), key=lambda pair: int(pair[0], 16))
        if not _unread(played.verdict.left_out.get(mine, ""))
    ]
    model = next(
        (
            one.new_weights
            for one in reversed(world.history)
            if one.number < played.number and one.new_weights
        ),
        world.first_weights,
    )
    return AuditedRound(
        round=played.number,
        weights=openings(world, model),
        answers=tuple(answers),
        asked=tuple(played.asked),
        sum=played.sum,
        complaints=tuple(played.complaints) or None,
    )


def openings(world: World, ciphertexts: Sequence[mpz]) -> Openings:
    """The openings of ciphertexts."""
    return Openings.of(world.key.unsafe_open(ciphertexts), (world.public.bits + 7) // 8)
