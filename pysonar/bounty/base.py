"""What a campaign, its records and the commands know of a bounty, whatever it asks for.

`pysonar.bounty.request.Bounty` trains a model, `pysonar.bounty.study.Study` asks for a statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Any, Protocol, Self

from pysonar.bounty.settings import CapsuleSettings
from pysonar.bounty.terms import Offer, patience_of
from sonar.families.registry import FamilySpec
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, Digest
from sonar.protocol.phase import Terms
from sonar.telling.amounts import Unit


class AnySettings(Protocol):
    """The settings that every bounty has; see `pysonar.bounty.settings.Settings`."""

    @property
    def name(self) -> str:
        """Its name in the home and on the network."""
        ...

    @property
    def cohort(self) -> int:
        """The most mines per round."""
        ...

    @property
    def min_mines(self) -> int:
        """Fewer answers are never opened."""
        ...

    @property
    def settle_window_s(self) -> int | None:
        """How long a settlement may take; None for the default."""
        ...

    @property
    def capsules(self) -> CapsuleSettings | None:
        """Who covers answers; None for nobody."""
        ...

    @property
    def key_bits(self) -> int:
        """The size of the Paillier key."""
        ...

    @property
    def insecure_key(self) -> bool:
        """Whether a short key is allowed."""
        ...


class AnyDesign(Protocol):
    """What a bounty asks, and how answers are packed; the rest of it is the family's own."""

    @property
    def spec(self) -> FamilySpec:
        """The family's part of the manifest."""
        ...

    @property
    def plan(self) -> SlotPlan:
        """How answers are packed."""
        ...

    @property
    def start(self) -> tuple[int, ...]:
        """The numbers of the first round's question."""
        ...

    @property
    def zero_start(self) -> bool:
        """Whether the first question is all zeros, or the null model."""
        ...


class AnyBounty(Protocol):
    """A bounty before it is posted, or as it was posted. `dev`: it is for a development network."""

    @property
    def dev(self) -> bool:
        """See above."""
        ...

    @property
    def settings(self) -> AnySettings:
        """The settings."""
        ...

    @property
    def offer(self) -> Offer:
        """What mines are offered. Raises ConfigError."""
        ...

    @property
    def terms(self) -> Terms:
        """The terms as the contract takes them."""
        ...

    @property
    def unit(self) -> Unit:
        """The unit of amounts."""
        ...

    @property
    def allowed(self) -> tuple[Address, ...]:
        """The mines that may take part, ascending; empty for all."""
        ...

    @property
    def patience_s(self) -> float:
        """How long to retry what may pass."""
        ...

    @property
    def digest(self) -> str:
        """Hex digest of all that it is made of: tells whether a file still matches what was posted."""
        ...

    @property
    def design(self) -> AnyDesign:
        """What is asked."""
        ...

    @property
    def optimiser(self) -> Any:
        """What chooses the next question, for the family's `step`; None where the design does."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """The columns without those that are predicted."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a mine must have."""
        ...

    @property
    def initial_loss(self) -> int:
        """The loss at the beginning, in millionths."""
        ...

    @property
    def target_loss(self) -> int:
        """The loss that ends the bounty."""
        ...

    @property
    def metric(self) -> str:
        """What the loss is measured by; empty if it says only whether more is asked."""
        ...

    @property
    def rounds_to_all(self) -> int:
        """After how many opened sums the scientist knows the pooled sums in full."""
        ...

    def on(self, *, dev: bool) -> Self:
        """Return the same bounty for a development network, or for any other one."""
        ...

    def commitment(self, salt: bytes) -> Digest:
        """Return the commitment to the rows that judge it, which may be none."""
        ...

    def figures(self, loss: int, numbers: Sequence[int] | None = None) -> dict[str, float]:
        """Return what a loss says in people's units: all of the model's figures, if `numbers` are given."""
        ...

    def held(self, numbers: Sequence[int]) -> list[str]:
        """Return the names of those numbers of a question that are stopped by a bound."""
        ...

    @property
    def bound(self) -> str:
        """The setting that `held` is about, and its value; empty if there is none."""
        ...

    def told(self, sums: Sequence[int], mines: int, opened: int, loss: int) -> str:
        """Return what a round has brought, in words, where figures say nothing.

        `sums` of so many `mines`: what it opened, the `opened`th sum of the bounty; `loss`: what followed.
        """
        ...

    def found(self, course: Any) -> Any:
        """Return what was found at the end of a course. Raises EnvironmentFault, DataError."""
        ...


_OFFERED = ("offer", "terms", "unit", "allowed", "patience_s")
"""What follows from the network, besides settings and data."""


class Offered:
    """What follows from an offer, for the classes of bounties. `dev`: it is for a development network."""

    dev: bool

    @property
    def offer(self) -> Offer:
        """What mines are offered. Raises ConfigError naming a field of the settings."""
        raise NotImplementedError

    def on(self, *, dev: bool) -> Self:
        """Return the same bounty for a development network, or for any other one."""
        if dev == self.dev:
            return self
        other = copy(self)  # with all that is derived from data, which may take long
        object.__setattr__(other, "dev", dev)
        for name in _OFFERED:
            other.__dict__.pop(name, None)
        return other

    @cached_property
    def terms(self) -> Terms:
        """The terms as the contract takes them."""
        return self.offer.terms

    @cached_property
    def unit(self) -> Unit:
        """The unit of amounts, from the settings alone."""
        return self.offer.unit

    @cached_property
    def allowed(self) -> tuple[Address, ...]:
        """The mines that may take part, ascending; empty for all."""
        return self.offer.allowed

    @cached_property
    def patience_s(self) -> float:
        """How long to retry: at least a round's windows, since nobody else settles it."""
        return patience_of(self.terms)
