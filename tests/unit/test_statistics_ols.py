"""Least squares in one round, against numpy and scipy on the pooled rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pysonar.statistics.base import Seen
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.local import compute
from sonar.data.schema import Column, NumberColumn
from sonar.errors import ArgumentError, ConfigError, DataError
from sonar.families.sums.totals import totals
from tests.statistics_kit import Matrix, categories, numeric, split

COLUMNS: tuple[Column, ...] = (
    numeric("far", 0, 1e6),
    numeric("bmi", 10, 60, missing=True),
    categories("sex", "f", "m"),
    numeric("w", 0.25, 5),
    numeric("y", -50, 100),
)


def table(n: int = 2000, seed: int = 1) -> Matrix:
    rng = np.random.default_rng(seed)
    far, bmi = rng.normal(9e5, 1, n), rng.uniform(15, 45, n)
    sex, w = rng.integers(0, 2, n), rng.uniform(0.5, 4, n)
    y = 2 * (far - 9e5) + 0.5 * bmi - sex + rng.normal(0, 1, n) / np.sqrt(w)
    values = np.column_stack([far, bmi, sex, w, y])
    values[3:5, 1] = np.nan
    return values


def fitted(
    values: Matrix, mines: int = 10, schema: Sequence[Column] = COLUMNS, **fields: object
) -> OlsResult:
    statistic = Ols.model_validate({"target": "y", "columns": ("far", "bmi", "sex"), **fields})
    found = compute(statistic, schema, split(values, mines))
    assert isinstance(found, OlsResult)
    return found


def pooled(values: Matrix, weight: Matrix | None = None) -> tuple[Matrix, Matrix, float]:
    """Coefficients, errors and residual variance of the far column's deviations from 9e5, ones first."""
    x = np.column_stack([np.ones(len(values)), values[:, :3] - [9e5, 0, 0]])
    root = np.ones(len(x)) if weight is None else np.sqrt(weight)
    xw, yw = x * root[:, None], values[:, 4] * root
    params = np.linalg.lstsq(xw, yw, rcond=None)[0]
    scale = float(np.sum((yw - xw @ params) ** 2)) / (len(x) - 4)
    return params, np.sqrt(np.diag(np.linalg.inv(xw.T @ xw)) * scale), scale


@pytest.mark.parametrize("weight", [None, "w"])
def test_all_figures_equal_the_pooled_ones(weight: str | None) -> None:
    values = table()
    found = fitted(values, weight=weight)
    rows = values[~np.isnan(values).any(axis=1)]
    params, errors, scale = pooled(rows, rows[:, 3] if weight else None)
    assert (found.nobs, found.dropped) == (len(rows), 2)
    assert found.params[1:] == pytest.approx(params[1:], rel=1e-6)
    assert found.params[0] == pytest.approx(params[0] - 9e5 * params[1], rel=1e-6)
    assert found.bse[1:] == pytest.approx(errors[1:], rel=1e-6)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.pvalues[1:] == pytest.approx(
        2 * stats.t.sf(abs(params / errors), len(rows) - 4)[1:], rel=1e-6
    )
    w = rows[:, 3] if weight else np.ones(len(rows))
    tss = float(np.sum(w * (rows[:, 4] - np.average(rows[:, 4], weights=w)) ** 2))
    assert found.rsquared == pytest.approx(1 - scale * (len(rows) - 4) / tss, rel=1e-6)


def test_predictions_are_those_of_the_coefficients() -> None:
    found = fitted(table())
    new = {"far": [9e5, 900001], "bmi": [20, 30], "sex": ["f", "m"]}
    expected = found.params[0] + found.params[1:] @ np.array([[9e5, 20, 0], [900001, 30, 1]]).T
    assert found.predict(new) == pytest.approx(expected)
    with pytest.raises(DataError, match=r"column 'sex': row 2 is 'q', which is not in its vocabulary"):
        found.predict({**new, "sex": ["f", "q"]})
    with pytest.raises(DataError, match="bmi"):
        found.predict({"far": [9e5], "sex": ["f"]})


