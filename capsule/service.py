"""The capsule itself: a signed request comes in, a signed answer or a refusal goes out. No HTTP here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from capsule import __version__
from capsule.home.keys import Epoch
from capsule.home.ledger import Ledger
from capsule.home.policy import Policy
from capsule.problems import Refused
from sonar.chain.signatures import sign_digest
from sonar.manifests.capsule import Identity, SignedAnswer
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from capsule.opening.chainview import ChainView
    from sonar.ports import Store


@dataclass
class Means:
    """What a capsule works with."""

    chain: ChainView
    store: Store
    ledger: Ledger
    epochs: Mapping[int, Epoch]
    account: LocalAccount
    policy: Policy
    dev: bool = False
    telling: threading.RLock = field(default_factory=threading.RLock)

    @property
    def address(self) -> Address:
        """The capsule's account."""
        return Address(self.account.address)

    def sign(self, body: bytes) -> bytes:
        """Return an answer's body, signed, as it goes out."""
        market = self.chain.market
        digest = answer_digest(market.chain_id, market.address, body)
        return SignedAnswer(body=body, signature=sign_digest(self.account, digest)).to_bytes()


class Service:
    """Answers requests. Safe to use from several threads."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of a request."""
        return self._means.policy.service.max_body_bytes

    @cached_property
    def identity(self) -> bytes:
        """Who this capsule is, signed."""
        means = self._means
        newest = means.epochs[max(means.epochs)]
        body = Identity(
            chain_id=means.chain.market.chain_id,
            contract=means.chain.market.address,
            key=newest.public,
            version=str(__version__),
            least=means.policy.policy.least,
            bits=means.policy.policy.bits,
            policy=means.policy.in_words(),
        )
        return means.sign(body.to_bytes())

    def answer(self, kind: str, data: bytes) -> bytes:
        """Return the signed answer to a signed request. Raises Refused, and other SonarErrors."""
        raise Refused("not-found", f"no {kind} yet ({len(data)} bytes)")

    def count(self, refusal: Refused) -> None:
        """Count a refusal."""
        self._means.ledger.count_refusal(refusal.code)

    def totals(self) -> tuple[int, int]:
        """How many bits were told, and how many sums opened, ever."""
        return self._means.ledger.totals()

    def report_bug(self) -> None:
        """Write an unexpected exception where the operator reads it."""
        logging.getLogger("capsule").exception("a request failed")
