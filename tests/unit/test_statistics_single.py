"""Histograms and quantiles, against numpy on the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.statistics.local import compute
from pysonar.statistics.single.histograms import AskHistogram, HistogramResult
from pysonar.statistics.single.quantiles import Quantiles, QuantilesResult
from sonar.errors import ConfigError, DataError
from tests.statistics_kit import Matrix, categories, numeric, split

COLUMNS = (numeric("x", 0, 1000, missing=True), categories("g", "a", "b", "c"))


def table(n: int = 5000, seed: int = 1) -> Matrix:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.lognormal(3, 1, n), rng.integers(0, 2, n)])
    values[:3, 0] = np.nan
    return values


def quantiles(values: Matrix, mines: int = 10, **fields: object) -> QuantilesResult:
    found = compute(Quantiles.model_validate({"column": "x", **fields}), COLUMNS, split(values, mines))
    assert isinstance(found, QuantilesResult)
    return found


def test_a_histogram_counts_as_numpy_does() -> None:
    values = table()
    found = compute(AskHistogram(column="x", bins=25, by="g"), COLUMNS, split(values))
    assert isinstance(found, HistogramResult)
    for code in range(3):
        own = np.clip(values[values[:, 1] == code, 0], 0, 1000)
        assert found.counts[code].tolist() == np.histogram(own[~np.isnan(own)], found.edges)[0].tolist()
    assert (found.density[:2] * np.diff(found.edges)).sum(axis=1) == pytest.approx([1, 1])
    assert "0 to 40" in found.summary()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 4), mines=st.integers(1, 9))
def test_quantiles_lie_where_they_are_said_to(seed: int, steps: int, mines: int) -> None:
    values = table(600, seed)
    shares = (0.01, 0.1, 0.5, 0.9, 0.99)
    found = quantiles(values, mines, shares=shares, steps=steps, bins=16)
    there = np.sort(np.clip(values[3:, 0], 0, 1000))
    exact = np.array([there[round(share * (len(there) - 1))] for share in shares])
    assert (found.low <= exact).all()
    assert (exact <= found.high).all()
    assert found.nobs == len(there)


def test_each_round_narrows_and_few_rows_end_it() -> None:
    values = table()
    widths = [
        np.max(np.subtract(found.high, found.low)[:2])
        for found in (quantiles(values, steps=s) for s in (1, 2))
    ]
    assert widths[1] == pytest.approx(widths[0] / 32)
    last = quantiles(values, steps=10)
    assert last.rounds < 10
    exact = np.quantile(values[3:, 0], last.shares)
    assert last.values == pytest.approx(exact, rel=0.02)


def test_equal_values_are_told_no_closer_than_a_millionth_of_the_bounds() -> None:
    values = table()
    values[:, 0] = 123.456
    found = quantiles(values, steps=10)
    assert found.high - found.low == pytest.approx(np.full(3, 1000 / 2**20))
    assert (abs(found.values - 123.456) < 1e-3).all()


def test_what_has_no_quantiles_is_refused() -> None:
    values = table(50)
    values[:, 0] = np.nan
    with pytest.raises(DataError, match="column 'x': no row has a value"):
        quantiles(values)
    with pytest.raises(ConfigError, match=r"statistic.column: column 'g' has categories"):
        quantiles(values, column="g")
