"""How answers have changed since a mine's first, in drawn directions: for models with several local steps.

There a mine's first two answers are bound by no identity. So a second one is compared by its change, with all
that changed between the same two rounds (`comparison.far_from_most`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sonar.families.quadratic.comparison import Reference, far_from_most
from sonar.families.quadratic.veiled.base import minus
from sonar.families.quadratic.veiled.curved import held_curvature
from sonar.families.quadratic.veiled.directions import MANY, coarse, directions_of, exponent_of
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured, spread

MOVED_BITS = 7
RANGE_MOVED = 8
"""All 2^slot_bits stand for at least so many times the length of the holdout's change."""


@dataclass(frozen=True)
class Moved:
    """The change since one round: what is `asked` of all that answered in both, and whose is `judged`."""

    asked: tuple[Asked, ...]
    mines: frozenset[str]
    judged: frozenset[str]
    slot_bits: int

    def far(self, heard: Mapping[str, Sequence[Measured]]) -> set[str]:
        """Return who of the judged has changed unlike most."""
        shift = self.slot_bits - self.asked[0].bits - 4
        points = {mine: [one.value >> shift for one in each] for mine, each in heard.items()}
        return far_from_most(points) & self.judged


def moved_of(
    plan: SlotPlan,
    reference: Reference,
    earlier: Sequence[Sent],
    now: Sent,
    draw: Callable[[int], int],
) -> list[Moved]:
    """Return a comparison for each earlier round that was the only one so far for some mine of `now`."""
    answers = {mine: [one for one in earlier if mine in one.mines] for mine in now.mines}
    found = []
    for then in earlier:
        second = frozenset(mine for mine, past in answers.items() if past == [then])
        step = minus(now.weights, then.weights)
        if second and any(step):
            squared = math.ldexp(held_curvature(plan, reference, step), -plan.data_frac)
            length = math.ldexp(math.sqrt(squared), -plan.weight_frac)
            scale = plan.slot_bits - plan.scale_bits - exponent_of(RANGE_MOVED * length)
            asked = []
            for one in directions_of(plan, reference, MANY, draw):
                vector = spread(plan, coarse(one, scale))
                parts = ((then.round, tuple(vector)), (now.round, tuple(-x for x in vector)))
                asked.append(Asked(parts, MOVED_BITS))
            found.append(Moved(tuple(asked), now.mines & then.mines, second, plan.slot_bits))
    return found
