"""Numbers that would be wrong without a word: log-ranks of small groups, wide bounds, and sums of no rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pysonar.statistics.base import Seen
from pysonar.statistics.evaluation.result import EvaluationResult
from pysonar.statistics.evaluation.statistic import Evaluation
from pysonar.statistics.fits.warning import BoundsWarning
from pysonar.statistics.glm.likelihood import Fit
from pysonar.statistics.glm.result import GlmResult
from pysonar.statistics.local import compute
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.description import Description
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.curves import Curve, log_rank
from sonar.errors import DataError
from sonar.families.sums.totals import Totals, totals
from tests.statistics_kit import numeric

Floats = NDArray[np.float64]


def curves(seed: int) -> list[Curve]:
    """Three to five groups, all but the first of six rows."""
    rng = np.random.default_rng(seed)
    rows, groups, times = int(rng.choice([600, 5000])), int(rng.integers(3, 6)), 20
    group = np.zeros(rows, dtype=np.int64)
    for one in range(1, groups):
        group[6 * one : 6 * one + 6] = one
    rng.shuffle(group)
    time, died = rng.integers(1, times + 1, rows), rng.random(rows) < 0.6
    found = []
    for one in range(groups):
        events = np.bincount(time[(group == one) & died], minlength=times + 1)[1:].astype(np.float64)
        ended = np.bincount(time[group == one], minlength=times + 1)[1:]
        at_risk = ended[::-1].cumsum()[::-1].astype(np.float64)
        found.append(Curve(str(one), np.arange(1, times + 1.0), events, at_risk, int((group == one).sum())))
    return found


def test_a_log_rank_of_small_groups_is_the_solved_one() -> None:
    for seed in range(60):
        some = curves(seed)
        events, at_risk = np.stack([one.events for one in some]), np.stack([one.at_risk for one in some])
        d, n = events.sum(axis=0), at_risk.sum(axis=0)
        apart, share = (events - at_risk * d / n).sum(axis=1), at_risk / n
        factor = d * (n - d) / (n - 1)
        variance = np.diag((share * factor).sum(axis=1)) - (share * factor) @ share.T
        expected = apart[1:] @ np.linalg.solve(variance[1:, 1:], apart[1:])
        assert log_rank(some).chi2 == pytest.approx(expected, rel=1e-8)


def test_a_log_rank_leaves_out_a_group_without_rows() -> None:
    some = curves(1)
    empty = replace(some[0], group="x", events=0 * some[0].events, at_risk=0 * some[0].at_risk, rows=0)
    assert log_rank([empty, *some]).chi2 == pytest.approx(log_rank(some).chi2, rel=1e-9)


COLUMNS = (numeric("x", -6, 6), numeric("y", -10, 10))


def evaluated(place: int, value: float) -> None:
    """A regression is measured on sums of which one is another."""
    asked = Evaluation(
        task="regression", target="y", columns=("x",), coefficients=((0.5,),), intercepts=(0.0,)
    )
    spec = asked.spec(COLUMNS, 10, 1000)
    rows = np.random.default_rng(0).normal(size=(108, 2))
    weights = asked.start(spec)
    flat = totals(spec, [rows], weights).flat.copy()
    flat[1 + place] = value
    asked.result(spec, [Seen(weights, Totals(spec, flat), 2)])


@pytest.mark.parametrize(("place", "value"), [(0, -200.0), (4, -3.0), (2, -1.0), (10, -5.0), (12, 6600.0)])
def test_an_evaluation_of_no_rows_sums_is_refused(place: int, value: float) -> None:
    with pytest.raises(DataError, match="the sums of no rows"):
        evaluated(place, value)


def test_more_clipped_values_than_rows_are_refused() -> None:
    spec = Evaluation(
        task="regression", target="y", columns=("x",), coefficients=((0.5,),), intercepts=(0.0,)
    ).spec(COLUMNS, 10, 1000)
    places = spec.values - 3 * 2 - 1
    with pytest.raises(DataError, match="more values of column 'y' are clipped than there are"):
        evaluated(places + 1, 400.0)


def test_a_model_without_a_null_likelihood_has_no_r2_of_mcfadden() -> None:
    fit = Fit.__new__(Fit)
    object.__setattr__(fit, "null_log_likelihood", 0.0)
    object.__setattr__(fit, "log_likelihood", -1.0)
    found = GlmResult.__new__(GlmResult)
    object.__setattr__(found, "fit", fit)
    assert np.isnan(found.mcfadden_r2)


@pytest.mark.parametrize("half", [10.0, 1e3])
def test_a_regression_within_usual_bounds_is_measured(half: float) -> None:
    found, y, prediction = regression(half)
    r2 = 1 - np.mean((y - prediction) ** 2) / np.var(y)
    assert found.measures["R2"] == pytest.approx(r2, abs=1e-3)


@pytest.mark.parametrize("half", [1e5, 1e6])
def test_a_regression_whose_errors_are_rounding_is_not_measured(half: float) -> None:
    with pytest.warns(BoundsWarning, match="the bounds of column 'y' are so wide that rounding hides"):
        found, _, _ = regression(half)
    assert np.isnan([found.measures[name] for name in ("MSE", "RMSE", "R2")]).all()


def regression(half: float) -> tuple[EvaluationResult, Floats, Floats]:
    """A model measured within bounds of so many deviations."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=600)
    y = x + rng.normal(size=600)
    asked = Evaluation(
        task="regression", target="y", columns=("x",), coefficients=((0.9,),), intercepts=(0.0,)
    )
    columns = (numeric("x", -6, 6), numeric("y", -half, half))
    found = compute(asked, columns, np.array_split(np.column_stack([x, y]), 5))
    assert isinstance(found, EvaluationResult)
    return found, y, 0.9 * x


@pytest.mark.parametrize(("half", "hidden"), [(1e4, False), (1e6, False), (3e7, True), (1e8, True)])
def test_a_kurtosis_of_rounding_is_not_shown(half: float, hidden: bool) -> None:
    x = np.random.default_rng(1).normal(size=600) + 0.3 * half
    found = compute(Describe(), (numeric("x", -half, half),), np.array_split(x[:, None], 5))
    assert isinstance(found, Description)
    assert bool(np.isnan(found.numbers[0].kurtosis)) is hidden
    assert any("rounding hides its skewness and kurtosis" in text for text in found.warnings) is hidden
    if not hidden:
        assert found.numbers[0].kurtosis == pytest.approx(stats.kurtosis(x, bias=False), abs=1e-3)


def test_a_hazard_ratio_of_too_wide_bounds_is_not_called_a_separation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    time = np.minimum(np.ceil(rng.exponential(1 / np.exp(0.7 * x)) * 5), 10.0)
    columns = (numeric("t", 0, 11), numeric("e", 0, 1), numeric("x", 0, 20000))
    rows = np.column_stack([time, (time < 10) * 1.0, x + 10000])
    asked = Cox(time="t", event="e", columns=("x",), grid=tuple(range(1, 11)))
    with pytest.warns(BoundsWarning, match="the bounds of column 'x' are over 1,000 times as wide"):
        compute(asked, columns, np.array_split(rows, 5))
