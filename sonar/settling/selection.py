"""Which answers of a round may be summed behind capsules, and with which weights: what every capsule checks
and every auditor repeats.

A sum is refused that would single out fewer mines than the least group, alone or against the sums opened
before, by who is in it or by remainders (`sonar.veil.atoms`). So all weigh alike, as much as the lightest
when the bounty's first set was chosen. Of twins one enters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sonar.paillier.cohort import Weighed, grouped, weight_of
from sonar.paillier.slots import SlotPlan
from sonar.settling.verdict import SPARED, TWIN
from sonar.veil.atoms import choose

OTHER_TWIN = f"{TWIN}; it is in the sum under another address"


@dataclass(frozen=True)
class Opened:
    """What a bounty's earlier sums were made of: `sets` of mines, and each mine's weight, which stays."""

    sets: Sequence[frozenset[str]]
    weights: Mapping[str, int]

    @classmethod
    def of(cls, sums: Iterable[Mapping[str, int]]) -> Opened:
        """Return what follows from the weights of each sum, oldest first."""
        sets, weights = [], dict[str, int]()
        for sum_ in sums:
            sets.append(frozenset(sum_))
            weights = {**sum_, **weights}
        return cls(sets, weights)


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

    `least` counts twins once. `lots(k)` draws from [0, k), and decides who stays out where some must.
    """
    weights = _alike(plan, updates, twins, opened.weights, lots)
    chosen = choose(opened.sets, frozenset(weights), least, lots)
    left = {one.mine: _why_left(one.mine, weights, twins) for one in updates}
    return Selection(
        {mine: weights[mine] for mine in sorted(chosen, key=lambda mine: int(mine, 16))},
        {mine: why for mine, why in left.items() if mine not in chosen} if chosen else {},
    )


def _alike(
    plan: SlotPlan,
    updates: Sequence[Weighed],
    twins: Mapping[str, str],
    frozen: Mapping[str, int],
    lots: Callable[[int], int],
) -> dict[str, int]:
    """Return the weight of those who may enter, by mine: one weight, which no mine's rows fall short of.

    Of twins the one enters that was in a sum before, the first by address if several were; if none was, lots
    decide, since an address can be chosen.
    """
    alone = {one.mine: weight_of(plan, one) for one in updates}
    weight = next(iter(frozen.values()), min(alone.values(), default=0))
    able = sorted(mine for mine, most in alone.items() if weight == frozen.get(mine, weight) <= most)
    groups = grouped(able, twins)
    entering = [
        next((mine for mine in together if mine in frozen), together[lots(len(together))])
        if len(together) > 1
        else together[0]
        for together in groups
    ]
    return dict.fromkeys(entering, weight)


def _why_left(mine: str, entering: Collection[str], twins: Mapping[str, str]) -> str:
    group = twins.get(mine, mine)
    others = (other for other in entering if other != mine and twins.get(other, other) == group)
    return OTHER_TWIN if mine not in entering and any(others) else SPARED
