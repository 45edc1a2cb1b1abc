"""Noise that several mines share, as the protocol's page on privacy has it: what sums tell of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from sonar.privacy.sampler import discrete_gaussian
from tests.unit.privacy_kit import Recorded


def cost(seen: Sequence[set[str]], row_of: str, parts: int) -> float:
    """What a row of one mine pays for sums over these mines, in the price of one sum over `parts`.

    Each mine's noise is one Gaussian; the best test of the row's change is along its inverse covariance.
    """
    mines = sorted({row_of}.union(*seen))
    sums = np.array([[float(mine in one) for mine in mines] for one in seen])
    own = sums[:, mines.index(row_of)]
    return float(own @ np.linalg.pinv(sums @ sums.T) @ own) * parts


def test_one_sum_costs_what_it_says_and_a_larger_one_less() -> None:
    assert cost([set("jabcd")], "j", 5) == pytest.approx(1)
    assert cost([set("jabcdefghi")], "j", 5) == pytest.approx(0.5)


def test_sums_of_one_bounty_cost_no_more_than_their_atoms() -> None:
    """Any sets whose atoms have five mines each."""
    assert cost([set("jabcdefghi"), set("jabcd"), set("efghiklmno")], "j", 5) == pytest.approx(1)


def test_colluders_take_their_part_of_the_noise_away() -> None:
    for known in range(5):
        seen = [set("jabcd"), *({mine} for mine in "abcd"[:known])]
        assert cost(seen, "j", 5) == pytest.approx(5 / (5 - known))


def test_the_same_noise_in_two_bounties_with_other_sets_costs_more_than_both() -> None:
    seen = [set("j1234"), set("56789"), set("j5678"), set("12349")]
    assert cost(seen, "j", 5) > 25 / 9 > 2
    fresh = [set("j1234"), set("56789"), {each + "'" for each in "12349"}]
    assert cost(fresh, "j", 5) == pytest.approx(1)  # and once more for the other bounty's own noise of j
    assert cost([*seen, {"9"}], "j", 5) == pytest.approx(5)  # never more than one answer alone


def test_two_bounties_with_any_sets_cost_no_more_than_an_answer_alone() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        seen = [
            set(rng.choice(list("jabcdefgh"), 5, replace=False).tolist()) for _ in range(rng.integers(1, 6))
        ]
        assert cost(seen, "j", 5) <= 5 + 1e-9


@pytest.mark.parametrize(("wide", "alike"), [(4.0, True), (0.3, False)])
def test_sums_of_rounded_noise_are_one_gaussian_if_each_is_wide(wide: float, alike: bool) -> None:
    """Three mines' noise, each rounded to multiples of 16: against the exact sum of three such lattices.

    The lattice's own phase, which is what rounding repeats, must not tell where the noise was centred: the
    distribution of what is left over modulo 16 is flat for wide noise, and is not for narrow.
    """
    step, count = 16, 40_000
    draws = discrete_gaussian(Fraction((wide * step) ** 2), 3 * count, Recorded(9))
    left = np.bincount(np.array(draws) % step, minlength=step)
    statistic = float(((left - 3 * count / step) ** 2 / (3 * count / step)).sum())
    assert (statistic < 50) is alike
    total = np.array(
        [sum(round(Fraction(d, step)) for d in three) for three in zip(*[iter(draws)] * 3, strict=True)]
    )
    spread = 3 * (wide**2 + 1 / 12)
    assert (abs(float(total.var()) / spread - 1) < 5 * math.sqrt(2 / count) + 0.01) is alike


def test_the_bound_on_sums_of_discrete_gaussians() -> None:
    """The page's 10 p e^(-pi^2 g^2), against exact sums of two, where the difference can be seen."""
    for g, shift in ((0.7, 0.0), (0.7, 0.5), (0.9, 0.25)):
        grid = np.arange(-40, 41)
        one = np.exp(-((grid - shift) ** 2) / (2 * g * g))
        both = np.convolve(one / one.sum(), one / one.sum())
        whole = np.arange(-80, 81)
        wanted = np.exp(-((whole - 2 * shift) ** 2) / (4 * g * g))
        wanted /= wanted.sum()
        middle = np.abs(whole) < 6
        off = np.abs(np.log(both[middle] / wanted[middle])).max()
        assert 1e-5 < off <= 20 * math.exp(-(math.pi**2) * g * g)
