"""Kaplan-Meier, log-rank and Cox, against lifelines' figures of its own data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pysonar.statistics.base import Statistic
from pysonar.statistics.fits.warning import BoundsWarning, PerfectSeparationWarning, StatisticWarning
from pysonar.statistics.local import compute
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.cox_result import CoxResult
from pysonar.statistics.survival.kaplan_meier import (
    KaplanMeier,
    KaplanMeierResult,
    LogRank,
    LogRankResult,
)
from sonar.data.schema import Column
from sonar.errors import ArgumentError, ConfigError, DataError, UsageError
from tests.statistics_kit import Matrix, around, categories, numeric, split

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "statistics.json").read_text())
COX, CURVES = VECTORS["cox"], VECTORS["kaplan-meier"]


def _name(vector: dict[str, Any]) -> str:
    return str(vector["data"])


def rossi() -> tuple[tuple[Column, ...], Matrix, dict[str, Any]]:
    vector = COX[0]
    values = np.array(vector["rows"])
    names = vector["names"]
    columns = (numeric("t", 0, 60), numeric("e", 0, 1), *around(values[:, 2:], names))
    return columns, values, {"time": "t", "event": "e", "columns": names, "grid": vector["grid"]}


def cox(columns: tuple[Column, ...], values: Matrix, mines: int = 3, /, **fields: Any) -> CoxResult:
    found = compute(Cox.model_validate(fields), columns, split(values, mines))
    assert isinstance(found, CoxResult)
    return found


def curves(
    columns: tuple[Column, ...], values: Matrix, mines: int = 3, /, **fields: Any
) -> KaplanMeierResult:
    found = compute(KaplanMeier.model_validate(fields), columns, split(values, mines))
    assert isinstance(found, KaplanMeierResult)
    return found


def timed(vector: dict[str, Any]) -> tuple[tuple[Column, ...], Matrix, dict[str, Any]]:
    columns = (numeric("t", 0, 100), categories("e", "censored", "event"), categories("g", *vector["levels"]))
    asked = {"time": "t", "event": "e", "grid": vector["grid"], "by": "g"}
    return columns, np.array(vector["rows"]), asked


@pytest.mark.parametrize("vector", COX, ids=_name)
@pytest.mark.parametrize("mines", [1, 4])
def test_cox_figures_are_lifelines_within_six_rounds(vector: dict[str, Any], mines: int) -> None:
    values, names = np.array(vector["rows"]), vector["names"]
    columns: tuple[Column, ...] = (numeric("t", 0, 100), numeric("e", 0, 1))
    columns += around(values[:, 2 : 2 + len(names)], names)
    strata = vector["strata"]
    if strata:
        columns += (categories(strata, "0", "1"),)
    found = cox(
        columns, values, mines, time="t", event="e", columns=names, grid=vector["grid"], strata=strata
    )
    assert found.rounds <= 6
    assert found.converged
    assert found.params == pytest.approx(vector["params"], rel=1e-5)
    assert found.bse == pytest.approx(vector["bse"], rel=1e-5)
    assert found.pvalues == pytest.approx(vector["pvalues"], rel=1e-5, abs=1e-9)
    assert found.log_likelihood == pytest.approx(vector["llf"], rel=1e-9)
    assert found.aic == pytest.approx(vector["aic"], rel=1e-9)
    assert found.likelihood_ratio[0] == pytest.approx(vector["lr"], rel=1e-6)
    for baseline, expected in zip(found.baseline, vector["baseline"], strict=True):
        assert baseline.hazard == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_survival_of_rows_is_lifelines() -> None:
    columns, values, asked = rossi()
    found = cox(columns, values, **asked)
    rows = {name: values[:5, 2 + place] for place, name in enumerate(COX[0]["names"])}
    assert found.survival(rows) == pytest.approx(np.array(COX[0]["survival"]), rel=1e-5)
    with pytest.raises(UsageError, match="stratum: 'x' is none of all"):
        found.survival(rows, "x")


def test_breslow_ties_give_the_partial_likelihood_of_breslow() -> None:
    columns, values, asked = rossi()
    found = cox(columns, values, ties="breslow", **asked)
    t, e, x = values[:, 0], values[:, 1] == 1, values[:, 2:]
    eta = x @ found.params
    risk = np.exp(eta - eta.mean())
    at_risk = t[None, :] >= t[e][:, None]
    sums = at_risk @ risk
    value = eta[e].sum() - (np.log(sums) + eta.mean()).sum()
    gradient = x[e].sum(axis=0) - (at_risk @ (risk[:, None] * x) / sums[:, None]).sum(axis=0)
    assert found.log_likelihood == pytest.approx(value, rel=1e-9)
    assert np.abs(gradient * found.bse).max() < 1e-5


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 10), st.integers(0, 1000))
def test_any_split_of_rows_gives_the_same(mines: int, seed: int) -> None:
    columns, values, asked = rossi()
    shuffled = np.random.default_rng(seed).permutation(values)
    one, many = cox(columns, values, 1, **asked), cox(columns, shuffled, mines, **asked)
    assert many.params == pytest.approx(one.params, rel=1e-6)
    assert many.bse == pytest.approx(one.bse, rel=1e-6)


def test_two_hundred_times_fit_a_question() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (3000, 7))
    t = np.ceil(np.minimum(rng.exponential(80 * np.exp(-0.4 * x[:, 0])), 199.5))
    e = (t < 200) & (rng.random(3000) < 0.8)
    names = [f"x{place}" for place in range(7)]
    columns = (numeric("t", 0, 200), numeric("e", 0, 1), *around(x, names))
    found = cox(
        columns,
        np.column_stack([t, e, x]),
        time="t",
        event="e",
        columns=names,
        grid=np.arange(1.0, 201).tolist(),
    )
    assert found.converged
    assert found.rounds <= 6
    assert found.params[0] == pytest.approx(0.4, abs=4 * found.bse[0])


def test_a_grid_that_does_not_fit_is_refused_with_numbers() -> None:
    columns, values, asked = rossi()
    grid = np.linspace(1, 52, 300).tolist()
    with pytest.raises(ConfigError, match=r"statistic.grid: 300 times, 1 strata.* 4,096 are the most"):
        cox(columns, values, **asked | {"grid": grid})
    with pytest.raises(ConfigError, match=r"statistic.grid: 600 times.* 1,024 are the most"):
        cox(columns, values, **asked | {"grid": np.linspace(1, 52, 600).tolist(), "columns": ["age"]})


@pytest.mark.parametrize("vector", CURVES, ids=_name)
@pytest.mark.parametrize("mines", [1, 7])
def test_curves_are_lifelines(vector: dict[str, Any], mines: int) -> None:
    columns, values, asked = timed(vector)
    found = curves(columns, values, mines, **asked)
    for level, expected in vector["curves"].items():
        curve = found.curve(level)
        assert curve.survival == pytest.approx(expected["survival"], rel=1e-12)
        assert curve.interval == pytest.approx(np.array(expected["interval"]), rel=1e-9, abs=1e-12)
        told = [curve.median, *curve.median_interval]
        assert [one if math.isfinite(one) else None for one in told] == [
            expected["median"],
            *expected["median_interval"],
        ]
    assert found.log_rank is not None
    assert [found.log_rank.chi2, found.log_rank.p] == pytest.approx(vector["overall"], rel=1e-9)


@pytest.mark.parametrize("vector", CURVES, ids=_name)
def test_log_rank_of_each_pair_is_lifelines(vector: dict[str, Any]) -> None:
    columns, values, asked = timed(vector)
    found = compute(LogRank.model_validate(asked), columns, split(values, 3))
    assert isinstance(found, LogRankResult)
    assert [[one.chi2, one.p] for one in found.pairs] == [
        pytest.approx(pair, rel=1e-9) for pair in vector["pairs"]
    ]
    assert [found.overall.chi2, found.overall.p] == pytest.approx(vector["overall"], rel=1e-9)
    assert "all groups" in found.summary()
    json.dumps(found.to_dict(), allow_nan=False)


def test_curves_are_scipys_without_groups() -> None:
    vector = CURVES[0]
    columns, values, asked = timed(vector)
    found = curves(columns, values, **asked | {"by": None}).curve()
    died = values[:, 1] == 1
    data = stats.CensoredData(uncensored=values[died, 0], right=values[~died, 0])
    theirs = stats.ecdf(data).sf
    assert found.survival == pytest.approx(theirs.evaluate(found.times), rel=1e-12)


def test_events_between_times_count_at_the_later_and_are_told() -> None:
    columns, values, asked = timed(CURVES[0])
    grid = [1.0, 2.0, 4.0, 8.0]
    with pytest.warns(BoundsWarning, match="between two times of `grid`"):
        found = curves(columns, values, **asked | {"grid": grid, "by": None}).curve()
    died = values[:, 1] == 1
    assert found.events.tolist() == [
        int((died & (values[:, 0] > start) & (values[:, 0] <= end)).sum())
        for start, end in zip([-1.0, *grid], grid, strict=False)
    ]
    assert found.rows == len(values)


def test_events_after_the_last_time_are_told() -> None:
    columns, values, asked = rossi()
    with pytest.warns(BoundsWarning, match="after 26, the last time of `grid`"):
        cox(columns, values, **asked | {"grid": list(range(1, 27))})


def refused(statistic: Statistic, columns: tuple[Column, ...], values: Matrix) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        compute(statistic, columns, split(values, 2))
    return str(caught.value)


def test_what_cannot_be_meant_is_refused_by_name() -> None:
    columns, values, asked = rossi()

    def told(**fields: Any) -> str:
        return refused(Cox.model_validate(asked | fields), columns, values)

    assert "statistic.grid: 3 is not after the time before it" in told(grid=[1, 5, 3])
    assert "statistic.grid: has a time that is no number of 0 or more" in told(grid=[-1, 5])
    assert "statistic.event: column 'age' has bounds" in told(event="age", columns=["fin"])
    assert "statistic.strata: column 'race' has numbers" in told(strata="race", columns=["fin"])
    assert "statistic.columns: there is no column 'week'" in told(columns=["week"])
    negative = (numeric("t", -1, 60), *columns[1:])
    text = refused(Cox.model_validate(asked), negative, values)
    assert "statistic.time: column 't' has a low bound of -1; times are 0 or more" in text


def test_no_events_and_too_few_are_refused() -> None:
    columns, values, asked = rossi()
    none = values.copy()
    none[:, 1] = 0
    assert "column 'e': no row has an event" in refused(Cox.model_validate(asked), columns, none)
    few = none.copy()
    few[:5, 1] = 1
    assert "rows: 5 events; 7 coefficients" in refused(Cox.model_validate(asked), columns, few)
    km = KaplanMeier(time="t", event="e", grid=(10.0, 20.0))
    assert "column 'e': no row has an event" in refused(km, columns, none)


def test_constant_and_collinear_columns_are_refused_by_name() -> None:
    columns, values, asked = rossi()
    flat = values.copy()
    flat[:, 3] = 30
    assert "column 'age': is constant" in refused(Cox.model_validate(asked), columns, flat)
    twice = values.copy()
    twice[:, 8] = values[:, 3] / 4
    text = refused(Cox.model_validate(asked), columns, twice)
    assert "'age', 'prio' are collinear" in text


def test_a_level_without_events_is_told() -> None:
    columns, values, asked = rossi()
    level = (np.arange(len(values)) % 3).astype(np.float64)
    values = np.column_stack([values, level])
    values[level == 2, 1] = 0
    columns += (categories("site", "x", "y", "z"),)
    with pytest.warns(PerfectSeparationWarning, match="no row with level 'z' of column 'site' has 'e'"):
        cox(columns, values, **asked | {"columns": ["fin", "site"]})


def test_a_column_that_orders_all_events_is_told() -> None:
    rng = np.random.default_rng(9)
    t = np.ceil(rng.exponential(20, 300))
    values = np.column_stack([t, np.ones(300), -t + rng.normal(0, 0.1, 300)])
    columns = (numeric("t", 0, 200), numeric("e", 0, 1), numeric("x", -200, 1))
    grid = sorted(set(t.tolist()))
    with pytest.warns(StatisticWarning, match="column 'x'|risk_max"):
        found = cox(columns, values, time="t", event="e", columns=["x"], grid=grid)
    assert any("'x' may order all events (a complete separation)" in text for text in found.warnings)
    assert not found.converged


def test_results_are_shown_in_every_form() -> None:
    columns, values, asked = rossi()
    found = cox(columns, values, **asked)
    for word in ("Partial log-likelihood:", "hazard ratio", "Events observed:", "efron", "fin"):
        assert word in found.summary()
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["events"] == 114
    assert len(document["baseline"]["all"]["hazard"]) == len(COX[0]["grid"])
    assert "<table>" in found._repr_html_()
    some = curves(*timed(CURVES[0])[:2], **timed(CURVES[0])[2])
    assert "median" in some.summary()
    json.dumps(some.to_dict(), allow_nan=False)


def test_pictures_show_what_they_should() -> None:
    columns, values, asked = rossi()
    axes = cox(columns, values, **asked).plot()
    assert [text.get_text() for text in axes.get_yticklabels()] == list(asked["columns"])
    some = curves(*timed(CURVES[1])[:2], **timed(CURVES[1])[2]).plot()
    legend = some.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == CURVES[1]["levels"]
    assert some.get_xlabel() == "t"


def test_a_grid_beyond_all_times_is_refused_with_their_bounds() -> None:
    columns, values, fields = rossi()
    with pytest.raises(DataError, match=r"^grid: all events count at 1000, .*\nhint: give times .* 0 to 60"):
        cox(columns, values, **{**fields, "grid": [1000, 2000]})
    assert cox(columns, values, **{**fields, "grid": [26, 52]}).events == 114


def test_names_that_a_curve_does_not_have_are_refused() -> None:
    columns, values, fields = rossi()
    asked = KaplanMeier.model_validate({"time": "t", "event": "e", "grid": fields["grid"]})
    found = compute(asked, columns[:2], split(values[:, :2], 3))
    assert isinstance(found, KaplanMeierResult)
    with pytest.raises(ArgumentError, match="there is no curve 'Drug'") as caught:
        found.curve("Drug")
    assert caught.value.hint == "there are all"


def test_the_level_that_is_an_event_is_named() -> None:
    columns, values, fields = rossi()
    named = (columns[0], categories("e", "lost", "died"), *columns[2:])
    found = cox(named, values, **fields)
    assert "e = 'died'" in found.summary()
    assert found.to_dict()["event_level"] == "died"
    assert found.events == cox(columns, values, **fields).events == int(values[:, 1].sum())
    asked = {"time": "t", "event": "e", "grid": fields["grid"], "by": "by"}
    grouped = (*named[:2], categories("by", "x", "y"))
    rows = np.column_stack([values[:, :2], np.arange(len(values)) % 2])
    for kind in (KaplanMeier, LogRank):
        curves = compute(kind.model_validate(asked), grouped, split(rows, 3))
        assert "e = 'died'" in curves.summary()
        assert curves.to_dict()["event_level"] == "died"
