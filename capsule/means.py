"""What a capsule works with: made once by `capsule.wiring`, used by all requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from capsule.home.keys import Epoch
from capsule.home.ledger import Ledger
from capsule.home.policy import Policy
from capsule.home.witness import Witness
from capsule.opening.bounties import Bounties
from capsule.opening.chainview import ChainView
from capsule.opening.cohorts import Cohorts
from capsule.opening.updates import Updates
from capsule.problems import Refused
from sonar.chain.signatures import sign_digest, signer_of
from sonar.manifests.capsule import SignedAnswer, Succession
from sonar.ports import Store
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Address
from sonar.protocol.record import Manifest

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from capsule.audit.public import OnChain


class Auditor(Protocol):
    """Recomputes settlements. What it refuses has a `code`, a message and a `hint`."""

    def look(self, chain: OnChain, round: int) -> None:
        """Note which revealed updates of a round are in the store by now."""
        ...

    def settle(self, body: bytes) -> Manifest:
        """Return the answer to a settlement's request."""
        ...


@dataclass
class Means:
    """Chain, store, ledger, keys, account and policy, and what is derived from them.

    `audits` makes the auditor. `insecure_keys` admits 1024-bit bounties, on development networks. `look`
    brings `epochs` up to date, and tells which came and which are gone (`capsule.home.ring`). `telling` is
    held while something is recorded that was not told before.

    Of an account that another has taken the place of, bounties count that were posted until `until_s` (chain
    time). `successions`: who followed whom up to this account, oldest first. `kin`: the capsule's other
    accounts.
    """

    chain: ChainView
    store: Store
    ledger: Ledger
    witness: Witness
    epochs: Mapping[int, Epoch]
    account: LocalAccount
    policy: Policy
    insecure_keys: bool = False
    audits: Callable[[Means], Auditor] | None = None
    look: Callable[[], tuple[Sequence[Epoch], Sequence[int]]] = lambda: ((), ())
    telling: threading.RLock = field(default_factory=threading.RLock)
    until_s: int | None = None
    successions: tuple[Succession, ...] = ()
    kin: frozenset[Address] = frozenset()

    @cached_property
    def auditor(self) -> Auditor:
        """Recomputes settlements. Raises Refused where nobody made one."""
        if self.audits is None:
            raise Refused("not-audited", "this capsule does not audit settlements")
        return self.audits(self)

    @property
    def address(self) -> Address:
        """The capsule's account."""
        return Address(self.account.address)

    @property
    def site(self) -> tuple[int, Address]:
        """The chain's number, and the contract."""
        return self.chain.market.chain_id, self.chain.market.address

    @cached_property
    def bounties(self) -> Bounties:
        """What bounties ask of this capsule."""
        return Bounties(
            self.store, self.site, self.address, self.epochs, insecure_keys=self.insecure_keys, kin=self.kin
        )

    @cached_property
    def updates(self) -> Updates:
        """The updates of mines."""
        return Updates(self.store, self.bounties, self.ledger, self.site)

    @cached_property
    def cohorts(self) -> Cohorts:
        """The sets that the chain has fixed."""
        return Cohorts(self.store, self.ledger, self.site)

    def signed(self, answer: bytes) -> bool:
        """Tell whether it was this account that signed an answer, and not another one of the capsule's."""
        if not self.kin:
            return True
        found = SignedAnswer.from_bytes(answer)
        return signer_of(answer_digest(*self.site, found.body), found.signature) == self.address

    def sign(self, body: bytes) -> bytes:
        """Return an answer's body, signed, as it goes out."""
        digest = answer_digest(*self.site, body)
        return SignedAnswer(body=body, signature=sign_digest(self.account, digest)).to_bytes()
