"""Whose answers a sum behind capsules takes: weights that never move, no dominance, no small atom."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.paillier.cohort import frozen_weights, grouped
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.selection import ANOTHER, Opened, select
from sonar.settling.verdict import SPARED
from sonar.veil.atoms import Atoms, weight_fault

PLAN = SlotPlan.make(key_bits=512, weights=3, bounds=Bounds(1, 1, 1), mines_max=20, weight_rows=100)


@dataclass(frozen=True)
class Told:
    mine: str
    rows: int = 100


def mine(number: int) -> str:
    return f"0x{number:040x}"


def told(*rows: int) -> list[Told]:
    return [Told(mine(number), count) for number, count in enumerate(rows, 1)]


def first(_bound: int) -> int:
    return 0


def test_the_first_sum_takes_all_with_weights_that_stay() -> None:
    found = select(PLAN, told(150, 200, 100), {}, Opened.of([]), 2, first)
    assert found.weights == {mine(1): 100, mine(2): 100, mine(3): 100}
    assert found.left == {}
    less = select(PLAN, told(99, 99, 99), {}, Opened.of([found.weights]), 2, first)
    assert less.weights == found.weights


def test_of_twins_one_enters_with_the_whole_weight_and_stays_the_one() -> None:
    twins = {mine(1): mine(1), mine(2): mine(1)}
    found = select(PLAN, told(100, 100, 100, 100), twins, Opened.of([]), 2, first)
    assert found.weights == {mine(1): 100, mine(3): 100, mine(4): 100}
    assert found.left == {mine(2): ANOTHER}
    later = {mine(3): mine(0), mine(0): mine(0)}
    there = [Told(mine(0)), *told(100, 100, 100, 100)]
    again = select(PLAN, there, twins | later, Opened.of([found.weights]), 2, first)
    assert again.weights == found.weights
    assert again.left == {mine(0): ANOTHER, mine(2): ANOTHER}


def test_a_lot_decides_which_of_twins_it_is() -> None:
    """Lowest first, an address could be ground; by lot each may expect its part."""
    twins = {mine(1): mine(1), mine(2): mine(1)}
    lots = (first, lambda bound: bound - 1)
    chosen = [select(PLAN, told(100, 100, 100, 100), twins, Opened.of([]), 2, each) for each in lots]
    assert [set(one.left) for one in chosen] == [{mine(2)}, {mine(1)}]


def test_of_twins_that_entered_as_two_one_goes_with_companions() -> None:
    """Whoever leaves after a sum leaves in a group of `least`; the others of it keep their fees."""
    opened = Opened.of([dict.fromkeys(map(mine, range(1, 10)), 100)])
    twins = {mine(1): mine(1), mine(2): mine(1)}
    found = select(PLAN, told(*[100] * 9), twins, opened, 3, first)
    assert mine(2) not in found.weights
    assert found.left[mine(2)] == ANOTHER
    assert sum(why == SPARED for why in found.left.values()) == 2
    assert len(found.weights) == 6


def test_a_mine_that_would_be_more_than_half_stays_out() -> None:
    found = select(PLAN, told(100, 10, 10, 10), {}, Opened.of([]), 2, first)
    assert found.weights == {mine(2): 10, mine(3): 10, mine(4): 10}
    assert found.left == {mine(1): SPARED}
    assert select(PLAN, told(100, 10, 10), {}, Opened.of([]), 3, first).weights == {}


def test_weights_that_tell_of_one_answer_modulo_another_open_nothing() -> None:
    """Modulo 50, the sum would be the first answer."""
    assert select(PLAN, told(1, 50, 50, 50), {}, Opened.of([]), 2, first).weights == {}


def test_where_nothing_may_be_opened_nobody_is_left_out() -> None:
    opened = Opened.of([dict.fromkeys(map(mine, (1, 2, 3)), 100)])
    found = select(PLAN, told(100, 100), {}, opened, 3, first)
    assert (found.weights, found.left) == ({}, {})


@given(
    st.lists(st.sets(st.integers(1, 12), min_size=1), min_size=1, max_size=8),
    st.integers(2, 4),
    st.integers(0, 2**32),
    st.lists(st.sampled_from([20, 100, 150]), min_size=12, max_size=12),
)
def test_whatever_comes_no_sum_singles_out_fewer_than_the_least(
    rounds: list[set[int]], least: int, seed: int, rows: list[int]
) -> None:
    sums: list[dict[str, int]] = []
    for present in rounds:
        there = [Told(mine(number), rows[number - 1]) for number in sorted(present)]
        opened = Opened.of(sums)
        found = select(PLAN, there, {}, opened, least, lambda bound: seed % bound)
        if not found.weights:
            continue
        chosen = frozenset(found.weights)
        assert Atoms(opened.sets).fault(chosen, least) == ""
        assert 2 * max(found.weights.values()) <= sum(found.weights.values())
        assert all(found.weights[one] == opened.weights.get(one, found.weights[one]) for one in chosen)
        known = {**found.weights, **opened.weights}
        assert weight_fault(Atoms(opened.sets).with_set(chosen), known) == ""
        assert chosen | found.left.keys() == {one.mine for one in there}
        sums.append(dict(found.weights))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.data())
def test_one_of_each_group_of_twins_weighs_and_a_weight_never_moves(
    rows: list[int], data: st.DataObject
) -> None:
    there = told(*rows)
    names = [one.mine for one in there]
    twins = {name: data.draw(st.sampled_from(names)) for name in names}
    twins = {name: min(head, twins[head]) for name, head in twins.items()}
    lots = random.Random(data.draw(st.integers(0, 2**32))).randrange
    none = frozen_weights(PLAN, there, twins, {}, lots)
    groups = grouped(names, twins)
    assert [sum(name in none for name in group) for group in groups] == [1] * len(groups)
    assert all(none[name] <= min(there[names.index(name)].rows, 100) for name in none)
    frozen = {name: data.draw(st.integers(1, 100)) for name in names if data.draw(st.booleans())}
    again = frozen_weights(PLAN, there, twins, frozen, lots)
    assert all(again[name] == weight for name, weight in frozen.items() if name in again)
    assert [sum(name in again for name in group) for group in groups] == [1] * len(groups)


@pytest.mark.parametrize("rows", [1, 100, 10**6])
def test_a_weight_is_at_most_what_the_manifest_says(rows: int) -> None:
    assert frozen_weights(PLAN, [Told(mine(1), rows)], {}, {}, first) == {mine(1): min(rows, 100)}


def test_what_capsules_refuse_is_said() -> None:
    before = Opened().with_sum({mine(1): 100, mine(2): 100, mine(3): 100, mine(4): 100})
    pair = {mine(1): 100, mine(2): 100}
    assert before.fault(pair, 2) == ""
    assert "least that may be opened together is 3" in before.fault(pair, 3)
    assert "would tell" in before.fault({**pair, mine(3): 100}, 2)
    assert "had 100 in an earlier sum" in before.fault({mine(1): 99, mine(2): 99}, 2)
    assert "more than half of the weight, 100 of 150" in before.fault({mine(1): 100, mine(9): 50}, 2)
    assert "give all the same weight" in before.fault({**pair, mine(8): 100, mine(9): 50}, 2)
