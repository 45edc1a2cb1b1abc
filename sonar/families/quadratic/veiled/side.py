"""The part of the quadratic family that is about answers under a veil, behind its port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sonar.families.quadratic.comparison import Reference
from sonar.families.quadratic.inspection import Rules
from sonar.families.quadratic.veiled.judging import Tests, spoilers_of, tests_of
from sonar.families.quadratic.veiled.scoring import Scores, scores_of
from sonar.families.veiled import Sent
from sonar.paillier.slots import SlotPlan


class VeiledQuadratic:
    """See `sonar.families.veiled.VeiledSide`."""

    def veiled_tests(
        self,
        rules: Rules,
        plan: SlotPlan,
        rounds: Sequence[Sent],
        reference: Reference | None,
        rows: Mapping[str, int],
        draw: Callable[[int], int],
    ) -> Tests:
        """Return the tests of a round's veiled answers."""
        return tests_of(rules, plan, rounds, reference, rows, draw)

    def veiled_spoilers(
        self, plan: SlotPlan, round: int, mines: Collection[str], draw: Callable[[int], int]
    ) -> Tests:
        """Return what is asked once more where a sum is out of range."""
        return spoilers_of(plan, round, mines, draw)

    def veiled_scores(
        self,
        plan: SlotPlan,
        vectors: Mapping[int, Sequence[float]],
        sent: Mapping[int, Collection[str]],
        mines: Collection[str],
        sums: Mapping[int, tuple[Sequence[int], int]],
    ) -> Scores:
        """Return the scores of a round's mines."""
        return scores_of(plan, vectors, sent, mines, sums)
