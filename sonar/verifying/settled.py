"""A settlement: its evidence, the new model, and who has signed it."""

from __future__ import annotations

from collections.abc import Mapping

from sonar.chain.signatures import committee_fault, signer_of, signers_of
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import CohortMember, EvidenceManifest
from sonar.manifests.model import FROZEN, ModelManifest, VeilCover
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import Address, Cid, Digest
from sonar.protocol.phase import NOBODY, Terms
from sonar.protocol.seal import settlement_digest
from sonar.settling.verdict import NO_SUM, SPARED
from sonar.verifying.findings import Findings, Read
from sonar.verifying.posting import Place
from sonar.verifying.updates import Judged

EVIDENCE, MODEL, SIGNATURE, UPDATES, COHORT = "evidence", "model", "signature", "updates", "cohort"


def check_evidence(
    findings: Findings, place: Place, record: RoundRecord, model_digest: Digest, read: Read
) -> EvidenceManifest | None:
    """Check the evidence against what the contract settled, and return it."""
    evidence = findings.manifest(EvidenceManifest, EVIDENCE, "evidence", read)
    if evidence is None:
        return None
    settled = record.settled
    assert settled is not None
    wanted = {
        "chain_id": place.chain_id,
        "contract": place.contract,
        "bounty": record.bounty,
        "round": record.round,
        "model": Cid("dag-cbor", model_digest),
        "new_model": Cid("dag-cbor", settled.new_model_digest),
        "loss": settled.new_loss,
        "best_loss": settled.best_loss,
    }
    for name, value in wanted.items():
        findings.same(EVIDENCE, f"evidence.{name}", value, getattr(evidence, name))
    members = {member.mine: member for member in evidence.cohort}
    findings.same(EVIDENCE, "evidence.cohort", record.cohort, tuple(members))
    for mine in record.cohort:
        if member := members.get(mine):
            _check_member(findings, record, member)
    return evidence


def _check_member(findings: Findings, record: RoundRecord, member: CohortMember) -> None:
    mine = member.mine
    reveal, paid = record.reveals[mine].update_digest, record.paid.get(mine)
    findings.same(EVIDENCE, f"evidence's update of {mine}", reveal, member.update)
    findings.same(EVIDENCE, f"evidence's share of {mine}", paid.share_bps if paid else None, member.share_bps)
    if member.share_bps and not member.accepted:  # it is paid its fee for nothing but privacy's sake
        findings.same(EVIDENCE, f"why {mine} is left out and paid", SPARED, member.reason)


def check_accepted(
    findings: Findings, evidence: EvidenceManifest | None, updates: Mapping[Address, Judged]
) -> None:
    """Check that whatever the evidence accepts is what the round asked for."""
    members = {member.mine: member for member in evidence.cohort} if evidence else {}
    for mine, judged in updates.items():
        member = members.get(mine)
        if member is not None and not member.accepted:
            findings.note(UPDATES, f"update of {mine}", _left_out(member, judged))
            continue
        if judged.fault and member is None:
            findings.note(UPDATES, f"update of {mine}", judged.fault)
        elif judged.fault:
            findings.false(UPDATES, f"update of {mine}", "well-formed, since it was accepted", judged.fault)
        elif judged.missing:
            findings.unknown(UPDATES, f"update of {mine}", judged.missing)
        else:
            findings.holds(UPDATES)
        if member is not None and judged.rows is not None:
            findings.same(EVIDENCE, f"evidence's rows of {mine}", judged.rows, member.rows)


def _left_out(member: CohortMember, judged: Judged) -> str:
    """Why a mine was left out, as the scientist says, and what there is of it."""
    there = judged.fault or judged.missing or "its update is well-formed"
    return f"left out: {member.reason}; {there}"


def check_summed(
    findings: Findings,
    evidence: EvidenceManifest,
    cohort: CohortManifest | None,
    *,
    fixed: bool,
    veiled: bool,
) -> None:
    """Check that the mines accepted are those of the cohort that was fixed; some of them, if its sum is said
    to be none and the model stays.
    """
    accepted = tuple(member.mine for member in evidence.cohort if member.accepted)
    if cohort is not None and _has_no_sum(evidence):
        others = tuple(set(accepted) - {one.mine for one in cohort.addends})
        findings.same(COHORT, "mines accepted beside the cohort", (), others)
        findings.note(COHORT, "sum", NO_SUM)
    elif cohort is not None:
        findings.same(COHORT, "mines accepted", tuple(one.mine for one in cohort.addends), accepted)
    elif veiled and not fixed and accepted:
        findings.false(COHORT, "cohort", "fixed on the chain before a sum was opened", None)


def _has_no_sum(evidence: EvidenceManifest) -> bool:
    """Whether the evidence says that nothing was learnt, and nothing was."""
    reasons = {member.reason for member in evidence.cohort if member.accepted}
    return evidence.aggregate is None and evidence.model == evidence.new_model and reasons <= {NO_SUM}


def check_new_model(
    findings: Findings, record: RoundRecord, first: ModelManifest, model_digest: Digest, read: Read | None
) -> ModelManifest | None:
    """Check that only weights and round of the model changed, and return the new one; None if it is the old.

    `read` is None if the digest is the old one's.
    """
    settled = record.settled
    assert settled is not None
    if read is None:
        findings.holds(MODEL)
        return None
    if not any(paid.share_bps for paid in record.paid.values()):
        findings.false(MODEL, "new model", model_digest, settled.new_model_digest)
    model = findings.manifest(ModelManifest, MODEL, "new model", read)
    if model is None:
        return None
    findings.same(MODEL, "new model's round", record.round + 1, model.round)
    for name in FROZEN:
        if getattr(model, name) == getattr(first, name):
            findings.holds(MODEL)
        else:
            findings.false(MODEL, f"new model's {name}", "as in the first round", "something else")
    return model


def check_signature(
    findings: Findings,
    place: Place,
    terms: Terms,
    record: RoundRecord,
    cover: VeilCover | None,
    signature: bytes | None,
    *,
    contract: bool,
) -> None:
    """Check who signed a settlement, and name them.

    `signature` is None where the node does not tell it. `contract`: whether the settler is one; one of
    another kind than a committee is not asked, since it may answer something else today.
    """
    if signature is None:
        why = "the settlement's transaction is not at the node, or another contract sent it"
        findings.unknown(SIGNATURE, "signature", why)
        return
    if terms.settler == NOBODY:
        findings.same(SIGNATURE, "signature", b"", signature)
        return
    digest = _signed(place, record)
    if cover is not None and cover.audit is not None:
        members = [member.account for member in cover.members]
        findings.signed_by = [one for one in signers_of(digest, signature) if one in members]
        fault = committee_fault(digest, signature, members, cover.threshold)
        findings.sound(SIGNATURE, "signature", fault, f"{cover.threshold} of {len(members)} capsules")
    elif contract:
        why = f"the settler {terms.settler} is a contract of its own kind, which the market has asked"
        findings.unknown(SIGNATURE, "signature", why)
    else:
        signer = signer_of(digest, signature)
        findings.signed_by = [signer] if signer == terms.settler else []
        findings.same(SIGNATURE, "signature", terms.settler, signer)


def _signed(place: Place, record: RoundRecord) -> bytes:
    """What was signed, by the chain's record alone."""
    settled = record.settled
    assert settled is not None
    awards = [(mine, record.paid[mine].share_bps) for mine in record.cohort if mine in record.paid]
    return settlement_digest(
        place.chain_id,
        place.contract,
        record.bounty,
        record.round,
        settled.new_model_digest,
        settled.new_loss,
        awards,
        settled.evidence_digest,
    )
