"""The audits of a capsule: each settlement once, recorded before its signature leaves.

A round is settled in one way. The same settlement gets the same answer at any time; another one of the same
round is refused, whatever follows. The openings that were checked are kept, so that later rounds need not
send them again.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from eth_account.signers.local import LocalAccount

from capsule.audit.public import OnChain, PublicBounty
from capsule.audit.recompute import Audit, Eyes, Recomputed, check_place
from capsule.audit.refusal import Refusal, refuse
from sonar.chain.signatures import sign_digest
from sonar.errors import BlobNotFound, RemoteError
from sonar.home.journal import Journal
from sonar.manifests.audit import AuditedRound, SeenRound, SettlementAnswer, SettlementRequest
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, Cid, digest_of, hex32
from sonar.protocol.phase import Status


class Capsule(Protocol):
    """What an auditor asks of the capsule that it belongs to."""

    def bounty(self, bounty: BountyId) -> OnChain:
        """Return a bounty at the network's depth. Raises ChainUnavailable, RpcError."""
        ...

    def complains(self, bounty: BountyId, round: int, mine: Address) -> bool:
        """Tell whether it cannot make a mine's masks in a round: its envelope does not open, or seeds are
        false.
        """
        ...

    def own_answer(self, body: bytes) -> bytes | None:
        """Return its own `SignedAnswer` to a sum or functional that it has told; None if it has not."""
        ...


