"""What a campaign has asked so far, and what was opened: the sums of each round, and the next parameters.

On the chain, a bounty of this family has the loss `ASKS` as long as more is asked, and `DONE` once the last
sum is opened: then the contract ends it, and fees that nobody earned come back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sonar.families.sums.spec import SumsSpec
from sonar.paillier.slots import SlotPlan

ASKS, DONE = 1_000_000, 0
Integers = tuple[int, ...]


@dataclass(frozen=True)
class Visited:
    """A round whose sum was opened: its parameters int[parameters], sums int[values] of so many mines."""

    parameters: Integers
    sums: Integers
    mines: int


@dataclass(frozen=True)
class Inquiry:
    """What is asked: the first parameters, and by `follow` those after what was opened, None at the end."""

    spec: SumsSpec
    plan: SlotPlan
    start: Integers
    follow: Callable[[Sequence[Visited]], Integers | None]

    @property
    def zero_start(self) -> bool:
        """Whether the first parameters are zero."""
        return not any(self.start)


@dataclass(frozen=True)
class Point:
    """The parameters of a round, int[parameters]; by the loss the contract knows whether to go on."""

    weights_int: Integers
    loss: int = ASKS

    def listed(self) -> list[Any]:
        """Nothing else is needed to make it again."""
        return []


@dataclass(frozen=True)
class Course:
    """Every round's parameters so far, oldest first, and what was opened at them."""

    points: tuple[Point, ...]
    visited: tuple[Visited, ...] = ()

    @property
    def current(self) -> Point:
        """What the next round asks at."""
        return self.points[-1]

    @property
    def best(self) -> Point:
        """The end, if it is reached; else the first point."""
        return min(self.points, key=lambda point: point.loss)

    @property
    def begun(self) -> bool:
        """Whether a sum was opened."""
        return bool(self.visited)

    def seen(self, sums: Sequence[int], accepted: Collection[str]) -> Course:
        """Return the course with the sum int[values] of one more round, over the answers of `accepted`."""
        found = Visited(self.current.weights_int, tuple(int(value) for value in sums), len(accepted))
        return Course(self.points, (*self.visited, found))

    def moved(self, point: Point) -> Course:
        """Return the course with one more point."""
        return Course((*self.points, point), self.visited)


def next_point(design: Inquiry, course: Course) -> Point:
    """Return where the last sum leads: to the next parameters, or to the end, which asks at none."""
    found = design.follow(course.visited)
    return Point(course.current.weights_int, DONE) if found is None else Point(found)
