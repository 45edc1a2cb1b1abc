"""Who knows all rows but one, and sees every release: noise keeps what it promises, and its lack does not.

`make bench BENCH_ARGS="--only privacy"` has the same with fifty bounties and 10,000 trials.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.attack import (
    DELTA,
    asked,
    attacked,
    empirical_epsilon,
    most_likely,
    right_without_noise,
)
from sonar.privacy.accounting import rho_of

BOUNTIES, TRIALS = 4, 2_000


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_the_attacker_stays_under_the_declared_epsilon(epsilon: float) -> None:
    rho = rho_of(epsilon, DELTA)
    first, second = attacked(asked(rho, BOUNTIES), TRIALS)
    assert empirical_epsilon(first, second, DELTA) <= epsilon
    spread = 2 * float(rho)  # of the evidence, if rows differ as much as they can
    error = 5 * math.sqrt(2 / TRIALS)
    for evidence, mean in ((first, -spread / 2), (second, spread / 2)):
        assert spread * (0.9 - error) <= evidence.var() <= spread * (1 + error)
        assert abs(evidence.mean() - mean) <= 0.1 * spread + 5 * math.sqrt(2 * spread / TRIALS)


def test_with_less_noise_than_declared_the_attacker_wins() -> None:
    """A tenth of the deviation that epsilon 1 takes."""
    assert empirical_epsilon(*attacked(asked(100 * rho_of(1.0, DELTA), BOUNTIES), TRIALS), DELTA) > 1


def test_noise_that_is_drawn_twice_is_half_the_privacy() -> None:
    """The same sums of the same bounties, released again: the evidence has twice the spread."""
    rho = rho_of(1.0, DELTA)
    bounties = asked(rho, BOUNTIES)
    first, _ = attacked([*bounties, *bounties], TRIALS)
    assert first.var() == pytest.approx(4 * float(rho), rel=0.1 + 5 * math.sqrt(2 / TRIALS))


def test_without_noise_the_attacker_is_always_right() -> None:
    (bounty,) = asked(rho_of(1.0, DELTA), 1)
    assert right_without_noise(bounty, 1_000) == 1


def test_the_empirical_epsilon_is_that_of_randomised_response() -> None:
    """An answer that is true three times as often as not has epsilon ln 3, and no less is found."""
    rng = np.random.default_rng(15)
    first, second = ((rng.random(20_000) < chance).astype(np.float64) for chance in (0.25, 0.75))
    found = empirical_epsilon(first, second, 0.0)
    assert math.log(3) * 0.9 < found <= math.log(3) * 1.05


@pytest.mark.parametrize(("events", "trials"), [(0, 100), (5, 50), (300, 2_500)])
def test_limits_of_chances(events: int, trials: int) -> None:
    """At the limit as few events have a chance of 5%, by the binomial formula in whole numbers."""
    chance = Fraction(most_likely(events, trials))
    above, below = chance.numerator, chance.denominator
    ways = (math.comb(trials, k) * above**k * (below - above) ** (trials - k) for k in range(events + 1))
    assert float(Fraction(sum(ways), below**trials)) == pytest.approx(0.05, rel=1e-6)
    assert most_likely(trials, trials) == 1