class Auditor:
    """Audits settlements. Safe to use from several threads; one settlement at a time."""

    def __init__(
        self,
        capsule: Capsule,
        store: Store,
        journal: Journal,
        account: LocalAccount,
        *,
        insecure: bool = False,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._capsule, self._store, self._account = capsule, store, account
        self._ledger = AuditLedger(journal)
        self._insecure, self._random_bits = insecure, random_bits
        self._lock = threading.Lock()

    def look(self, bounty: BountyId, round: int) -> None:
        """Note which revealed updates of a round are in the store now, once a round.

        Called before the first functional of a round is told: an update that is there by then cannot be
        called withheld later on. Raises what reading the chain raises, and StoreUnavailable.
        """
        if self._ledger.sighted(bounty, round) is not None:
            return
        public = PublicBounty(self._capsule.bounty(bounty), self._store.get, insecure=self._insecure)
        there = [mine for mine, update in public.updates(round).items() if not isinstance(update, str)]
        self._ledger.sight(bounty, round, there)

    def settle(self, body: bytes) -> SettlementAnswer:
        """Return the signature of a settlement that follows from its round.

        Raises Refusal, and what reading chain and store raises, which may pass.
        """
        try:
            request = SettlementRequest.from_bytes(body)
        except RemoteError as error:
            raise Refusal(
                "network", f"the request is none: {error}", hint="send a SettlementRequest"
            ) from None
        with self._lock:
            known = self._ledger.signed(request.bounty, request.round)
            if known is not None and known.request == digest_of(body):
                return known
            found = self._recomputed(request, self._capsule.bounty(request.bounty))
            if known is not None and known.settlement != found.digest:
                refuse("second", f"round {request.round} was signed as {hex32(known.settlement)} before")
            answer = SettlementAnswer(
                capsule=Address(self._account.address),
                request=digest_of(body),
                settlement=found.digest,
                signature=sign_digest(self._account, found.digest),
            )
            self._ledger.record(request, answer, found)
            return answer

    def told(self, bounty: BountyId) -> list[str]:
        """Return what was signed of a bounty: a JSON line for each round, for people and programs."""
        return self._ledger.told(bounty)

    def again(self, bounty: BountyId) -> dict[int, str]:
        """Recompute all that was signed of a bounty: by round nothing, or why it does not follow any more.

        Raises what reading chain and store raises.
        """
        chain = self._capsule.bounty(bounty)
        found = {}
        for request in self._ledger.requests(bounty):
            try:
                self._recomputed(request, as_of(chain, request.round))
            except Refusal as refusal:
                found[request.round] = f"{refusal.code}: {refusal}"
            else:
                found[request.round] = ""
        return found

    def _recomputed(self, request: SettlementRequest, chain: OnChain) -> Recomputed:
        bounty, round = request.bounty, request.round
        public = PublicBounty(chain, self._store.get, insecure=self._insecure)
        check_place(request, public)
        if Address(self._account.address) not in [one.account for one in public.cover.members]:
            refuse("not-audited", f"this capsule, {self._account.address}, is none of the bounty's")
        sighted = self._ledger.sighted(bounty, round) or []
        eyes = Eyes(
            in_time=lambda mine: mine in sighted,
            complains=lambda mine: self._capsule.complains(bounty, round, mine),
            own=self._capsule.own_answer,
            random_bits=self._random_bits,
        )
        try:
            seen = {number: each for number, each in self._ledger.seen(bounty).items() if number < round}
            return Audit(request, public, seen, eyes).check()
        except BlobNotFound as error:
            link = Cid("dag-cbor", request.evidence)
            error.hint = error.hint or f"publish everything that the evidence {link} leads to, and ask again"
            raise


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


class AuditLedger:
    """What was signed, and which openings were checked: on the disk before an answer leaves."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def signed(self, bounty: BountyId, round: int) -> SettlementAnswer | None:
        """Return the answer that was given for a round."""
        data = self._journal.get(f"{_key(bounty, round)}/answer")
        return None if data is None else SettlementAnswer.from_bytes(data)

    def seen(self, bounty: BountyId) -> dict[int, AuditedRound]:
        """Return the rounds whose openings were checked."""
        kept = [SeenRound.from_bytes(data) for data in self._values(bounty, "/seen")]
        return {each.round.round: each.round for each in kept}

    def record(self, request: SettlementRequest, answer: SettlementAnswer, found: Recomputed) -> None:
        """Record an answer, and the openings that were checked for it. The first answer of a round stands."""
        bounty, key = request.bounty, _key(request.bounty, request.round)
        figures = {
            "round": request.round,
            "settlement": hex32(found.digest),
            "loss": found.loss,
            "shares_bps": dict(found.shares),
            "left_out": dict(found.left_out),
            "openings": found.openings,
        }
        with self._journal.transaction():
            for each in (one for one in request.rounds if one.round in found.checked):
                place = f"{_key(bounty, each.round)}/seen"
                if place not in self._journal:
                    self._journal.put(place, SeenRound(bounty=bounty, round=each).to_bytes())
            self._journal.put(f"{key}/answer", answer.to_bytes())
            self._journal.put(f"{key}/request", request.to_bytes())
            self._journal.put(f"{key}/figures", json.dumps(figures, sort_keys=True))

    def requests(self, bounty: BountyId) -> list[SettlementRequest]:
        """Return what was signed, by round."""
        return [SettlementRequest.from_bytes(data) for data in self._values(bounty, "/request")]

    def told(self, bounty: BountyId) -> list[str]:
        """Return the figures of each audited round, as JSON."""
        return [str(text) for text in self._values(bounty, "/figures")]

    def sighted(self, bounty: BountyId, round: int) -> list[str] | None:
        """Return whose updates were in the store when they were looked for; None if they were not."""
        found = self._journal.get(f"{_key(bounty, round)}/sighted")
        return None if found is None else [str(mine) for mine in found]

    def sight(self, bounty: BountyId, round: int, mines: list[Address]) -> None:
        """Record whose updates are in the store."""
        self._journal.put(f"{_key(bounty, round)}/sighted", [str(mine) for mine in mines])

    def _values(self, bounty: BountyId, what: str) -> list[Any]:
        pairs = self._journal.items(f"audit/{bounty.hex()}/")
        return [value for key, value in pairs if key.endswith(what)]


def _key(bounty: BountyId, round: int) -> str:
    return f"audit/{bounty.hex()}/{round:03}"
