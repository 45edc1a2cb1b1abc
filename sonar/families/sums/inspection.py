"""Yes/no tests of single answers, where whoever opens a sum could open each answer (the cover `paillier`).

Whatever rows an honest mine has, its answer passes: each test follows from what the sums are, and leaves room
for rounding. No test compares a mine with others, so a failure is a proof that the answer is none of these
sums. Within them, false rows pass: sums are not audited, and a bounty of sums pays a fee alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import from_integers
from sonar.paillier.slots import SlotPlan

TESTS = {
    "range": "the answer has all values, within what the declared bounds allow",
    "rows": "the number of rows in it is the one that the mine says",
    "bound": "no sum is more than its bound times the number of rows",
    "sums": "each term's sums are ones that some rows can have",
}
"""Every test by name, and what holds for an answer that passes."""

WHY = {
    "range": "a value is larger than the bounty's bounds allow",
    "rows": "it counts other rows than the mine says that it has",
    "bound": "a sum is larger than so many rows can have",
    "sums": "no rows have such sums",
}
"""Every test by name, and what to say about an answer that fails it."""

ROUND_ONLY: frozenset[str] = frozenset()
"""No test can fail for honest data."""
_FLOAT_ROOM = 2.0**-44
"""What additions of floats in another order may change a sum by, against its bound times the rows."""


@dataclass(frozen=True)
class Rules:
    """What a bounty's manifest says about honest answers."""

    spec: SumsSpec
    plan: SlotPlan


def inspect(
    rules: Rules, updates: Mapping[str, Sequence[int] | None], rows: Mapping[str, int]
) -> dict[str, str | None]:
    """Return for each mine the first test that its answer int[values] fails, or None.

    `updates` has None for an answer that does not open; `rows` is what each mine says.
    """
    return {mine: failed(rules, update, rows[mine]) for mine, update in updates.items()}


def failed(rules: Rules, update: Sequence[int] | None, rows: int) -> str | None:
    """Return the first test that one answer fails, or None."""
    spec, plan = rules.spec, rules.plan
    if update is None or len(update) != spec.values or max(map(abs, update)) > plan.bounds.b_max:
        return "range"
    if update[0] != rows << plan.data_frac:
        return "rows"
    room = 0.5 + rows * 2.0**plan.data_frac * _FLOAT_ROOM
    if max(map(abs, update)) > (rows << plan.data_frac) + int(room):
        return "bound"
    found = from_integers(spec, plan, update)
    rooms = np.ldexp(room, -plan.data_frac) * spec.bounds
    start = 1
    for term, sums in zip(spec.terms, found.values(), strict=True):
        own = rooms[start : start + sums.size].reshape(sums.shape)
        start += sums.size
        if term.fault(spec.by_name, sums, rows, own):
            return "sums"
    return None


def same(updates: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Tell whose answers are the same integers: by mine the first address of its group of two and more."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for mine in sorted(updates):
        groups.setdefault(tuple(updates[mine]), []).append(mine)
    return {mine: group[0] for group in groups.values() if len(group) > 1 for mine in group}
