"""What a capsule's commands show, as documents: from its ledger, without the chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from capsule.audit.auditor import AuditLedger
from capsule.auditing import auditor_of
from capsule.show.documents import AuditLine, CapsuleStatus, Served, SignedLine, SignedList
from capsule.wiring import Capsule
from sonar.errors import UsageError
from sonar.manifests.capsule import SignedAnswer
from sonar.protocol.ids import BountyId, abbreviates, digest_of, hex32
from sonar.telling import documents

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


def status(capsule: Capsule) -> CapsuleStatus:
    """Return what the capsule told so far."""
    ledger = capsule.ledger
    bits, sums = ledger.totals()
    served = []
    for one in ledger.bounties():
        told = ledger.bits_of(one.bounty)
        kinds = Counter(answer.kind for answer in ledger.answers(one.bounty))
        served.append(
            Served(
                hex32(one.bounty),
                one.scientist,
                one.epoch,
                one.closed_s is None,
                sum(told.values()),
                len(told),
                kinds["sum"],
            )
        )
    return CapsuleStatus(
        address=capsule.address,
        running=bool(capsule.home.worker()),
        network=capsule.network.name,
        url=capsule.policy.service.url,
        listed=bool(capsule.listed_url),
        epochs=capsule.keys.epochs(),
        bits=bits,
        sums=sums,
        blind_until_s=ledger.blind_until_s,
        bounties=served,
        refusals=dict(ledger.refusals()),
    )


def signed(capsule: Capsule, prefix: str, again: LocalAccount | None = None) -> SignedList:
    """Return all that the capsule signed about the bounty whose id begins with `prefix`.

    With its account, `again`, settlements are recomputed from chain and store. Raises UsageError, and then
    what reading those raises.
    """
    bounty = _served(capsule, prefix)
    lines = [
        SignedLine(
            one.round,
            one.kind,
            one.at_s,
            hex32(one.request),
            hex32(digest_of(SignedAnswer.from_bytes(one.signed).body)),
            len(one.signed),
        )
        for one in capsule.ledger.answers(bounty)
    ]
    told = {str(mine): bits for mine, bits in capsule.ledger.bits_of(bounty).items()}
    return SignedList(hex32(bounty), lines, told, _settlements(capsule, bounty, again))


def _settlements(capsule: Capsule, bounty: BountyId, again: LocalAccount | None) -> list[AuditLine]:
    lines = [documents.read(AuditLine, text) for text in AuditLedger(capsule.journal).told(bounty)]
    if again is None or not lines:
        return lines
    found = auditor_of(capsule.means(again), capsule.journal).again(bounty)
    return [replace(line, again=found.get(line.round)) for line in lines]


def _served(capsule: Capsule, prefix: str) -> BountyId:
    is_meant = abbreviates(prefix)
    found = [one.bounty for one in capsule.ledger.bounties() if is_meant(one.bounty)]
    if len(found) != 1:
        many = "no bounty that this capsule served begins" if not found else f"{len(found)} bounties begin"
        raise UsageError(f"{many} with {prefix[:80]!r}", hint="`capsule status` lists them all")
    return found[0]
