"""What a campaign asks of the family of sums; and what capsules would be asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.errors import UsageError
from sonar.families.sums.course import Course, Inquiry, Point, next_point
from sonar.families.veiled import Sent, VeiledScores, VeiledTests
from sonar.paillier.slots import SlotPlan

Vector = NDArray[np.float64]


class Steps:
    """Leads from one question to the next: the scientist's side of the family."""

    scored = False

    def start(self, design: Inquiry) -> Course:
        """Return the course of a campaign that has not begun."""
        return Course((Point(design.start),))

    def seen(
        self,
        design: Inquiry,
        course: Course,
        number: int,
        sums: Sequence[int],
        rows: int,
        accepted: Collection[str],
    ) -> Course:
        """Return the course with the sums of one more round."""
        return course.seen(sums, accepted)

    def step(self, design: Inquiry, optimiser: None, course: Course) -> Point:
        """Return the next point."""
        return next_point(design, course)

    def replayed(self, weights_int: Sequence[int], listed: list[Any], loss: int) -> Point:
        """Return a point."""
        return Point(tuple(weights_int), loss)

    def score_vectors(
        self, design: Inquiry, optimiser: None, course: Course, point: Point
    ) -> dict[int, Vector]:
        """Nobody is scored: only fees are paid."""
        return {}

    def reference(self, design: Inquiry, weights_int: Sequence[int]) -> None:
        """There are no held-out rows."""


class Uncovered:
    """No capsule is asked about single answers."""

    def veiled_tests(
        self,
        rules: Any,
        plan: SlotPlan,
        rounds: Sequence[Sent],
        reference: None,
        rows: Mapping[str, int],
        draw: Callable[[int], int],
    ) -> VeiledTests:
        """Raise UsageError."""
        raise UsageError("sums are not covered by capsules")

    def veiled_spoilers(
        self, plan: SlotPlan, round: int, mines: Collection[str], draw: Callable[[int], int]
    ) -> VeiledTests:
        """Raise UsageError."""
        raise UsageError("sums are not covered by capsules")

    def veiled_scores(
        self,
        plan: SlotPlan,
        vectors: Mapping[int, Sequence[float]],
        sent: Mapping[int, Collection[str]],
        mines: Collection[str],
        sums: Mapping[int, tuple[Sequence[int], int]],
    ) -> VeiledScores:
        """Raise UsageError."""
        raise UsageError("nobody is scored for sums")
