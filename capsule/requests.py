"""Whether a request may be worked on: whose it is, for whom, until when, and that it comes once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capsule.opening.chainview import View
from capsule.problems import Refused
from sonar.chain.signatures import signer_of
from sonar.manifests.audit import SettlementRequest
from sonar.manifests.capsule import FunctionalRequest, SignedRequest, SumRequest
from sonar.protocol.capsules import request_digest
from sonar.protocol.ids import Digest, digest_of

if TYPE_CHECKING:
    from capsule.means import Means

MOST_S = 3600
"""How long before its end a request may be sent: nonces are remembered so long."""
Body = FunctionalRequest | SumRequest | SettlementRequest
KINDS: dict[str, type[FunctionalRequest] | type[SumRequest] | type[SettlementRequest]] = {
    "functional": FunctionalRequest,
    "sum": SumRequest,
    "settlement": SettlementRequest,
}


@dataclass(frozen=True)
class Admitted:
    """A request of a bounty's scientist, as of `view`. `digest` is that of its body's bytes, `raw`."""

    kind: str
    raw: bytes
    digest: Digest
    body: Body
    view: View


def admitted(means: Means, kind: str, data: bytes) -> Admitted:
    """Return a request once all is right with it but what it asks for; its nonce is then used up.

    What costs little comes first: an outsider gets no further than one look at the chain, and about a bounty
    that was served before not even there.

    Raises Refused, ManifestError, ChainUnavailable, RpcError, JournalError.
    """
    signed = SignedRequest.from_bytes(data)
    if signed.capsule != means.address:
        raise Refused("network", f"the request is to {signed.capsule}, and this capsule is {means.address}")
    body = KINDS[kind].from_bytes(signed.body)
    chain_id, contract = means.site
    if (body.chain_id, body.contract) != means.site:
        raise Refused(
            "network",
            f"the request is about contract {body.contract} on chain {body.chain_id}, and this capsule "
            f"serves {contract} on chain {chain_id}",
        )
    digest = request_digest(chain_id, contract, signed.capsule, signed.nonce, signed.expires_s, signed.body)
    signer = signer_of(digest, signed.signature)
    if signer is None:
        raise Refused("signature", "no account has made the request's signature")
    stranger = Refused("signature", f"the request is signed by {signer}, who is not the bounty's scientist")
    if means.ledger.scientist(body.bounty) not in (None, signer):
        raise stranger
    view = means.chain.bounty(body.bounty)
    if signer != view.state.scientist:
        raise stranger
    opened = view.round(1).opened
    if means.until_s is not None and opened is not None and opened.opened_s > means.until_s:
        problem = f"{means.address} had handed over to another account before the bounty was posted"
        raise Refused("policy", problem, hint="GET /v1/identity says to which; new bounties name that one")
    if problem := means.policy.policy.refusal(body.bounty, signer):
        raise Refused("policy", problem, hint="ask the other capsules")
    if not view.now_s < signed.expires_s <= view.now_s + MOST_S:
        raise Refused(
            "expired",
            f"the request is good until {signed.expires_s}, and the chain's newest block is of {view.now_s}",
            hint=f"sign it anew, for at most {MOST_S} s of the chain's time",
        )
    per_hour = means.policy.service.questions_per_hour
    means.ledger.admit(signed.nonce, body.bounty, view.now_s, signed.expires_s, per_hour)
    return Admitted(kind, signed.body, digest_of(signed.body), body, view)
