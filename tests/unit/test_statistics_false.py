"""Numbers that would be wrong without a word: log-ranks of small groups, wide bounds, and sums of no rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pysonar.statistics.base import Seen
from pysonar.statistics.evaluation.statistic import Evaluation
from pysonar.statistics.glm.likelihood import Fit
from pysonar.statistics.glm.result import GlmResult
from pysonar.statistics.survival.curves import Curve, log_rank
from sonar.errors import DataError
from sonar.families.sums.totals import Totals, totals
from tests.statistics_kit import numeric


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
        events = np.bincount(time[(group == one) & died], minlength=times + 1)[1:] * 1.0
        ended = np.bincount(time[group == one], minlength=times + 1)[1:]
        at_risk = ended[::-1].cumsum()[::-1] * 1.0
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
