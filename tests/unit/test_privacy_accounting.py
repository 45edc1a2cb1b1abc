"""What a rho means as epsilon and delta: never too small, and as near as floats can say it."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar.errors import ConfigError, UsageError
from sonar.privacy.accounting import (
    DELTA_LEAST,
    EPSILON_LEAST,
    EPSILON_MOST,
    checked,
    delta_of,
    epsilon_of,
    loose,
    rho_of,
)

rhos = st.one_of(
    st.fractions(Fraction(1, 10**6), 100, max_denominator=10**6).filter(bool),
    st.builds(
        lambda digits, power: digits * Fraction(2) ** power, st.integers(1, 1 << 80), st.integers(-90, -60)
    ),
)
epsilons = st.floats(1e-3, 200)
deltas = st.floats(1e-15, 0.1)


def exact_epsilon(rho: Fraction, delta: float, order: Decimal) -> Decimal:
    """The formula at one order, with sixty digits."""
    exact, share = Decimal(rho.numerator) / Decimal(rho.denominator), Decimal(delta)
    return exact * order + (1 - 1 / order).ln() - (share * order).ln() / (order - 1)


def least_epsilon(rho: Fraction, delta: float) -> Decimal:
    """Its least value over all orders, by thirds."""
    with localcontext(prec=60):
        low, high = Decimal(-40), Decimal(60)
        for _ in range(150):
            step = (high - low) / 3
            one, two = (exact_epsilon(rho, delta, 1 + Decimal(2) ** at) for at in (low + step, high - step))
            low, high = (low, high - step) if one < two else (low + step, high)
        return exact_epsilon(rho, delta, 1 + Decimal(2) ** low)


@given(rhos, deltas)
@settings(max_examples=15, deadline=None)
def test_epsilon_is_the_least_over_all_orders_rounded_up(rho: Fraction, delta: float) -> None:
    found, least = epsilon_of(rho, delta), least_epsilon(rho, delta)
    if found == 0:
        assert least <= 0
    else:
        assert Decimal(math.nextafter(found, 0)) < least * (1 + Decimal(2) ** -60)
        assert Decimal(found) >= least * (1 - Decimal(2) ** -90)


@given(rhos, deltas, st.integers(1, 10**6))
@settings(deadline=None)
def test_epsilon_never_falls_with_rho_and_never_grows_with_delta(
    rho: Fraction, delta: float, more: int
) -> None:
    assert epsilon_of(rho, delta) <= epsilon_of(rho * (1 + Fraction(more, 10**24)), delta)
    assert epsilon_of(rho, delta) >= epsilon_of(rho, min(0.5, delta * (1 + more / 10**6)))


@given(epsilons, deltas)
@settings(max_examples=25, deadline=None)
def test_rho_is_the_largest(epsilon: float, delta: float) -> None:
    rho = rho_of(epsilon, delta)
    assert epsilon_of(rho, delta) <= epsilon < epsilon_of(rho * (1 + Fraction(1, 1 << 50)), delta)


@given(rhos, deltas)
@settings(max_examples=25, deadline=None)
def test_there_and_back(rho: Fraction, delta: float) -> None:
    epsilon = epsilon_of(rho, delta)
    if epsilon >= EPSILON_LEAST:
        assert rho <= rho_of(epsilon, delta) <= rho * (1 + Fraction(1, 1 << 20)) + Fraction(1, 1 << 80)


@given(rhos, deltas)
@settings(deadline=None)
def test_delta_is_epsilons_inverse(rho: Fraction, delta: float) -> None:
    epsilon = epsilon_of(rho, delta)
    if epsilon >= 1e-6:
        assert delta_of(rho, epsilon) == pytest.approx(delta, rel=1e-9)
        assert delta_of(rho, epsilon) <= delta


@given(st.lists(rhos, min_size=2, max_size=6), deltas)
@settings(max_examples=30, deadline=None)
def test_releases_compose_by_addition(each: list[Fraction], delta: float) -> None:
    """All together cost at least as much as each, and no more than as many of the dearest."""
    total = epsilon_of(sum(each, Fraction(0)), delta)
    assert epsilon_of(max(each), delta) <= total <= epsilon_of(len(each) * max(each), delta)


def test_published_values() -> None:
    """What the reference code of the paper prints when it is run, and the limits of the formula."""
    assert delta_of(Fraction(1, 40), 1.0) == pytest.approx(1.336e-6, rel=1e-3)
    assert epsilon_of(Fraction(0), 1e-5) == delta_of(Fraction(0), 1.0) == 0
    assert epsilon_of(Fraction(1, 10**12), 1e-5) == 0
    assert delta_of(Fraction(10**6), 1.0) == 1


@pytest.mark.parametrize("epsilon", [EPSILON_LEAST, 1.0, EPSILON_MOST])
@pytest.mark.parametrize("delta", [DELTA_LEAST, 1e-5, 1 - 2**-53])
def test_the_limits_have_a_rho(epsilon: float, delta: float) -> None:
    rho = rho_of(epsilon, delta)
    assert rho > 0
    assert epsilon_of(rho, delta) <= epsilon < epsilon_of(rho * (1 + Fraction(1, 1 << 48)), delta)


BAD = [0.0, -1.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("epsilon", [*BAD, 1e-10, 1e10])
def test_an_epsilon_that_is_none(epsilon: float) -> None:
    with pytest.raises(
        ConfigError, match=r"privacy\.epsilon: .* is not a number from 1e-09 to 1e\+09"
    ) as caught:
        checked(epsilon, 1e-5, "privacy")
    assert caught.value.hint
    with pytest.raises(UsageError, match="an epsilon of"):
        rho_of(epsilon, 1e-5)
    with pytest.raises(UsageError, match="an epsilon of"):
        delta_of(Fraction(1), epsilon)


@pytest.mark.parametrize("delta", [*BAD, 1.0, 2.0, 1e-101])
def test_a_delta_that_is_none(delta: float) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.delta: .* is not from 1e-100 to below 1") as caught:
        checked(1.0, delta, "privacy")
    assert caught.value.hint
    with pytest.raises(UsageError, match="a delta of"):
        rho_of(1.0, delta)
    with pytest.raises(UsageError, match="a delta of"):
        epsilon_of(Fraction(1), delta)


def test_a_rho_that_is_none() -> None:
    with pytest.raises(UsageError, match="rho below 0"):
        epsilon_of(Fraction(-1), 1e-5)
    with pytest.raises(UsageError, match="rho below 0"):
        delta_of(Fraction(-1), 1.0)


def test_what_is_fine_and_what_is_loose() -> None:
    checked(8.0, 1e-5, "privacy")
    assert loose(1e-5, 99_999) == ""
    assert (
        loose(1e-5, 100_000)
        == "a delta of 1e-05 lets one row in 100,000 be given away, and there are 100,000"
    )
