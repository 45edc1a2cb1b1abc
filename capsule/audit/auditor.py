"""The audits of a capsule: each settlement once, recorded before its signature leaves.

A round is settled in one way. The same settlement gets the same answer at any time; another one of the same
round is refused, whatever follows. The openings that were checked are kept, so that later rounds need not
send them again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Protocol

from eth_account.signers.local import LocalAccount

from capsule.audit.again import Recomputing, Seen
from capsule.audit.public import OnChain
from capsule.audit.refusal import Refusal, refuse
from sonar.chain.signatures import sign_digest
from sonar.errors import RemoteError
from sonar.home.journal import Journal
from sonar.manifests.audit import SettlementAnswer, SettlementRequest
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, digest_of, hex32


class Capsule(Seen, Protocol):
    """What an auditor asks of the capsule that it belongs to."""

    def complains(self, bounty: BountyId, round: int, mine: Address) -> bool:
        """Tell whether it cannot make a mine's masks in a round: its envelope does not open, or seeds are
        false.
        """
        ...


class Auditor(Recomputing):
    """Audits settlements, and signs them. Safe to use from several threads; one settlement at a time."""

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
        address = Address(account.address)
        super().__init__(capsule, store, journal, address, insecure=insecure, random_bits=random_bits)
        self._capsule, self._account, self._lock = capsule, account, threading.Lock()

    def look(self, chain: OnChain, round: int) -> None:
        """Note which revealed updates of a round are in the store now, once a round.

        Called before the first functional of a round is told: an update that is there by then cannot be
        called withheld later on. Raises StoreUnavailable.
        """
        bounty = chain.state.bounty
        if self.ledger.sighted(bounty, round) is not None:
            return
        updates = self.public(chain).updates(round)
        self.ledger.sight(bounty, round, [mine for mine, one in updates.items() if not isinstance(one, str)])

    def settle(self, body: bytes) -> SettlementAnswer:
        """Return the signature of a settlement that follows from its round.

        Raises Refusal, and what reading chain and store raises, which may pass.
        """
        try:
            request = SettlementRequest.from_bytes(body)
        except RemoteError as error:
            hint = "send a SettlementRequest"
            raise Refusal("network", f"this is no SettlementRequest: {error}", hint=hint) from None
        with self._lock:
            known = self.ledger.signed(request.bounty, request.round)
            if known is not None and known.request == digest_of(body):
                return known
            return self._answered(request, body, known)

    def _answered(
        self, request: SettlementRequest, body: bytes, known: SettlementAnswer | None
    ) -> SettlementAnswer:
        complained: list[Address] = []

        def complains(mine: Address) -> bool:
            if self._capsule.complains(request.bounty, request.round, mine):
                complained.append(mine)
            return mine in complained

        found = self.recomputed(request, self._capsule.bounty(request.bounty), complains)
        if known is not None and known.settlement != found.digest:
            refuse("second", f"round {request.round} was signed as {hex32(known.settlement)} before")
        answer = SettlementAnswer(
            capsule=self.address,
            request=digest_of(body),
            settlement=found.digest,
            signature=sign_digest(self._account, found.digest),
        )
        self.ledger.record(request, answer, found, complained)
        return answer
