"""Who holds which seeds: replicated secret sharing among m capsules with threshold t.

There is one class of seeds for each set of t - 1 capsules, held by all the others. So any t capsules hold
all classes together, and any t - 1 miss one: the class that was made without them.

Ito, Saito, Nishizeki, "Secret sharing scheme realizing general access structure" (1987), for a threshold.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb

from sonar.errors import UsageError

MAX_MEMBERS = 7
"""Of 7 capsules with a threshold of 4 there are 35 classes."""


@dataclass(frozen=True)
class Classes:
    """The classes of `members` capsules, any `threshold` of which hold them all.

    Classes count from 0 in the order of the sets that do not hold them; members by their place in the
    bounty's list. Raises UsageError for numbers that make no sense.
    """

    members: int
    threshold: int

    def __post_init__(self) -> None:
        if not 1 <= self.members <= MAX_MEMBERS:
            raise UsageError(f"{self.members} capsules; a bounty has 1 to {MAX_MEMBERS}")
        if not 1 <= self.threshold <= self.members:
            raise UsageError(f"a threshold of {self.threshold} of {self.members} capsules")

    @property
    def count(self) -> int:
        """How many classes there are."""
        return comb(self.members, self.threshold - 1)

    @property
    def copies(self) -> int:
        """How many capsules hold each class."""
        return self.members - self.threshold + 1

    @cached_property
    def without(self) -> tuple[tuple[int, ...], ...]:
        """For each class the t - 1 members that do not hold it."""
        return tuple(combinations(range(self.members), self.threshold - 1))

    def held_by(self, member: int) -> tuple[int, ...]:
        """Return the classes that a member holds, ascending."""
        return tuple(c for c, out in enumerate(self.without) if member not in out)

    def holders(self, number: int) -> tuple[int, ...]:
        """Return the members that hold a class, ascending."""
        return tuple(m for m in range(self.members) if m not in self.without[number])

    def witnessed(self, told: Collection[int], sure: Collection[int] = ()) -> bool:
        """Tell whether enough members told of each class that no `threshold` - 1 of them can have made it
        up: `threshold` of its holders, or all if there are fewer, or one of those that are `sure`.
        """
        return not self.unwitnessed(told, sure)

    def unwitnessed(self, told: Collection[int], sure: Collection[int] = ()) -> list[int]:
        """Return the classes of which too few told: see `witnessed`."""
        there, enough = set(told), min(self.threshold, self.copies)
        return [
            number
            for number in range(self.count)
            if len(there & set(self.holders(number))) < enough
            and not there & set(sure) & set(self.holders(number))
        ]
