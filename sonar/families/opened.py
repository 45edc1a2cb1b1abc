"""What single answers, once opened, are tested by: one round of them, and what there was before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Opened:
    """One round, opened: its question's numbers, and the answers by mine, None for what does not open.

    `rows`: by mine how many it says that it has, where that is known.
    """

    weights: tuple[int, ...]
    updates: Mapping[str, tuple[int, ...] | None]
    rows: Mapping[str, int] = field(default_factory=dict)


Part = tuple[Sequence[int], Sequence[int]]
"""The weights of a round and one mine's update in it."""


class Past(Protocol):
    """The earlier rounds, as far as the tests need them. The cost does not grow with the rounds.

    An honest mine's map is affine. If it answered u_s at w_s, its answer at w_0 + sum_s rho_s (w_s - w_0) is
    u_0 + sum_s rho_s (u_s - u_0). So in tests of its own updates, one random combination stands for
    all that it sent: an update that fits the combination fits each of them (except with a chance of 2^-64,
    since nobody outside knows the combination).
    """

    def begun(self) -> bool:
        """Whether any update was opened before."""
        ...

    def parts(self, mine: str) -> Sequence[Part]:
        """What the mine sent before: its first update, a random combination of all since, its last one."""
        ...

    def senders(self, update: Sequence[int]) -> Collection[str]:
        """The mines that sent this very update in the first of the rounds in which one did."""
        ...

    def bases(self, mines: Collection[str]) -> Iterable[Opened]:
        """The rounds in which one of `mines` sent its first update, ascending: what `mines` sent in them."""
        ...


@dataclass(frozen=True)
class Rounds:
    """A `Past` that holds every round, ascending: for simulations, and to hold others against."""

    opened: Sequence[Opened]

    def begun(self) -> bool:
        """See `Past`."""
        return any(update is not None for each in self.opened for update in each.updates.values())

    def parts(self, mine: str) -> Sequence[Part]:
        """See `Past`; all that it sent, in place of a combination."""
        sent = ((each.weights, each.updates.get(mine)) for each in self.opened)
        return [(weights, update) for weights, update in sent if update is not None]

    def senders(self, update: Sequence[int]) -> Collection[str]:
        """See `Past`."""
        for each in self.opened:
            if found := [mine for mine, sent in each.updates.items() if sent == update]:
                return found
        return []

    def bases(self, mines: Collection[str]) -> Iterable[Opened]:
        """See `Past`."""
        known: set[str] = set()
        for each in self.opened:
            new = {mine for mine, sent in each.updates.items() if sent is not None} - known
            known |= new
            if new & set(mines):
                yield each