@settings(max_examples=15, deadline=None)
@given(mines=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_any_split_of_the_rows_gives_the_same(mines: int, seed: int) -> None:
    values = table(150, seed)
    order = np.random.default_rng(seed).permutation(len(values))
    one, several = fitted(values, 1), fitted(values[order], mines)
    assert several.params == pytest.approx(one.params, rel=1e-5, abs=1e-5)
    assert several.bse == pytest.approx(one.bse, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(1e-3, 1e3))
def test_scaling_a_column_scales_its_coefficient(factor: float) -> None:
    values, columns = table(), list(COLUMNS)
    one = fitted(values)
    scaled = values * [1, factor, 1, 1, 1]
    columns[1] = numeric("bmi", 10 * factor, 60 * factor, missing=True)
    other = fitted(scaled, schema=columns)
    assert other.params * [1, 1, factor, 1] == pytest.approx(one.params, rel=1e-7)
    assert other.tvalues == pytest.approx(one.tvalues, rel=1e-7)


def with_column(values: Matrix, name: str, column: Matrix) -> tuple[Matrix, tuple[Column, ...]]:
    low, high = float(column.min()), float(column.max())
    extra: NumberColumn = numeric(name, low - 1, high + 1)
    return np.column_stack([values, column]), (*COLUMNS, extra)


def test_collinear_columns_are_named_all_at_once() -> None:
    values = table()
    values, columns = with_column(values, "sum", values[:, 0] - 9e5 + 3 * values[:, 2])
    columns = (*columns, numeric("same", 0, 10))
    values = np.column_stack([values, np.full(len(values), 4.25)])
    names = ("far", "bmi", "sex", "sum", "same")
    with pytest.raises(DataError) as caught:
        compute(Ols(target="y", columns=names), columns, split(values))
    assert "column 'sum' is a combination of 'far' and 'sex[m]'" in str(caught.value)
    assert "column 'same' is constant" in str(caught.value)
    found = compute(Ols(target="y", columns=names, unusable="drop"), columns, split(values))
    assert isinstance(found, OlsResult)
    assert found.params == pytest.approx(fitted(values, schema=columns).params)
    assert any("Left out: column 'sum'" in text for text in found.warnings)


def test_a_level_that_no_row_has_is_told_and_left_out() -> None:
    values, columns = table(), list(COLUMNS)
    columns[2] = categories("sex", "x", "f", "m", "z")
    values[:, 2] += 1
    found = fitted(values, schema=columns)
    assert found.names == ("Intercept", "far", "bmi", "sex[m]")
    assert "No row has the level 'x' and 'z' of column 'sex'; the reference is 'f'." in found.warnings
    assert found.params == pytest.approx(fitted(table()).params)


def test_a_mine_may_lack_a_class() -> None:
    values = table()
    order = np.argsort(values[:, 2], kind="stable")
    assert fitted(values[order]).params == pytest.approx(fitted(values).params, rel=1e-7)


def test_large_condition_and_lost_digits_are_told() -> None:
    values = table()
    assert any("The condition number is large" in text for text in fitted(values).warnings)
    near = values[:, 1] + np.random.default_rng(3).normal(0, 3e-5, len(values))
    near[np.isnan(near)] = 20
    columns = (*COLUMNS, numeric("near", 10, 60))
    found = compute(Ols(target="y", columns=("bmi", "near")), columns, split(np.column_stack([values, near])))
    assert isinstance(found, OlsResult)
    assert any("have about" in text for text in found.warnings)


def test_what_cannot_be_fitted_is_refused_by_name() -> None:
    values = table()
    with pytest.raises(
        DataError,
        match=r"rows: 3 rows with all of the columns; 4 coefficients and their errors need at least 5",
    ):
        fitted(values[5:8], 1)
    with pytest.raises(ConfigError, match=r"statistic.target: column 'sex' has categories"):
        fitted(values, target="sex", columns=("far",))
    with pytest.raises(ConfigError, match=r"statistic.columns: column 'y' has another part"):
        fitted(values, columns=("y",))
    with pytest.raises(ConfigError, match=r"statistic.weight: column 'y' has a bound below 0"):
        fitted(values, target="bmi", columns=("far",), weight="y")


def test_weights_beyond_their_bounds_are_told() -> None:
    values = table()
    values[9, 3] = 1e12
    found = fitted(values, weight="w")
    assert any("of the values of column 'w' were beyond its bounds" in text for text in found.warnings)
    capped = table()
    capped[9, 3] = 5
    assert found.params == pytest.approx(fitted(capped, weight="w").params)


def test_the_summary_has_what_a_paper_has() -> None:
    found = fitted(table())
    text, html = found.summary(), found._repr_html_()
    for word in ("R-squared", "AIC", "Std.Err.", "P>|t|", "[0.025", "sex[m]", "Prob (F-statistic)"):
        assert word in text
        assert word.replace(">", "&gt;") in html
    assert len(found.to_dict()["params"]) == 4


def test_a_perfect_fit_and_a_constant_target_are_told() -> None:
    values = table()
    values[:, 4] = 2 * np.nan_to_num(values[:, 1], nan=20.0) + 1
    found = fitted(values, columns=("bmi",))
    assert found.params == pytest.approx([1, 2], rel=1e-9)
    assert any("The fit is nearly perfect" in text for text in found.warnings)
    values[:, 4] = 7.0
    found = fitted(values, columns=("bmi",))
    assert found.params == pytest.approx([7, 0])
    assert any("The target, 'y', is constant" in text for text in found.warnings)
    assert np.isnan(found.rsquared)


def test_no_rows_and_no_weights_are_refused() -> None:
    values = table()
    values[:, 1] = np.nan
    with pytest.raises(DataError, match="rows: no row has all of the columns"):
        fitted(values)
    columns = list(COLUMNS)
    columns[3] = numeric("w", 0, 5)
    values = table()
    values[:, 3] = 0
    with pytest.raises(DataError, match="column 'w': all weights are 0"):
        fitted(values, schema=columns, weight="w")


def test_joint_tests_and_inflation_equal_the_pooled_ones() -> None:
    values = table()
    found = fitted(values)
    rows = values[~np.isnan(values).any(axis=1)]
    x = np.column_stack([np.ones(len(rows)), rows[:, :3] - [9e5, 0, 0]])

    def rss(places: list[int]) -> float:
        return float(np.linalg.lstsq(x[:, places], rows[:, 4], rcond=None)[1][0])

    joint = found.f_test(["bmi", "sex[m]"])
    f = (rss([0, 1]) - rss([0, 1, 2, 3])) / 2 / found.scale
    assert joint.fvalue == pytest.approx(f, rel=1e-6)
    assert joint.pvalue == pytest.approx(stats.f.sf(f, 2, found.df_resid), rel=1e-6, abs=1e-300)
    assert found.f_test(["bmi"]).fvalue == pytest.approx(found["bmi"].t ** 2)
    tss = float(np.sum((x[:, 2] - x[:, 2].mean()) ** 2))
    rest = float(np.linalg.lstsq(x[:, [0, 1, 3]], x[:, 2], rcond=None)[1][0])
    assert found.vif["bmi"] == pytest.approx(tss / rest, rel=1e-6)
    with pytest.raises(DataError, match="names: 'sex' has no coefficient"):
        found.f_test(["sex"])
    with pytest.raises(ArgumentError, match="no coefficient 'sex'") as caught:
        found["sex"]
    assert "bmi" in caught.value.hint
    for alpha in (2, 0.0, "x", float("nan")):
        with pytest.raises(ArgumentError, match="alpha: "):
            found.conf_int(alpha)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="ax: 'foo' is none of matplotlib's axes"):
        found.plot("foo")


