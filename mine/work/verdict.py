"""Why a settled round brought a mine no share, by the record that the scientist published of it."""

from __future__ import annotations

from sonar.errors import SonarError
from sonar.manifests.evidence import EvidenceManifest
from sonar.ports import Store
from sonar.protocol.cid import Cid
from sonar.protocol.events import RoundSettled
from sonar.protocol.ids import Address


def why_no_share(store: Store, settled: RoundSettled, me: Address) -> str:
    """Return the scientist's reason, or why it is not known. It is her word; nothing depends on it."""
    try:
        data = store.get(Cid("dag-cbor", settled.evidence_digest), EvidenceManifest.max_bytes)
        evidence = EvidenceManifest.from_bytes(data)
    except SonarError as error:
        return f"the scientist's record of the round cannot be read: {error}"
    member = next((member for member in evidence.cohort if member.mine == me), None)
    if member is None or (evidence.bounty, evidence.round) != (settled.bounty, settled.round):
        return "the scientist's record is not of this round"
    return f"left out: {member.reason}" if member.reason else "it was counted, and made the model no better"
