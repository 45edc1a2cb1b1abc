"""Which answers are summed behind capsules: a set that every capsule opens, all of one weight."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.settling.selection import OTHER_TWIN, Opened, select
from sonar.settling.verdict import SPARED
from sonar.veil.atoms import Atoms, weight_fault

MINES = [f"0x{i:040x}" for i in range(1, 10)]
LEAST = 3
PLAN = SlotPlan.make(
    key_bits=2048, weights=2, bounds=Bounds(9, 9, 9), mines_max=9, weight_rows=50, free_bits=VEIL_FREE_BITS
)


@dataclass(frozen=True)
class Update:
    mine: str
    rows: int


def updates(rows: dict[str, int]) -> list[Update]:
    return [Update(mine, count) for mine, count in rows.items()]


def last(bound: int) -> int:
    return bound - 1


rows = st.dictionaries(st.sampled_from(MINES), st.integers(30, 90), min_size=1)
twins = st.dictionaries(st.sampled_from(MINES), st.sampled_from(MINES[:3]), max_size=5)


@given(st.lists(st.tuples(rows, twins), min_size=1, max_size=4), st.integers(0, 2**32))
def test_what_is_selected_may_be_opened_round_by_round(
    rounds: list[tuple[dict[str, int], dict[str, str]]], seed: int
) -> None:
    """By who is in it and by weights, whatever rows the mines say and who turns out to be a twin."""
    random, sums = Random(seed), list[dict[str, int]]()
    for told, same in rounds:
        twin = same | {first: first for first in same.values()}
        opened = Opened.of(sums)
        found = select(PLAN, updates(told), twin, opened, LEAST, random.randrange)
        if not found.weights:
            assert not found.left
            continue
        mines = frozenset(found.weights)
        atoms = Atoms(opened.sets)
        assert atoms.fault(mines, LEAST) == ""
        weights = {**opened.weights, **found.weights}
        assert weight_fault(atoms.with_set(mines), weights, LEAST) == ""
        assert len(set(weights.values())) == 1
        assert all(weight <= min(told[mine], 50) for mine, weight in found.weights.items())
        assert mines | found.left.keys() == told.keys()
        assert not mines & found.left.keys()
        groups = [twin.get(mine, mine) for mine in mines]
        assert len(groups) == len(set(groups))
        sums.append(dict(found.weights))


def test_the_lightest_of_the_first_sum_says_what_all_weigh() -> None:
    first = select(
        PLAN, updates(dict(zip(MINES[:4], (44, 90, 60, 45), strict=True))), {}, Opened((), {}), 3, last
    )
    assert first.weights == dict.fromkeys(MINES[:4], 44)
    opened = Opened.of([first.weights])
    later = dict.fromkeys(MINES[:7], 80) | {MINES[7]: 43}
    second = select(PLAN, updates(later), {}, opened, 3, last)
    assert second.weights == dict.fromkeys(MINES[:7], 44)
    assert second.left == {MINES[7]: SPARED}


def test_of_twins_one_enters_by_lot_and_stays() -> None:
    same = dict.fromkeys(MINES[:2], MINES[0])
    told = updates(dict.fromkeys(MINES[:5], 50))
    entered = set()
    for lot in (0, 1):
        found = select(PLAN, told, same, Opened((), {}), 3, lambda bound, lot=lot: lot)  # type: ignore[misc]
        (other,) = found.left
        assert found.left[other] == OTHER_TWIN
        again = select(PLAN, told, same, Opened.of([found.weights]), 3, lambda bound: 0)
        assert again.weights == found.weights
        entered |= found.weights.keys() & same.keys()
    assert entered == same.keys()


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_are_no_set(count: int) -> None:
    found = select(PLAN, updates(dict.fromkeys(MINES[:count], 50)), {}, Opened((), {}), 3, last)
    assert (found.weights, found.left) == ({}, {})
