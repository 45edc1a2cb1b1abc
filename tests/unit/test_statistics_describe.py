"""Descriptions of columns in one round, against numpy and scipy on the pooled rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pysonar
from pysonar.statistics.local import compute
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.description import Description
from sonar.errors import ArgumentError, ConfigError, DataError
from tests.statistics_kit import Matrix, categories, numeric, split

COLUMNS = (numeric("far", 0, 1e6), numeric("bmi", 10, 60, missing=True), categories("sex", "f", "m", "x"))


def table(n: int = 2000, seed: int = 1) -> Matrix:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(9e5, 1, n), rng.gamma(6, 4, n), rng.integers(0, 2, n)])
    values[:7, 1] = np.nan
    return values


def described(values: Matrix, mines: int = 10, **fields: object) -> Description:
    found = compute(Describe.model_validate(fields), COLUMNS, split(values, mines))
    assert isinstance(found, Description)
    return found


def test_moments_equal_the_pooled_ones() -> None:
    values = table()
    found = described(values)
    for name, column in (("far", values[:, 0]), ("bmi", np.clip(values[:, 1], 10, 60))):
        there = column[~np.isnan(column)]
        assert found[name].count == len(there)
        assert found[name].missing == len(column) - len(there)
        assert found[name].mean == pytest.approx(there.mean(), rel=1e-12)
        assert found[name].std == pytest.approx(there.std(ddof=1), rel=1e-9)
        assert found[name].skewness == pytest.approx(stats.skew(there, bias=False), rel=1e-6)
        assert found[name].kurtosis == pytest.approx(stats.kurtosis(there, bias=False), rel=1e-6)


def test_quantiles_and_ends_are_within_a_bin() -> None:
    values = table()
    found = described(values, quantiles=(0.0, 0.05, 0.5, 0.95, 1.0))["bmi"]
    there = np.clip(values[7:, 1], 10, 60)
    for share, quantile in found.quantiles.items():
        assert abs(quantile - np.quantile(there, share)) <= found.bin_width
    assert found.min <= there.min() < found.min + found.bin_width
    assert found.max - found.bin_width <= there.max() <= found.max


def test_groups_are_those_of_the_pooled_rows() -> None:
    values = table()
    found = described(values, by="sex")
    by_group = {(each.column, each.group): each for each in found.numbers}
    for code, level in enumerate(("f", "m")):
        far = values[values[:, 2] == code, 0]
        assert by_group["far", level].count == len(far)
        assert by_group["far", level].mean == pytest.approx(far.mean(), rel=1e-12)
        assert by_group["far", level].std == pytest.approx(far.std(ddof=1), rel=1e-8)
    assert by_group["bmi", "x"].count == 0
    assert np.isnan(by_group["bmi", "x"].mean)


def test_levels_are_counted() -> None:
    values = table()
    (levels,) = described(values).levels
    codes = values[:, 2]
    assert levels.counts == {"f": int((codes == 0).sum()), "m": int((codes == 1).sum()), "x": 0}


def test_clipped_values_are_told_without_rows() -> None:
    values = table()
    above, below = int((values[:, 1] > 60).sum()), int((values[:, 1] < 10).sum())
    (warning,) = described(values).warnings
    assert f"{(above + below) / (len(values) - 7):.2%} of the values of column 'bmi'" in warning
    assert f"{below} below, {above} above" in warning


@settings(max_examples=15, deadline=None)
@given(mines=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_any_split_of_the_rows_gives_the_same(mines: int, seed: int) -> None:
    values = table(120, seed)
    one, several = described(values, 1), described(values, mines)
    for a, b in zip(one.numbers, several.numbers, strict=True):
        assert (a.count, a.missing, a.min, a.max, a.quantiles) == (
            b.count,
            b.missing,
            b.min,
            b.max,
            b.quantiles,
        )
        assert (a.mean, a.std, a.skewness, a.kurtosis) == pytest.approx(
            (b.mean, b.std, b.skewness, b.kurtosis), rel=1e-5, abs=1e-6
        )


def test_one_row_has_a_mean_and_no_deviation() -> None:
    found = described(table(1)[:, :], 1)["far"]
    assert found.count == 1
    assert np.isnan([found.std, found.skewness, found.kurtosis]).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values_are_refused_by_column(bad: float) -> None:
    values = table()
    values[3, 1] = bad
    with pytest.raises(DataError, match="column 'bmi': has an infinite value"):
        described(values)


def test_wrong_columns_are_refused_by_field() -> None:
    values = table()
    with pytest.raises(ConfigError, match=r"statistic.columns: there is no column 'weight'"):
        described(values, columns=("weight",))
    with pytest.raises(ConfigError, match=r"statistic.by: column 'bmi' has numbers, not categories"):
        described(values, by="bmi")
    with pytest.raises(ConfigError, match=r"statistic.columns: column 'sex' has another part"):
        described(values, columns=("sex",), by="sex")
    many = tuple(numeric(f"x{i}", 0, 1) for i in range(200))
    with pytest.raises(ConfigError, match=r"leave room for 0 bins"):
        Describe().spec(many, 10, 100)


def test_the_summary_shows_every_column() -> None:
    found = described(table())
    text, html = found.summary(), found._repr_html_()
    for word in ("far", "bmi", "sex", "count", "25%", "skew", "(missing)"):
        assert word in text
        assert word in html
    assert found.to_dict()["numbers"][0]["count"] == 2000


def test_quantiles_are_within_their_width_of_the_row_nearest_to_their_place() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).exponential(size=30)
        shares = (0.2, 0.4, 0.7)
        found = pysonar.describe([{"a": values}], quantiles=shares)["a"]
        nearest = np.quantile(values, shares, method="nearest")
        assert (np.abs(np.array([*found.quantiles.values()]) - nearest) <= found.bin_width * 1.0001).all()


def test_a_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    found = pysonar.describe([{"a": [1.0, 2.0, 3.0] * 10, "b": ["x", "y", "x"] * 10}])
    calls: tuple[Callable[[], object], ...] = (
        lambda: found["zz"],
        lambda: found.plot("zz"),
        lambda: found.plot("b"),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="there is no column of numbers") as caught:
            call()
        assert caught.value.hint == "there are a"
