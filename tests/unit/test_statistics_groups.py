"""Groups compared in one round, against scipy on the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pysonar.statistics.local import compute
from pysonar.statistics.single.crosstab import Crosstab, CrosstabResult
from pysonar.statistics.single.groups import Anova, AnovaResult, holm
from sonar.errors import ConfigError, DataError
from tests.statistics_kit import Matrix, categories, numeric, split

COLUMNS = (numeric("y", -50, 80), categories("g", "a", "b", "c", "d"), categories("h", "p", "q"))


def table(n: int = 500, seed: int = 3) -> Matrix:
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 3, n), rng.integers(0, 2, n)
    h = np.where(rng.random(n) < 0.3, g > 1, h)
    return np.column_stack([rng.normal(10 + g, 2 + g), g, h])


def anova(values: Matrix) -> AnovaResult:
    found = compute(Anova(column="y", by="g"), COLUMNS, split(values))
    assert isinstance(found, AnovaResult)
    return found


def crosstab(values: Matrix, rows: str = "g", columns: str = "h") -> CrosstabResult:
    found = compute(Crosstab(rows=rows, columns=columns), COLUMNS, split(values))
    assert isinstance(found, CrosstabResult)
    return found


def test_means_are_compared_as_scipy_does() -> None:
    values = table()
    found = anova(values)
    groups = [values[values[:, 1] == code, 0] for code in range(3)]
    theirs = stats.f_oneway(*groups)
    assert found.fvalue == pytest.approx(theirs.statistic, rel=1e-9)
    assert found.pvalue == pytest.approx(theirs.pvalue, rel=1e-6)
    assert "No row has the level 'd' of 'g'." in found.warnings
    for pair, (i, j) in zip(found.differences, ((0, 1), (0, 2), (1, 2)), strict=True):
        welch = stats.ttest_ind(groups[i], groups[j], equal_var=False)
        ends = welch.confidence_interval(0.95)
        assert (pair.t, pair.df) == pytest.approx((welch.statistic, welch.df), rel=1e-9)
        assert pair.p == pytest.approx(welch.pvalue, rel=1e-6)
        assert (pair.low, pair.high) == pytest.approx((ends.low, ends.high), rel=1e-6)
    for group, rows in zip(found.groups, groups, strict=True):
        half = stats.t.ppf(0.975, len(rows) - 1) * stats.sem(rows)
        assert (group.low, group.high) == pytest.approx((rows.mean() - half, rows.mean() + half), rel=1e-6)
    assert "a - b" in found.summary()
    axes = found.plot()
    assert len(axes.get_yticklabels()) == 3


def test_holm_allows_for_all_pairs() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, np.nan, 0.8]))[0] == pytest.approx(1.0)


def test_counts_are_tested_as_scipy_does() -> None:
    values = table()
    found = crosstab(values)
    counts = np.array(
        [[((values[:, 1] == i) & (values[:, 2] == j)).sum() for j in range(2)] for i in range(3)]
    )
    theirs = stats.chi2_contingency(counts, correction=False)
    assert found.counts.tolist() == counts.tolist()
    assert found.row_levels == ("a", "b", "c")
    assert (found.chi2, found.df) == pytest.approx((theirs.statistic, theirs.dof))
    assert found.pvalue == pytest.approx(theirs.pvalue)
    assert found.expected == pytest.approx(theirs.expected_freq)
    assert found.cramers_v == pytest.approx(stats.contingency.association(counts, "cramer"))
    assert np.isnan(found.odds_ratio)


def test_two_by_two_has_an_odds_ratio() -> None:
    values = table()
    found = crosstab(values[values[:, 1] < 2])
    theirs = stats.contingency.odds_ratio(found.counts.astype(int), kind="sample")
    ends = theirs.confidence_interval(0.95)
    assert found.odds_ratio == pytest.approx(theirs.statistic)
    assert (found.odds_low, found.odds_high) == pytest.approx((ends.low, ends.high), rel=1e-6)
    assert "Odds ratio" in found.summary()


def test_too_few_rows_or_groups_are_refused() -> None:
    values = table()
    with pytest.raises(DataError, match="rows: 1 row in 1 group;"):
        anova(values[:1])
    with pytest.raises(DataError, match="occur together"):
        crosstab(values[values[:, 1] == 1])
    with pytest.raises(ConfigError, match=r"statistic.columns: is 'g', as `rows` is"):
        crosstab(values, "g", "g")
    assert any("the p-value is rough" in text for text in crosstab(values[:8]).warnings)
