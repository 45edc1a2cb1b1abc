"""Which answers of a round may be summed behind capsules, and with which weights: what every capsule checks
and every auditor repeats.

A sum is refused that would single out fewer mines than the least group, alone, against the sums opened
before, or by different weights (`sonar.veil.atoms`); and one of which a single answer makes more than half,
since it nearly is that answer. Weights never change: a mine's is what it was in its first sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sonar.paillier.cohort import Weighed, frozen_weights
from sonar.paillier.slots import SlotPlan
from sonar.settling.verdict import SPARED, TWIN
from sonar.veil.atoms import Atoms, choose, weight_fault

ANOTHER = f"{TWIN}; another of them is in the sum"


@dataclass(frozen=True)
class Opened:
    """What a bounty's earlier sums were made of: `sets` of mines, and each mine's weight, which stays."""

    sets: Sequence[frozenset[str]] = ()
    weights: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, sums: Iterable[Mapping[str, int]]) -> Opened:
        """Return what follows from the weights of each sum, oldest first."""
        sets, weights = [], dict[str, int]()
        for sum_ in sums:
            sets.append(frozenset(sum_))
            weights = {**sum_, **weights}
        return cls(sets, weights)

    def with_sum(self, weights: Mapping[str, int]) -> Opened:
        """Return the same with one more sum, of mines with these weights."""
        return Opened((*self.sets, frozenset(weights)), {**self.weights, **weights})

    def fault(self, weights: Mapping[str, int], least: int) -> str:
        """Return why a sum of mines with these weights may not be opened after these, or nothing."""
        for mine, weight in weights.items():
            if (frozen := self.weights.get(mine, weight)) != weight:
                return (
                    f"{mine} has the weight {weight}, and had {frozen} in an earlier sum: the difference "
                    "could be its answer"
                )
        if heavy := _dominant(weights):
            total = sum(weights.values())
            return f"{heavy} has more than half of the weight, {weights[heavy]} of {total}"
        atoms, mines = Atoms(self.sets), frozenset(weights)
        return atoms.fault(mines, least) or weight_fault(atoms.with_set(mines), {**self.weights, **weights})


@dataclass(frozen=True)
class Selection:
    """The set that is summed, as weights by mine: empty if none may be. `left`: who stays out of it, and
    why.
    """

    weights: Mapping[str, int]
    left: Mapping[str, str]


def select(
    plan: SlotPlan,
    updates: Sequence[Weighed],
    twins: Mapping[str, str],
    opened: Opened,
    least: int,
    lots: Callable[[int], int],
) -> Selection:
    """Return a largest set of `updates`, those of accepted mines, that may be summed.

    Of twins one enters, so that `least` counts them once. `lots(k)` draws from [0, k), and decides which of
    them, and who stays out where some must.
    """
    weights = frozen_weights(plan, updates, twins, opened.weights, lots)
    candidates = frozenset(weights)
    chosen = choose(opened.sets, candidates, least, lots)
    while heavy := _dominant({mine: weights[mine] for mine in chosen}):
        candidates -= {heavy}
        chosen = choose(opened.sets, candidates, least, lots)
    known = {**weights, **opened.weights}
    if not chosen or weight_fault(Atoms(opened.sets).with_set(chosen), known):
        return Selection({}, {})
    left = {one.mine: SPARED if one.mine in weights else ANOTHER for one in updates}
    return Selection(
        {mine: weights[mine] for mine in sorted(chosen, key=lambda mine: int(mine, 16))},
        {mine: why for mine, why in left.items() if mine not in chosen},
    )


def _dominant(weights: Mapping[str, int]) -> str:
    """The mine with more than half of the weight, empty if there is none."""
    total = sum(weights.values())
    return next((mine for mine, weight in weights.items() if 2 * weight > total), "")
