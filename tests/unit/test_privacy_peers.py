"""Ours against opendp and dp-accounting, which `make peers` installs; without them it is skipped by name."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from typing import Any

import pytest

from benchmarks.sampler import PEERS, PRICES, by_the_paper, chi_square_tail, question, ready, told_by_peers
from sonar.privacy.accounting import delta_of, epsilon_of, rho_of
from sonar.privacy.sampler import discrete_gaussian
from tests.unit.privacy_kit import Recorded

DRAWS, SCALES = 20_000, (0.7, 3.0, 25.0)
GROUP = pytest.mark.xdist_group("privacy peers")  # they are asked once
INSTALLED = pytest.mark.skipif(not ready(), reason="opendp and dp-accounting are missing: run `make peers`")


@cache
def told() -> dict[str, Any]:
    return told_by_peers({"prices": [question(*each) for each in PRICES], "scales": SCALES, "draws": DRAWS})


@GROUP
@INSTALLED
@pytest.mark.parametrize(
    "number", range(len(PRICES)), ids=lambda i: f"rho {PRICES[i][0]:g}, {PRICES[i][1]:g}"
)
def test_prices_are_the_others(number: int) -> None:
    rho, epsilon, delta, _ = question(*PRICES[number])
    theirs = told()["prices"][number]
    assert theirs["rho"] == pytest.approx(rho, rel=1e-12)
    for who in PEERS:
        assert epsilon_of(Fraction(rho), delta) == pytest.approx(theirs[f"{who} epsilon"], rel=1e-9)
        assert delta_of(Fraction(rho), epsilon) == pytest.approx(theirs[f"{who} delta"], rel=1e-9)
        assert float(rho_of(theirs[f"{who} epsilon"], delta)) == pytest.approx(rho, rel=1e-9)


def p_value(one: list[int], two: list[int]) -> float:
    """Whether two samples of one length are of one distribution: chi-square over values that are not rare."""
    ours, theirs = Counter(one), Counter(two)
    cells = [value for value in ours | theirs if ours[value] + theirs[value] >= 20]
    pairs = [(ours[value], theirs[value]) for value in cells]
    pairs.append((len(one) - sum(a for a, _ in pairs), len(two) - sum(b for _, b in pairs)))
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs if a + b)
    return chi_square_tail(statistic, len(pairs) - 1)


@GROUP
@INSTALLED
@pytest.mark.parametrize("number", range(len(SCALES)), ids=lambda i: f"scale {SCALES[i]:g}")
def test_draws_are_as_opendps(number: int) -> None:
    ours = discrete_gaussian(Fraction(SCALES[number]) ** 2, DRAWS, Recorded(20))
    assert p_value(ours, told()["draws"][number]["values"]) > 1e-6


def test_draws_are_as_the_papers() -> None:
    variance = Fraction(9, 2)
    ours, theirs = (
        discrete_gaussian(variance, 8_000, Recorded(21)),
        [by_the_paper(variance) for _ in range(8_000)],
    )
    assert p_value(ours, theirs) > 1e-6
    assert p_value(discrete_gaussian(variance * 2, 8_000, Recorded(21)), theirs) < 1e-6
