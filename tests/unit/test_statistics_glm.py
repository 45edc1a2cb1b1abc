"""Logistic, Poisson and gamma regression, against statsmodels and scipy on the pooled rows."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn.datasets import load_breast_cancer, load_diabetes

from pysonar.statistics.fits.warning import (
    BoundsWarning,
    ConvergenceWarning,
    PerfectSeparationWarning,
    StatisticWarning,
)
from pysonar.statistics.glm.result import GlmResult
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.local import compute
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError, FieldError
from sonar.families.sums.guards import least_rows
from tests.statistics_kit import Matrix, around, categories, numeric, split

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "statistics.json").read_text())
DIABETES = load_diabetes(scaled=False)
NAMES = tuple(DIABETES.feature_names)


def fitted(columns: tuple[Column, ...], values: Matrix, mines: int = 3, /, **fields: Any) -> GlmResult:
    asked = {"target": "y", "columns": tuple(column.name for column in columns if column.name != "y")}
    found = compute(Glm.model_validate(asked | fields), columns, split(values, mines))
    assert isinstance(found, GlmResult)
    return found


def quietly(columns: tuple[Column, ...], values: Matrix, /, **fields: Any) -> GlmResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticWarning)
        return fitted(columns, values, **fields)


def table(n: int = 600, seed: int = 0) -> Matrix:
    """a, b, exposure, weight, and a target of counts."""
    rng = np.random.default_rng(seed)
    a, b, days = rng.normal(0, 1, n), rng.uniform(0, 10, n), rng.uniform(1, 30, n)
    y = rng.poisson(days * np.exp(0.5 * a - 0.1 * b - 1))
    return np.column_stack([a, b, days, rng.integers(1, 4, n), np.minimum(y, 99)]).astype(np.float64)


COLUMNS: tuple[Column, ...] = (
    numeric("a", -4, 4),
    numeric("b", 0, 10),
    numeric("days", 1, 30),
    numeric("times", 0, 5),
    numeric("y", 0, 100),
)


@pytest.mark.parametrize("vector", VECTORS["glm"], ids=lambda each: each["data"])
@pytest.mark.parametrize("mines", [1, 2, 5])
def test_figures_are_statsmodels_within_six_rounds(vector: dict[str, Any], mines: int) -> None:
    values = np.array(vector["rows"])
    columns = around(values[:, :-1], vector["names"])
    low, high = {"binomial": (0, 1), "poisson": (0, 50), "gamma": (1, 150)}[vector["family"]]
    y = numeric("y", low, high)
    found = fitted((*columns, y), values, mines, family=vector["family"])
    assert found.rounds <= 6
    assert found.converged
    assert found.params == pytest.approx(vector["params"], rel=1e-5)
    assert found.bse == pytest.approx(vector["bse"], rel=1e-5)
    assert found.pvalues == pytest.approx(vector["pvalues"], rel=1e-5, abs=1e-9)
    figures = {name: getattr(found.fit, name) for name in ("deviance", "null_deviance", "scale")}
    figures |= {"llf": found.fit.log_likelihood, "llnull": found.fit.null_log_likelihood}
    figures |= {"aic": found.aic, "pseudo_r2": found.pseudo_r2, "pearson_chi2": found.fit.pearson_chi2}
    assert figures == pytest.approx({name: vector[name] for name in figures}, rel=1e-5)


@pytest.mark.parametrize("few", [[0, 1, 4, 5, 8], [21, 24, 27, 28], list(range(10))])
def test_six_rounds_do_where_columns_tell_the_target_well(few: list[int]) -> None:
    cancer = load_breast_cancer()
    x, y = cancer.data[:, few], cancer.target.astype(float)
    names = [f"c{place}" for place in few]
    found = fitted((*around(x, names), numeric("y", 0, 1)), np.column_stack([x, y]), family="binomial")
    pooled = optimum(x, y)
    assert found.rounds <= 6
    assert found.params == pytest.approx(pooled, rel=1e-5)


def optimum(x: Matrix, y: Matrix) -> Matrix:
    """Logistic regression's coefficients by Newton's method on the pooled rows, to the last digit."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    z = np.column_stack([np.ones(len(x)), (x - mean) / deviation])
    start = optimize.minimize(
        lambda b: float(np.logaddexp(0, z @ b).sum() - y @ (z @ b)),
        np.zeros(z.shape[1]),
        jac=lambda b: z.T @ (special.expit(z @ b) - y),
        method="BFGS",
    ).x
    for _ in range(10):
        p = special.expit(z @ start)
        start = start + np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z, z.T @ (y - p))
    slopes = start[1:] / deviation
    return np.concatenate([[start[0] - slopes @ mean], slopes])


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_small_means_need_no_limits_of_their_own(family: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (4000, 4))
    mu = np.exp(x @ [0.5, -0.8, 0.5, 0.2] - (4 if family == "poisson" else 0))
    y = rng.poisson(mu).astype(float) if family == "poisson" else rng.gamma(0.3, mu / 0.3) + 1e-3
    target = numeric("y", 0, 20) if family == "poisson" else numeric("y", 1e-3, 1000)
    found = fitted((*around(x, "abcd"), target), np.column_stack([x, y]), family=family)
    z = np.column_stack([np.ones(len(x)), x])
    fitted_mu = np.exp(z @ found.params)
    score = z.T @ (y - fitted_mu if family == "poisson" else y / fitted_mu - 1)
    assert found.rounds <= 6
    assert not found.warnings
    assert np.abs(score * found.bse).max() < 1e-5, "the pooled likelihood is highest here"


