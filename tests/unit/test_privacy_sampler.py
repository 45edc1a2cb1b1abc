"""The sampler follows its definition bit by bit, and the definition is the discrete Gaussian."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from fractions import Fraction
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sampler import VARIANCES as SMALL
from benchmarks.sampler import chi_square
from sonar.errors import EnvironmentFault, UsageError
from sonar.privacy.chance import Real, exp_digits, exp_minus, geometric, happens
from sonar.privacy.release import noisy
from sonar.privacy.sampler import BATCH_MOST, MOST_VARIANCE, Scale, discrete_gaussian
from sonar.privacy.terms import RowSums
from tests.unit.privacy_kit import Recorded, digits, draws_by_definition

MILLION = 1_000_000
LARGE = [
    Fraction(1 << 30),
    Fraction(10**29, 3),
    Fraction((1 << 126) - 1),
    Fraction(1 << 130) + Fraction(1, 3),
]


# ---- the distribution


@pytest.mark.parametrize("variance", SMALL, ids=str)
def test_a_million_draws_are_as_the_definition_says(variance: Fraction) -> None:
    assert chi_square(discrete_gaussian(variance, MILLION, Recorded(15)), variance) > 1e-6


@pytest.mark.deep
@pytest.mark.parametrize("variance", SMALL, ids=str)
def test_a_million_draws_from_secrets_are_as_the_definition_says(variance: Fraction) -> None:
    assert chi_square(discrete_gaussian(variance, MILLION, secrets.token_bytes), variance) > 1e-6


@pytest.mark.parametrize("other", [Fraction(49, 50), Fraction(51, 50)], ids=str)
def test_a_variance_that_is_off_by_a_fiftieth_is_found(other: Fraction) -> None:
    assert chi_square(discrete_gaussian(other * 3, MILLION, Recorded(15)), Fraction(3)) < 1e-6


@pytest.mark.parametrize("variance", LARGE, ids=lambda variance: f"{float(variance):.0e}")
def test_moments_at_large_scales(variance: Fraction) -> None:
    """Each moment within five standard errors of the normal distribution's, which is theirs to 2^-1000."""
    count = 200_000
    draws = [draw / math.sqrt(variance) for draw in discrete_gaussian(variance, count, Recorded(16))]
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(fmean(draw**power for draw in draws) - moment) < 5 * math.sqrt(spread / count)


@pytest.mark.parametrize("variance", LARGE, ids=lambda variance: f"{float(variance):.0e}")
def test_the_lowest_bits_are_uniform_at_large_scales(variance: Fraction) -> None:
    low = np.bincount([draw % 16 for draw in discrete_gaussian(variance, 160_000, Recorded(17))])
    assert float(((low - 10_000) ** 2 / 10_000).sum()) < 60


# ---- the definition, bit by bit


variances = st.one_of(
    st.fractions(Fraction(1, 1000), 1000, max_denominator=1000),
    st.integers(1, 1 << 140).map(Fraction),
    st.builds(Fraction, st.integers(1 << 60, 1 << 90), st.integers(1, 1 << 40)),
    st.integers(0, 96).map(lambda j: Fraction(1 << 2 * j)),
)


@given(variances, st.integers(0, 40), st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_bytes_become_draws_as_the_definition_says(variance: Fraction, count: int, seed: int) -> None:
    ours, theirs = Recorded(seed), Recorded(seed)
    assert discrete_gaussian(variance, count, ours) == draws_by_definition(variance, count, theirs)
    assert ours.drawn == theirs.drawn


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(8, "little") for number in numbers)


