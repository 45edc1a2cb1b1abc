"""Mines of the same data count as one: what their updates weigh together, and what they are paid together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.updates import MineUpdate
from sonar.paillier.cohort import grouped, weights_of
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.shares import FULL_BPS, as_one, shares_of

PLAN = SlotPlan.make(
    key_bits=2048,
    weights=3,
    bounds=Bounds(weight_max=1 << 20, a_row_l1_max=1 << 20, b_max=1 << 20),
    mines_max=20,
    weight_rows=33,
    weight_frac=16,
    data_frac=16,
)
MINES = [f"0x{i:040x}" for i in range(1, 13)]
ETHER = 10**18


@dataclass(frozen=True)
class Game:
    """Scores of groups, as they would be if each were one mine; and the groups' members."""

    scores: list[float]
    groups: list[list[str]]

    @property
    def heads(self) -> dict[str, float]:
        return {group[0]: score for group, score in zip(self.groups, self.scores, strict=True)}

    @property
    def split(self) -> dict[str, int]:
        """The shares that scores of divided weights lead to."""
        scores = {
            mine: score / len(group)
            for group, score in zip(self.groups, self.scores, strict=True)
            for mine in group
        }
        return shares_of(scores, scores)


@st.composite
def games(draw: st.DrawFn) -> Game:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4).filter(lambda sizes: sum(sizes) <= 12))
    left, groups = list(MINES), []
    for size in sizes:
        groups.append([left.pop(0) for _ in range(size)])
    scores = draw(st.lists(st.floats(0.1, 10.0), min_size=len(sizes), max_size=len(sizes)))
    return Game(scores, groups)


def paid(shares: dict[str, int], reward: int, fees: int) -> dict[str, float]:
    """What the contract pays."""
    sharers = sum(share > 0 for share in shares.values())
    return {
        mine: reward * share / FULL_BPS + (fees / sharers if share else 0) for mine, share in shares.items()
    }


@given(games(), st.integers(ETHER, 2 * ETHER), st.integers(0, ETHER // 50))
def test_a_group_is_paid_what_one_mine_would_be(game: Game, reward: int, fee: int) -> None:
    """With twins each counted once, the cohort is smaller, and so are the fees."""
    cohort = len(game.split)
    shares = as_one(game.split, game.groups, 1, reward, fee * cohort)
    assert sum(shares.values()) == FULL_BPS
    assert set(shares) == set(game.split)
    alone = paid(shares_of(game.heads, game.heads), reward, fee * len(game.groups))
    together = paid(shares, reward, fee * cohort)
    rounding = reward * (2 + cohort) / FULL_BPS
    singles = [group for group in game.groups if len(group) == 1]
    for group in game.groups:
        total = sum(together[mine] for mine in group)
        if len(group) > 1 and singles:
            assert total == pytest.approx(alone[group[0]], abs=rounding)
        else:
            assert total >= alone[group[0]] - rounding
        assert max(shares[mine] for mine in group) - min(shares[mine] for mine in group) <= 1


@given(games(), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_fee_that_is_all_there_is_goes_by_turns(game: Game, start: int) -> None:
    cohort, fee = len(game.split), 1000
    total = dict.fromkeys(game.split, 0.0)
    rounds = cohort * 12 * cohort
    for turn in range(start, start + rounds):
        shares = as_one(game.split, game.groups, turn, 0, fee * cohort)
        assert sum(shares.values()) == FULL_BPS
        for mine, units in paid(shares, 0, fee * cohort).items():
            total[mine] += units
    for group in game.groups:
        if len(group) > 1 and any(len(other) == 1 for other in game.groups):
            assert sum(total[mine] for mine in group) == pytest.approx(rounds * fee, rel=0.01)
            assert min(total[mine] for mine in group) > 0


def test_fees_of_a_group_alone_go_to_the_others_for_as_many_rounds_as_it_brought() -> None:
    """Nobody else earns, so that for three addresses and two others the group would have all five fees."""
    shares = dict.fromkeys(MINES[:5], 0) | {mine: 3334 - (mine != MINES[0]) for mine in MINES[:3]}
    groups = [MINES[:3], MINES[3:4], MINES[4:5]]
    turns = [as_one(shares, groups, turn, 0, 500) for turn in range(5)]
    earned = [sum(one[mine] for mine in MINES[:3]) for one in turns]
    assert earned == [10_000, 10_000, 10_000, 0, 0]
    assert turns[3] == dict.fromkeys(MINES[:3], 0) | dict.fromkeys(MINES[3:5], 5000)


def test_nobody_is_paid_for_what_nobody_earned() -> None:
    shares = dict.fromkeys(MINES[:3], 0)
    assert as_one(shares, [MINES[:2], MINES[2:3]], 1, 100, 100) == shares


def update(mine: str, rows: int) -> MineUpdate:
    return MineUpdate(mine, rows, (), b"")


@given(st.lists(st.integers(1, 100), min_size=1, max_size=12), st.integers(1, 12))
def test_twins_weigh_together_what_the_lightest_does(rows: list[int], twins: int) -> None:
    updates = [update(mine, count) for mine, count in zip(MINES, rows, strict=False)]
    same = dict.fromkeys(MINES[:twins], MINES[0])
    weights = weights_of(PLAN, updates, same)
    there = [mine for mine in weights if mine in same]
    assert sum(weights[mine] for mine in there) == min(min(count, 33) for count in rows[:twins])
    assert max(weights[mine] for mine in there) - min(weights[mine] for mine in there) <= 1
    alone = weights_of(PLAN, updates)
    assert all(weights[mine] == alone[mine] for mine in weights if mine not in same)


def test_who_counts_as_one() -> None:
    twins = {"b": "b", "d": "b", "x": "b"}
    assert grouped("abcd", twins) == [["a"], ["b", "d"], ["c"]]
    assert grouped("cd", twins) == [["c"], ["d"]]