def test_exposure_and_weights_are_those_of_repeated_rows() -> None:
    values = table()
    asked: dict[str, Any] = {"columns": ("a", "b"), "family": "poisson", "exposure": "days"}
    weighted = fitted(COLUMNS, values, weights="times", **asked)
    repeated = fitted(COLUMNS, np.repeat(values, values[:, 3].astype(int), axis=0), **asked)
    assert weighted.weight == pytest.approx(repeated.rows, rel=1e-10)
    assert weighted.params == pytest.approx(repeated.params, rel=1e-7)
    assert weighted.bse == pytest.approx(repeated.bse, rel=1e-7)
    assert weighted.fit.deviance == pytest.approx(repeated.fit.deviance, rel=1e-7)
    assert weighted.fit.null_deviance == pytest.approx(repeated.fit.null_deviance, rel=1e-7)
    rate = values[:, 4] @ values[:, 3] / (values[:, 2] @ values[:, 3])
    mu, y = values[:, 2] * rate, values[:, 4]
    null = 2 * (values[:, 3] * (special.xlogy(y, y / mu) - y + mu)).sum()
    assert weighted.fit.null_deviance == pytest.approx(null, rel=1e-7)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_any_split_of_rows_gives_the_same(mines: int, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(table())
    one = fitted(COLUMNS, table(), 1, columns=("a", "b"), family="poisson")
    many = fitted(COLUMNS, values, mines, columns=("a", "b"), family="poisson")
    assert many.params == pytest.approx(one.params, rel=1e-7, abs=1e-10)
    assert many.bse == pytest.approx(one.bse, rel=1e-7)


def test_a_category_has_a_coefficient_for_each_level_but_the_first() -> None:
    rng = np.random.default_rng(4)
    level, a = rng.integers(0, 3, 900), rng.uniform(-2, 2, 900)
    y = rng.random(900) < special.expit(0.8 * a + np.array([0, 1, -1])[level])
    columns = (numeric("a", -4, 4), categories("dose", "none", "some", "much"), categories("y", "no", "yes"))
    found = fitted(columns, np.column_stack([a, level, y]), family="binomial")
    assert found.names == ("(bias)", "a", "dose[some]", "dose[much]")
    assert found.params == pytest.approx(optimum(np.column_stack([a, level == 1, level == 2]), y), rel=1e-6)
    p = found.predict({"a": [0.5, 1], "dose": ["none", "much"]})
    expected = special.expit(found.params[0] + np.array([0.5, 1]) * found.params[1] + [0, found.params[3]])
    assert p == pytest.approx(expected, rel=1e-12)


def test_a_level_that_no_row_has_is_told_and_has_no_coefficient() -> None:
    rng = np.random.default_rng(4)
    values = np.column_stack([rng.integers(0, 2, 300), rng.integers(0, 2, 300)]).astype(np.float64)
    columns = (categories("arm", "a", "b", "c"), numeric("y", 0, 1))
    with pytest.warns(StatisticWarning, match="no row has level 'c' of column 'arm'"):
        found = fitted(columns, values, family="binomial")
    assert found.names == ("(bias)", "arm[b]")


def test_perfect_separation_is_told_with_its_column() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, 200), rng.normal(0, 1, 200)
    columns = (numeric("a", -4, 4), numeric("b", -4, 4), numeric("y", 0, 1))
    with pytest.warns(PerfectSeparationWarning, match="column 'a' tell 'y' of every row") as told:
        found = fitted(columns, np.column_stack([a, b, a > 0]), family="binomial")
    assert found.rounds < 6, "no more rounds are paid for"
    assert any("perfect separation" in text for text in found.warnings)
    assert "perfect separation" in found.summary()
    assert told


