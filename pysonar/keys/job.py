"""A posted bounty as a key holder knows it: nothing depends on the caller's word.

The bounty's id is a hash of what it was posted with, so whoever names a bounty to the holder shows it all:
terms and model's manifest cannot be others than those that mines have agreed to.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sonar.errors import UsageError
from sonar.families.registry import AnyFamily, family_of
from sonar.manifests.model import ModelManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, BountyId, Digest, digest_of
from sonar.protocol.phase import Terms
from sonar.protocol.seal import bounty_id
from sonar.settling.updates import Form


@dataclass(frozen=True)
class Job:
    """What a bounty was posted with: `model` is the manifest of its first round, as bytes."""

    chain_id: int
    contract: Address
    scientist: Address
    terms: Terms
    model: bytes
    key_digest: Digest
    salt: bytes

    @cached_property
    def model_digest(self) -> Digest:
        """Of the model's manifest."""
        return digest_of(self.model)

    @cached_property
    def bounty(self) -> BountyId:
        """Its id on this chain and contract."""
        place = self.chain_id, self.contract, self.scientist
        return bounty_id(*place, self.terms, self.model_digest, self.key_digest, self.salt)

    @cached_property
    def manifest(self) -> ModelManifest:
        """The model's manifest. Raises ManifestError."""
        return ModelManifest.from_bytes(self.model)

    @cached_property
    def plan(self) -> SlotPlan:
        """How updates are packed. Raises PlanError."""
        return self.manifest.slot_plan

    def form(self, key: PublicKey) -> Form:
        """How updates lie in their blobs, in a round of this key."""
        return Form(self.plan, key, self.manifest.answers_are_words)

    @property
    def least(self) -> int:
        """How many updates a sum takes by the terms."""
        return self.terms.least

    @cached_property
    def family(self) -> AnyFamily:
        """What the bounty's questions and answers are. Raises ManifestError."""
        return family_of(self.manifest.family)

    @property
    def numbers(self) -> int:
        """How many numbers a question of the bounty has."""
        return self.family.numbers(self.manifest.family)

    def rules(self, least: int) -> Any:
        """What the model says about honest updates, where a sum takes `least` of them: the family's own."""
        return self.family.tests(self.manifest.family, self.plan, least, secrets.randbits)

    def check(self, key: PublicKey) -> None:
        """Raise UsageError if it is not a bounty of this key."""
        if self.manifest.key.digest != self.key_digest or self.plan.key_bits != key.bits:
            raise UsageError(
                f"the bounty is for another key, of {self.plan.key_bits} bits, not {key.bits}",
                hint="give its own key",
            )
