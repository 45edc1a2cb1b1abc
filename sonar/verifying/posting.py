"""The bounty as it was posted: terms and id, key, first model, allow-list, capsules and settler."""

from __future__ import annotations

from dataclasses import dataclass

from sonar.chain.signatures import key_fault
from sonar.errors import CiphertextError, ManifestError, RemoteError, UsageError
from sonar.manifests.model import AllowList, KeyManifest, ModelManifest, VeilCover
from sonar.paillier.public import MIN_BITS, PublicKey, check_proof
from sonar.protocol import allowlist
from sonar.protocol.events import BountyPosted
from sonar.protocol.ids import ZERO32, Address
from sonar.protocol.phase import NOBODY, Terms
from sonar.protocol.seal import bounty_id
from sonar.telling.verdicts import POSTING
from sonar.verifying.findings import Findings, Read


@dataclass(frozen=True)
class Place:
    """The market: a contract on a chain."""

    chain_id: int
    contract: Address


def check_terms(findings: Findings, place: Place, posted: BountyPosted, terms: Terms, salt: bytes) -> None:
    """Check the bounty's id, which binds its terms and manifests. `terms`: what the contract holds now.

    `salt` is empty if the node does not tell it, or another contract posted the bounty.
    """
    findings.same(POSTING, "terms", terms, posted.terms)
    findings.same(POSTING, "escrow", posted.terms.escrow_units, posted.escrow_units)
    if not salt:
        why = "the posting's transaction is not at the node, or another contract sent it: its salt is unknown"
        findings.unknown(POSTING, "id", why)
        return
    made = bounty_id(
        place.chain_id,
        place.contract,
        posted.scientist,
        posted.terms,
        posted.model_digest,
        posted.key_digest,
        salt,
    )
    findings.same(POSTING, "id", posted.bounty, made)


def check_model(findings: Findings, posted: BountyPosted, read: Read) -> ModelManifest | None:
    """Check the first round's model, and return it."""
    data = findings.read(POSTING, "model", read)
    if data is None:
        return None
    try:
        model = ModelManifest.from_bytes(data)
        plan = model.slot_plan
    except (RemoteError, UsageError) as fault:
        findings.false(POSTING, "model", "a sound manifest", fault)
        return None
    findings.same(POSTING, "model.round", 1, model.round)
    findings.same(POSTING, "model.key", posted.key_digest, model.key.digest)
    short = "" if plan.mines_max >= posted.terms.cohort_cap else str(plan.mines_max)
    findings.sound(POSTING, "model.plan.mines_max", short, f"at least {posted.terms.cohort_cap}")
    return model


def check_key(
    findings: Findings, model: ModelManifest, read: Read, check: str = POSTING, name: str = "key"
) -> PublicKey | None:
    """Check the manifest of a model's key and its proof, and return the key."""
    data = findings.read(check, name, read)
    if data is None:
        return None
    try:
        manifest = KeyManifest.from_bytes(data)
        key = PublicKey.from_bytes(manifest.n, insecure=True)
        check_proof(key, manifest.proof)
    except (ManifestError, CiphertextError) as fault:
        findings.false(check, name, "a sound key with its proof", fault)
        return None
    findings.same(check, f"{name}.bits", model.plan.key_bits, key.bits)
    if key.bits < MIN_BITS:
        findings.note(check, f"{name}.bits", f"{key.bits} bits hide nothing: a key for comparisons")
    return key


def check_allowed(findings: Findings, terms: Terms, read: Read | None) -> tuple[Address, ...] | None:
    """Check the allow-list against the root in the terms, and return it; None where all may take part.

    `read` is None if the model names no list.
    """
    if terms.allow_root == ZERO32 or read is None:
        has, named = terms.allow_root != ZERO32, read is not None
        findings.sound(POSTING, "allow-list", "" if has == named else "only one of them has one", "both")
        return None
    listed = findings.manifest(AllowList, POSTING, "allow-list", read)
    if listed is None:
        return None
    findings.same(POSTING, "allow-list", terms.allow_root, allowlist.root_of(listed.mines))
    return listed.mines


def check_capsules(findings: Findings, place: Place, cover: VeilCover) -> None:
    """Check that each capsule has signed its own key for envelopes."""
    for member in cover.members:
        fault = key_fault(member, place.chain_id, place.contract)
        field = f"signature of the key of the capsule {member.account}"
        findings.sound(POSTING, field, fault, "the account's own")


def check_settler(findings: Findings, terms: Terms, cover: VeilCover | None, fault: str) -> None:
    """Check that an audited bounty's settler is the committee of its capsules.

    `fault` is why it is not that committee, as `is_committee` says; empty if it is.
    """
    if cover is None or cover.audit is None:
        if terms.settler != NOBODY:
            findings.note(POSTING, "settler", f"{terms.settler} signs; this is no audit by capsules")
        return
    expected = f"the committee of {cover.threshold} of its {len(cover.members)} capsules"
    findings.sound(POSTING, "settler", fault, expected)