def test_a_level_with_one_target_alone_is_told() -> None:
    rng = np.random.default_rng(6)
    level, y = rng.integers(0, 3, 300), rng.integers(0, 2, 300)
    y[level == 2] = 1
    columns = (categories("site", "u", "v", "z"), numeric("y", 0, 1))
    with pytest.warns(PerfectSeparationWarning, match="'y' is 1 in every row where column 'site' is 'z'"):
        fitted(columns, np.column_stack([level, y]), family="binomial")


def test_separation_of_some_rows_by_a_number_is_told() -> None:
    rng = np.random.default_rng(7)
    flag, b = (rng.random(400) < 0.3).astype(float), rng.normal(0, 1, 400)
    y = np.where(flag == 1, 1.0, rng.integers(0, 2, 400))
    columns = (numeric("flag", 0, 1), numeric("b", -4, 4), numeric("y", 0, 1))
    with pytest.warns(PerfectSeparationWarning, match="column 'flag' grow"):
        fitted(columns, np.column_stack([flag, b, y]), family="binomial")


def bad(columns: tuple[Column, ...], values: Matrix, /, **fields: Any) -> FieldError:
    with pytest.raises((DataError, ConfigError)) as caught:
        fitted(columns, values, **fields)
    return caught.value


def test_constant_and_collinear_columns_are_refused_by_name() -> None:
    values = table()
    three = (numeric("a", -9, 9), numeric("b", -9, 19), numeric("c", -99, 99), numeric("y", 0, 100))
    rows = np.column_stack([values[:, 0], values[:, 1], values[:, 0] - 2 * values[:, 1], values[:, 4]])
    error = bad(three, rows, family="poisson")
    assert "collinear" in str(error)
    assert all(f"'{name}'" in str(error) for name in "abc")
    rows[:, 2] = 7
    assert "column 'c': is constant" in str(bad(three, rows, family="poisson"))


def test_a_target_without_variation_is_refused() -> None:
    values = table()
    values[:, 4] = 0
    for family in ("poisson", "binomial"):
        y = numeric("y", 0, 1)
        error = bad((*COLUMNS[:4], y), values, family=family, columns=("a", "b"))
        assert "column 'y': is 0 in every row" in str(error)


def test_too_few_rows_are_refused() -> None:
    error = bad(COLUMNS, table()[:1], family="poisson", columns=("a", "b"))
    assert "rows: 1 complete rows; 3 coefficients" in str(error)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"family": "gamma"}, "statistic.target: column 'y' has bounds 0 to 100; gamma needs more than 0"),
        ({"family": "binomial"}, "statistic.target: column 'y' has bounds 0 to 100; binomial needs 0 to 1"),
        ({"family": "poisson", "columns": ("a", "z")}, "statistic.columns: there is no column 'z'"),
        (
            {"family": "poisson", "columns": ("a", "y")},
            "statistic.columns: column 'y' has another part in it already",
        ),
        ({"family": "poisson", "weights": "a"}, "statistic.weights: column 'a' must have a low bound of 0"),
        (
            {"family": "poisson", "exposure": "times"},
            "statistic.exposure: column 'times' must have a low",
        ),
        ({"family": "poisson", "mu_min": 5.0, "mu_max": 2.0}, "statistic.mu_low_q32: is not below"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(fields: dict[str, Any], text: str) -> None:
    assert text in str(bad(COLUMNS, table(), **{"columns": ("b",), **fields}))


def test_too_many_columns_are_refused_with_numbers() -> None:
    names = [f"c{place}" for place in range(95)]
    columns = (*(numeric(name, 0, 1) for name in names), numeric("y", 0, 1))
    error = bad(columns, np.zeros((20, 96)), family="binomial")
    assert "statistic.columns: need 96 coefficients" in str(error)
    assert "4,096 are the most" in str(error)


def test_eighty_columns_fit_a_question() -> None:
    rng = np.random.default_rng(8)
    x = rng.uniform(-1, 1, (4000, 80))
    y = (rng.random(4000) < special.expit(x[:, 0] - x[:, 1])).astype(float)
    columns = (*(numeric(f"c{place}", -1, 1) for place in range(80)), numeric("y", 0, 1))
    found = fitted(columns, np.column_stack([x, y]), family="binomial")
    assert found.params == pytest.approx(optimum(x, y), rel=1e-5, abs=1e-8)


def test_what_is_beyond_bounds_is_told() -> None:
    narrow = (*COLUMNS[:4], numeric("y", 0, 5))
    with pytest.warns(BoundsWarning, match="column 'y' were beyond its bounds, 0 to 5"):
        fitted(narrow, table(), family="poisson", columns=("a", "b"))
    with pytest.warns(BoundsWarning, match="beyond `mu_min` or `mu_max` in"):
        fitted(COLUMNS, table(), family="poisson", columns=("a", "b"), mu_max=1.5)


@pytest.mark.parametrize(("high", "told"), [(5.0, False), (1e4, False), (1e8, True), (2e9, True)])
def test_weights_whose_bound_leaves_too_few_digits_are_told(high: float, told: bool) -> None:
    columns = (*COLUMNS[:3], numeric("times", 0, high), COLUMNS[4])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BoundsWarning)
        found = fitted(columns, table(), family="poisson", columns=("a", "b"), weights="times")
    assert any("bounds are so wide that rounding moves" in text for text in found.warnings) == told
    assert bool(caught) == told
    with pytest.raises(DataError, match="2\\^31"):
        numeric("times", 0, 1e12)