@given(st.sampled_from([*SMALL[2:], *LARGE]), st.data())
@settings(max_examples=60, deadline=None)
def test_words_that_floats_cannot_decide_are_decided_right(variance: Fraction, data: st.DataObject) -> None:
    """Each word next to the border that it is compared with, or on it, so that more are drawn."""
    scale, near = Scale.of(variance), st.integers(-1, 1)
    t, rows = 1 << scale.shift, list[int]()
    for _ in range(16):
        low, k = data.draw(st.integers(0, t - 1)), data.draw(st.integers(0, 4))
        x = (low + k * t - variance / t) ** 2 / (2 * variance)
        borders = [digits(Fraction(low, t), 64), digits(Fraction(k), 64), digits(x, 64)]
        number = low + (data.draw(st.integers(0, 1)) << scale.shift)
        rows += [number >> 64 * i & (1 << 64) - 1 for i in range(scale.words)]
        rows += [min(max(border + data.draw(near), 0), (1 << 64) - 1) for border in borders]
    first, seed = words(*rows), data.draw(st.integers(0, 1 << 30))
    ours, theirs = Recorded(seed, first), Recorded(seed, first)
    assert discrete_gaussian(variance, 4, ours) == draws_by_definition(variance, 4, theirs)
    assert ours.drawn == theirs.drawn


def test_a_border_is_met_and_more_is_drawn() -> None:
    x, more = Fraction(2, 7), Recorded(1)
    border = digits(x, 64)
    for at, expected in ((border - 1, True), (border + 1, False)):
        assert (
            happens(np.array([at], np.uint64), np.array([2 / 7]), 1.0, lambda _: (2, 7), more)[0] == expected
        )
    assert more.drawn == 0
    second = digits(x, 128) & (1 << 64) - 1
    for at, expected in ((second - 1, True), (second + 1, False)):
        source = Recorded(1, words(at))
        assert (
            happens(np.array([border], np.uint64), np.array([2 / 7]), 1.0, lambda _: (2, 7), source)[0]
            == expected
        )
        assert source.drawn == 8


def test_geometric_parts_on_a_border() -> None:
    """A word that is a digit of e^-k, with k among those whose digit is 0."""
    for k in (1, 2, 10, 44):
        border = digits(Fraction(k), 64)
        for second, expected in ((0, k), ((1 << 64) - 1, k - 1)):
            source = Recorded(1, words(second))
            assert geometric(np.array([border], np.uint64), source).tolist() == [expected]
            assert source.drawn == 8
    source = Recorded(1, words(0, 1 << 60))
    assert geometric(np.array([0], np.uint64), source).tolist() == [91]  # 2^-132 is between e^-92 and e^-91
    assert source.drawn == 16


def test_a_number_that_is_too_near_to_its_border_for_a_thousand_bits() -> None:
    x = Fraction(1, 3)
    border = digits(x, 1088)
    low = [border >> 64 * i & (1 << 64) - 1 for i in range(17)][::-1]
    for last, expected in ((low[-1] - 1, True), (low[-1] + 1, False)):
        assert Real(low[0], Recorded(1, words(*low[1:-1], last))).below(1, 3) is expected


@given(st.fractions(0, 60), st.integers(1, 300))
def test_digits_are_exact(x: Fraction, bits: int) -> None:
    assert exp_digits(x.numerator, x.denominator, bits) == digits(x, bits)


@pytest.mark.parametrize("x", [Fraction(1, 1 << 400), Fraction(3, 10**80), Fraction(10**9), Fraction(10**40)])
def test_digits_are_exact_where_rounding_is_hard(x: Fraction) -> None:
    """Near 1 the digits begin with ones or with a one and zeros; far away all are zeros."""
    assert exp_digits(x.numerator, x.denominator, 64) == ((1 << 64) - 1 if x < 1 else 0)


@given(st.lists(st.floats(0, 63), min_size=1, max_size=50))
def test_floats_are_as_near_as_is_said(x: list[float]) -> None:
    for value, found in zip(x, exp_minus(np.array(x)), strict=True):
        exact = Fraction(digits(Fraction(value), 300), 1 << 300)
        assert abs(Fraction(float(found)) - exact) <= exact / (1 << 48)


# ---- laws