def test_robust_errors_follow_residuals_and_take_a_second_round() -> None:
    rng = np.random.default_rng(8)
    x = rng.uniform(0, 10, 3000)
    values = np.column_stack([x, 2 * x + rng.normal(0, 0.2 + x)])
    columns = (numeric("x", 0, 10), numeric("y", -60, 80))
    found = compute(Ols(target="y", robust="HC1"), columns, split(values))
    plain = compute(Ols(target="y"), columns, split(values))
    assert isinstance(found, OlsResult)
    assert isinstance(plain, OlsResult)
    design = np.column_stack([np.ones(len(x)), x])
    residuals = values[:, 1] - design @ plain.params
    inverse = np.linalg.inv(design.T @ design)
    covariance = inverse @ (design.T * residuals**2) @ design @ inverse * 3000 / 2998
    assert found.covariance == pytest.approx(covariance, rel=1e-6)
    assert found.params == pytest.approx(plain.params)
    assert abs(found.bse / plain.bse - 1).max() > 0.2
    assert "P>|z|" in found.summary()
    assert "HC1" in found.summary()


def test_robust_errors_are_refused_or_told_where_there_are_none() -> None:
    values = table()
    with pytest.raises(ConfigError, match=r"statistic.robust: there are no robust errors of weighted rows"):
        fitted(values, weight="w", robust="HC0")
    statistic = Ols(target="y", columns=("far", "bmi", "sex"), robust="HC0")
    spec = statistic.spec(COLUMNS, 10, 10_000)
    places = [[column.name for column in COLUMNS].index(column.name) for column in spec.columns]
    seen = Seen(statistic.start(spec), totals(spec, [values[:, places]], statistic.start(spec)), 1)
    found = statistic.result(spec, [seen])
    assert any("not robust" in text for text in found.warnings)
    values[:, 0] = 9e5
    again = Seen(statistic.start(spec), totals(spec, [values[:, places]], statistic.start(spec)), 1)
    assert statistic.step(spec, [again]) is None
    with pytest.raises(DataError, match="column 'far' is constant"):
        statistic.result(spec, [again])
