"""Whose answers a sum behind capsules takes: weights that never move, no dominance, no small atom."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.paillier.cohort import frozen_weights, weights_of
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.selection import LATE_TWIN, Opened, select
from sonar.settling.verdict import SPARED
from sonar.veil.atoms import Atoms

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


def test_the_first_sum_takes_all_with_the_weights_of_their_rows() -> None:
    found = select(PLAN, told(50, 200, 100), {}, Opened.of([]), 2, first)
    assert found.weights == {mine(1): 50, mine(2): 100, mine(3): 100}
    assert found.left == {}


def test_a_weight_stays_whatever_rows_are_told_later() -> None:
    opened = Opened.of([{mine(1): 50, mine(2): 100, mine(3): 60}])
    found = select(PLAN, told(99, 99, 99), {}, opened, 2, first)
    assert found.weights == {mine(1): 50, mine(2): 100, mine(3): 60}


def test_twins_known_at_first_share_a_weight_and_keep_their_parts() -> None:
    twins = {mine(1): mine(1), mine(2): mine(1)}
    found = select(PLAN, told(100, 100, 100, 100), twins, Opened.of([]), 2, first)
    assert found.weights == {mine(1): 50, mine(2): 50, mine(3): 100, mine(4): 100}
    again = select(PLAN, told(100, 100, 100, 100), twins, Opened.of([found.weights]), 2, first)
    assert again.weights == found.weights


def test_a_twin_that_is_found_late_is_left_out_and_its_twin_weighs_what_it_did() -> None:
    opened = Opened.of([dict.fromkeys(map(mine, range(1, 7)), 100)])
    twins = {mine(6): mine(6), mine(7): mine(6)}
    found = select(PLAN, told(*[100] * 7), twins, opened, 2, first)
    assert found.weights == dict.fromkeys(map(mine, range(1, 7)), 100)
    assert found.left == {mine(7): LATE_TWIN}


def test_of_twins_that_entered_as_two_one_goes_with_companions() -> None:
    """Whoever leaves after a sum leaves in a group of `least`; the others of it keep their fees."""
    opened = Opened.of([dict.fromkeys(map(mine, range(1, 10)), 100)])
    twins = {mine(1): mine(1), mine(2): mine(1)}
    found = select(PLAN, told(*[100] * 9), twins, opened, 3, first)
    assert mine(2) not in found.weights
    assert found.left[mine(2)] == LATE_TWIN
    assert sum(why == SPARED for why in found.left.values()) == 2
    assert len(found.weights) == 6


def test_a_mine_that_would_be_more_than_half_stays_out() -> None:
    found = select(PLAN, told(100, 10, 10, 10), {}, Opened.of([]), 2, first)
    assert found.weights == {mine(2): 10, mine(3): 10, mine(4): 10}
    assert found.left == {mine(1): SPARED}
    assert select(PLAN, told(100, 10, 10), {}, Opened.of([]), 3, first).weights == {}


def test_where_nothing_may_be_opened_nobody_is_left_out() -> None:
    opened = Opened.of([dict.fromkeys(map(mine, (1, 2, 3)), 100)])
    found = select(PLAN, told(100, 100), {}, opened, 3, first)
    assert (found.weights, found.left) == ({}, {})


@given(
    st.lists(st.sets(st.integers(1, 12), min_size=1), min_size=1, max_size=8),
    st.integers(2, 4),
    st.integers(0, 2**32),
    st.lists(st.integers(1, 150), min_size=12, max_size=12),
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
        assert chosen | found.left.keys() == {one.mine for one in there}
        sums.append(dict(found.weights))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.data())
def test_frozen_weights_never_exceed_those_of_rows_and_twins(rows: list[int], data: st.DataObject) -> None:
    there = told(*rows)
    names = [one.mine for one in there]
    twins = {name: data.draw(st.sampled_from(names)) for name in names}
    twins = {name: min(head, twins[head]) for name, head in twins.items()}
    none = frozen_weights(PLAN, there, twins, {})
    assert none == {name: weight for name, weight in weights_of(PLAN, there, twins).items() if weight}
    frozen = {name: weight for name, weight in none.items() if data.draw(st.booleans())}
    again = frozen_weights(PLAN, there, twins, frozen)
    assert all(again[name] == weight for name, weight in frozen.items())


@pytest.mark.parametrize("rows", [1, 100, 10**6])
def test_a_weight_is_at_most_what_the_manifest_says(rows: int) -> None:
    assert frozen_weights(PLAN, [Told(mine(1), rows)], {}, {}) == {mine(1): min(rows, 100)}