def test_too_few_rounds_are_told() -> None:
    with pytest.warns(ConvergenceWarning, match=r"not converged.*rounds_max"):
        found = fitted(COLUMNS, table(), family="poisson", columns=("a", "b"), rounds_max=2)
    assert not found.converged
    assert "(not converged)" in found.summary()


def test_missing_cells_leave_rows_out() -> None:
    values = table()
    values[:7, 1] = np.nan
    columns = (COLUMNS[0], numeric("b", 0, 10, missing=True), *COLUMNS[2:])
    found = quietly(columns, values, family="poisson", columns=("a", "b"))
    assert found.rows == 593
    assert found.params == pytest.approx(
        fitted(COLUMNS, values[7:], family="poisson", columns=("a", "b")).params, rel=1e-7
    )


def test_results_are_shown_in_every_form() -> None:
    found = fitted(COLUMNS, table(), family="poisson", columns=("a", "b"))
    text = found.summary()
    for word in ("Family:", "poisson", "rate ratio", "P>|z|", "Pseudo R2", "[0.025"):
        assert word in text
    assert "<table>" in found._repr_html_()
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["coefficients"]["a"]["ratio"] == pytest.approx(math.exp(found.params[1]))
    assert document["rows"] == 600
    low, high = found.conf_int().T
    assert (low < found.params).all()
    assert (high > found.params).all()


def test_a_forest_of_ratios_is_drawn() -> None:
    axes = fitted(COLUMNS, table(), family="poisson", columns=("a", "b")).plot()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert "rate ratio" in axes.get_xlabel()


@pytest.mark.parametrize("p", [1, 3, 10, 30, 80])
def test_a_mine_needs_no_more_rows_than_the_page_says(p: int) -> None:
    columns = (*(numeric(f"c{place}", 0, 1) for place in range(p)), numeric("y", 0, 1))
    spec = Glm(family="binomial", target="y").spec(columns, 10, 1000)
    assert least_rows(spec) <= 90 + 4 * max(p - 10, 0)


def test_the_level_that_counts_as_1_is_named() -> None:
    values = table()
    values[:, 4] = values[:, 4] > np.median(values[:, 4])
    columns = (numeric("a", -4, 4), numeric("b", 0, 10))
    named = quietly(
        (*columns, categories("ill", "ill", "well")),
        values[:, [0, 1, 4]],
        family="binomial",
        target="ill",
        columns=("a", "b"),
    )
    assert "ill = 'well'" in named.summary()
    assert named.to_dict()["target_level"] == "well"
    assert "ill = &#x27;well&#x27;" in named._repr_html_()
    plainly = quietly((*columns, numeric("y", 0, 1)), values[:, [0, 1, 4]], family="binomial")
    assert plainly.to_dict()["target_level"] is None
    assert " = " not in plainly.summary()
    assert np.allclose(named.params, plainly.params)  # the second level is the 1
