"""What was signed, recomputed: by the auditor before it signs, and by anybody with its ledger afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from capsule.audit.ledger import AuditLedger
from capsule.audit.memory import Memories
from capsule.audit.public import OnChain, PublicBounty
from capsule.audit.recompute import Audit, Eyes, Recomputed, check_place
from capsule.audit.refusal import Refusal, refuse
from sonar.home.journal import Journal
from sonar.manifests.audit import SettlementRequest
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId
from sonar.protocol.phase import Status


class Seen(Protocol):
    """What is asked of the capsule whose audits these are."""

    def bounty(self, bounty: BountyId) -> OnChain:
        """Return a bounty at the network's depth. Raises ChainUnavailable, RpcError."""
        ...

    def own_answer(self, body: bytes) -> bytes | None:
        """Return its own `SignedAnswer` to a sum or functional that it has told; None if it has not."""
        ...

    def other_answer(self, account: Address, request: bytes) -> bytes | None:
        """Return another capsule's `SignedAnswer` to a request, by its digest, from that capsule itself:
        empty if it serves and has told none, None if it cannot be reached.
        """
        ...


class Recomputing:
    """Recomputes settlements for the capsule at `address`; it signs nothing. `insecure`: see `PublicBounty`.

    `random_bits` draws the factors by which openings are checked: nobody else may know them.
    """

    def __init__(
        self,
        capsule: Seen,
        store: Store,
        journal: Journal,
        address: Address,
        *,
        insecure: bool = False,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self.seen, self.store, self.address = capsule, store, address
        self.ledger, self._memories = AuditLedger(journal), Memories()
        self._insecure, self._random_bits = insecure, random_bits

    def figures(self, bounty: BountyId) -> list[dict[str, Any]]:
        """Return what was signed, round by round: round, settlement (its digest), loss, shares_bps,
        left_out, openings (how many were checked), complained (of whose envelopes).
        """
        return self.ledger.figures(bounty)

    def again(self, bounty: BountyId) -> dict[int, str]:
        """Recompute all that was signed of a bounty: by round nothing, or why it does not follow any more.

        Raises what reading chain and store raises.
        """
        chain, found = self.seen.bounty(bounty), dict[int, str]()
        complained = {one["round"]: one["complained"] for one in self.figures(bounty)}
        for request in self.ledger.requests(bounty):
            mines = set(complained.get(request.round, []))
            try:
                signed = self.ledger.signed(bounty, request.round)
                me = signed.capsule if signed else self.address  # it may have another account by now
                self.recomputed(request, as_of(chain, request.round), mines.__contains__, me)
            except Refusal as refusal:
                found[request.round] = f"{refusal.code}: {refusal}"
            else:
                found[request.round] = ""
        return found

    def public(self, chain: OnChain) -> PublicBounty:
        """Return what chain and store say of a bounty."""
        memory = self._memories.of(chain.state.bounty, chain.posted.model_digest)
        return PublicBounty(chain, self.store.get, insecure=self._insecure, memory=memory)

    def recomputed(
        self,
        request: SettlementRequest,
        chain: OnChain,
        complains: Callable[[Address], bool],
        me: Address | None = None,
    ) -> Recomputed:
        """Return what follows, if it is what is asked for; `me`: the account that signs or signed.

        Raises Refusal, and what reading raises.
        """
        bounty, round, public = request.bounty, request.round, self.public(chain)
        me = me or self.address
        check_place(request, public)
        if me not in [one.account for one in public.cover.members]:
            refuse("not-audited", f"this capsule, {me}, is not one of the bounty's")
        sighted = self.ledger.sighted(bounty, round)
        asked = any(each.asked for each in request.rounds if each.round == round)
        seen_by = self.seen
        eyes = Eyes(
            # Who looked at nothing, though others told of this round, can vouch for no late update.
            in_time=lambda mine: asked if sighted is None else mine in sighted,
            # Nor could it make the masks of an update that it did not find when it was asked.
            complains=lambda mine: complains(mine) or (sighted is not None and mine not in sighted),
            own=seen_by.own_answer,
            me=me,
            peers=lru_cache(seen_by.other_answer),
            random_bits=self._random_bits,
        )
        seen = {number: each for number, each in self.ledger.seen(bounty).items() if number < round}
        return Audit(request, public, seen, eyes).check()


def as_of(chain: OnChain, round: int) -> OnChain:
    """Return a bounty as it was when a round was to be settled."""
    rounds = {number: record for number, record in chain.rounds.items() if number <= round}
    now = replace(rounds[round], settled=None, closed=None)
    settled = [each.settled for number, each in sorted(rounds.items()) if number < round and each.settled]
    assert now.opened is not None
    state = replace(
        chain.state,
        round=round,
        committed=len(now.commits),
        revealed=len(now.reveals),
        closed=False,
        best_loss=settled[-1].best_loss if settled else chain.posted.terms.initial_loss,
        model_digest=now.opened.model_digest,
    )
    return replace(chain, state=state, status=Status.SETTLE, rounds={**rounds, round: now})
