"""What a round's sum is, once its masks are off."""

from __future__ import annotations

from collections.abc import Sequence

from sonar.manifests.cohort import CohortManifest
from sonar.paillier.slots import SlotPlan

ABOVE = 1 << 33
"""What is let be where a sum has no values: the tests cannot see a little junk there, and no mine may break a
round by it. Of 2^28 units times a weight of 33, which is not let be, they miss one in four million. A wrong
sum of masks has 41 random bits there."""


def weight_of(cohort: CohortManifest) -> int:
    """Return what the answers of a set weigh together."""
    return sum(addend.weight for addend in cohort.addends)


def values_of(plan: SlotPlan, plain: Sequence[int], weight: int) -> list[int]:
    """Return the sum int[plan.weights] in signed plaintexts, of answers that weigh `weight` together.

    Raises UpdateOutOfRange, which never shows a value.
    """
    return plan.unpack([int(x) for x in plain], weight=weight, above=max(ABOVE, weight << 9))
