"""What a scientist asks of a family where capsules cover answers: tests and scores by functionals.

No answer is ever opened. A functional is a sum over the places of an answer, or of several rounds' answers,
of which the capsules tell the first bits (`sonar.veil.functionals`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured

Rules_contra = TypeVar("Rules_contra", contravariant=True)
Reference_contra = TypeVar("Reference_contra", contravariant=True)


@dataclass(frozen=True)
class Asked:
    """One functional of a mine's answers: for each part a round and a vector over the answer's places.

    `bits`: how many top bits of it each class tells.
    """

    parts: tuple[tuple[int, tuple[int, ...]], ...]
    bits: int


@dataclass(frozen=True)
class Sent:
    """One round: the weights int[d k] that were asked about, and the mines that sent an answer to them."""

    round: int
    weights: tuple[int, ...]
    mines: frozenset[str]


class VeiledTests(Protocol):
    """The tests of one round's answers."""

    @property
    def asks(self) -> Mapping[str, tuple[Asked, ...]]:
        """What each mine is asked."""
        ...

    def judged(
        self, heard: Mapping[str, tuple[Measured, ...]]
    ) -> tuple[dict[str, str | None], dict[str, str]]:
        """Return the first failed test of each mine, or None; and the twins, by mine the first of its group.

        `heard`: what is known of each of a mine's `asks`, in their order. Who is not in it is not judged.
        """
        ...


class VeiledScores(Protocol):
    """The scores of one round's mines."""

    @property
    def asks(self) -> Mapping[str, tuple[Asked, ...]]:
        """What each mine is asked; who counted in no round is not."""
        ...

    @property
    def rooms(self) -> tuple[int, ...]:
        """By how much each of a mine's `asks` may be off in a coefficient, on another machine."""
        ...

    def stand_for(self, found: Sequence[Asked], mine: str) -> bool:
        """Tell whether what was asked of a mine makes the same score as its `asks`, but for what machines'
        floats differ by.
        """
        ...

    def scored(self, heard: Mapping[str, tuple[Measured, ...]], weights: Mapping[str, int]) -> dict[str, int]:
        """Return the scores of 16 bits: what was heard of each of a mine's `asks`, times its weight."""
        ...


class VeiledSide(Protocol[Rules_contra, Reference_contra]):
    """What a scientist asks of a family under a veil, and an auditor again."""

    def veiled_tests(
        self,
        rules: Rules_contra,
        plan: SlotPlan,
        rounds: Sequence[Sent],
        reference: Reference_contra | None,
        rows: Mapping[str, int],
        draw: Callable[[int], int],
    ) -> VeiledTests:
        """Return the tests of the last of `rounds`: all of the bounty so far, ascending.

        `rows`: by mine, as it says. `draw(bits)` gives random bits that follow from public facts, and that
        were known to nobody before all answers were revealed.
        """
        ...

    def veiled_spoilers(
        self, plan: SlotPlan, round: int, mines: Collection[str], draw: Callable[[int], int]
    ) -> VeiledTests:
        """Return the tests that tell who of `mines` spoiled the sum of a round. `draw` as for tests."""
        ...

    def veiled_scores(
        self,
        plan: SlotPlan,
        vectors: Mapping[int, Sequence[float]],
        sent: Mapping[int, Collection[str]],
        mines: Collection[str],
        sums: Mapping[int, tuple[Sequence[int], int]],
    ) -> VeiledScores:
        """Return the scores of `mines`: of each, over the rounds s in which it counted, sum <vector_s, u_s>.

        `sent`: who counted in a round. `sums`: by round what was opened, and over how many rows. Raises
        UsageError.
        """
        ...
