"""What a capsule's commands show, as documents: from its ledger, without the chain."""

from __future__ import annotations

from collections import Counter

from capsule.show.documents import AuditedLine, CapsuleStatus, Served, SignedLine, SignedList
from capsule.wiring import Capsule
from sonar.errors import UsageError
from sonar.manifests.capsule import SignedAnswer
from sonar.protocol.ids import BountyId, abbreviates, digest_of, hex32


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
        former=capsule.all_accounts[:-1],
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


def signed(capsule: Capsule, prefix: str, *, again: bool = False) -> SignedList:
    """Return all that the capsule signed about the bounty whose id begins with `prefix`; `again`: recompute
    the settlements among it.

    Raises UsageError, and with `again` what reading chain and store raises.
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
    bits = {str(mine): bits for mine, bits in capsule.ledger.bits_of(bounty).items()}
    return SignedList(hex32(bounty), lines, bits, _audited(capsule, bounty, again=again))


def _audited(capsule: Capsule, bounty: BountyId, *, again: bool) -> list[AuditedLine]:
    audits = capsule.audits
    faults = audits.again(bounty) if again else {}
    return [
        AuditedLine(
            one["round"],
            one["settlement"],
            one["loss"],
            one["openings"],
            one["shares_bps"],
            one["left_out"],
            faults.get(one["round"]),
        )
        for one in audits.figures(bounty)
    ]


def _served(capsule: Capsule, prefix: str) -> BountyId:
    is_meant = abbreviates(prefix)
    found = [one.bounty for one in capsule.ledger.bounties() if is_meant(one.bounty)]
    if len(found) != 1:
        many = "no bounty that this capsule served begins" if not found else f"{len(found)} bounties begin"
        raise UsageError(f"{many} with {prefix[:80]!r}", hint="`capsule status` lists them all")
    return found[0]