@given(variances, st.integers(0, 1 << 30))
@settings(max_examples=30, deadline=None)
def test_the_other_sign_is_as_likely(variance: Fraction, seed: int) -> None:
    """The same bytes but for the sign bits give the same sizes, with the other sign."""
    scale, source = Scale.of(variance), Recorded(seed)
    width, bit = scale.words + 3, scale.shift
    data = np.frombuffer(source(8 * width * 40), np.uint64).reshape(-1, width).copy()
    data[:, scale.words + 2] >>= np.uint64(1)  # few are thrown away, and none draws more words
    other = data.copy()
    other[:, bit // 64] ^= np.uint64(1 << bit % 64)
    one, two = (scale.batch(40, Recorded(1, each.tobytes())) for each in (data, other))
    assert [draw for draw in one if draw] == [-draw for draw in two if draw]


def test_the_same_bytes_make_the_same_draws_and_others_do_not() -> None:
    one, same, other = (discrete_gaussian(Fraction(10**9), 50, Recorded(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_more_draws_than_a_batch_has() -> None:
    assert len(discrete_gaussian(Fraction(1, 10), BATCH_MOST + 1, Recorded(1))) == BATCH_MOST + 1
    assert discrete_gaussian(Fraction(1), 0, Recorded(1)) == []


@pytest.mark.parametrize("variance", [0, -1, Fraction(1, 1 << 21), MOST_VARIANCE + 1, 10**400])
def test_variances_that_no_noise_has(variance: Fraction) -> None:
    with pytest.raises(UsageError, match=r"a variance (of about 2\^|that is not positive)"):
        discrete_gaussian(Fraction(variance), 1, Recorded(1))


def test_a_negative_count() -> None:
    with pytest.raises(UsageError, match="-1 draws"):
        discrete_gaussian(Fraction(1), -1, Recorded(1))


def test_a_source_that_is_none() -> None:
    with pytest.raises(EnvironmentFault, match="instead of"):
        discrete_gaussian(Fraction(1), 1, lambda count: bytes(count - 1))
    with pytest.raises(EnvironmentFault, match="repeats itself"):
        discrete_gaussian(Fraction(1), 1, bytes)


# ---- releases


def sums(values: Sequence[int], variances: Sequence[Fraction]) -> RowSums:
    return RowSums(values, variances, rows=40, clipped=0)


def test_each_sum_gets_its_own_noise() -> None:
    variances = [Fraction(9), Fraction(1 << 80), Fraction(9), Fraction(1 << 80)]
    found = noisy(sums([10, -(1 << 100), 30, 0], variances), 4, Recorded(3))
    source = Recorded(3)
    small = discrete_gaussian(Fraction(9, 4), 2, source)
    large = discrete_gaussian(Fraction(1 << 78), 2, source)
    assert found == [10 + small[0], large[0] - (1 << 100), 30 + small[1], large[1]]


def test_parts_add_up_to_the_whole_variance() -> None:
    """Five mines' parts, added up, are as good as one Gaussian of the whole variance."""
    parts, count, variance = 5, 40_000, Fraction(1 << 40)
    zeros = sums([0] * count, [variance] * count)
    total = np.sum([noisy(zeros, parts, Recorded(i)) for i in range(parts)], axis=0)
    assert abs(float(np.mean(total**2.0)) / float(variance) - 1) < 5 * math.sqrt(2 / count)


def test_sums_that_fit_nothing() -> None:
    with pytest.raises(UsageError, match="at least one mine"):
        noisy(sums([1], [Fraction(1)]), 0, Recorded(1))
    with pytest.raises(UsageError, match="1 sums and 2 variances"):
        noisy(sums([1], [Fraction(1)] * 2), 1, Recorded(1))
    with pytest.raises(UsageError, match="not positive"):
        noisy(sums([1], [Fraction(0)]), 1, Recorded(1))
    assert noisy(sums([], []), 1, Recorded(1)) == []
