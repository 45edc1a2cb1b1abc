"""SonarRegressor and SonarClassifier: what they find and what they refuse, beside scikit-learn's checks."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import pysonar
from pysonar.estimators.classifier import SonarClassifier
from pysonar.estimators.inprocess import dealt
from pysonar.estimators.regressor import SonarRegressor
from sonar.errors import ArgumentError, SonarError

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

X, Y = load_diabetes(return_X_y=True)
FRAME = load_diabetes(as_frame=True, scaled=False).frame


@pytest.mark.parametrize("mines", [1, 2, 3, 10, 40])
def test_least_squares_of_mines_is_that_of_the_pooled_rows(mines: int) -> None:
    ours, pooled = SonarRegressor(mines=mines).fit(X, Y), LinearRegression().fit(X, Y)
    assert ours.score(X, Y) == pytest.approx(pooled.score(X, Y), abs=1e-5)
    np.testing.assert_allclose(ours.predict(X), pooled.predict(X), atol=0.01 * Y.std())
    assert ours.figures_["r2"] == pytest.approx(ours.score(X, Y))
    assert ours.loss_ == pytest.approx(1 - ours.score(X, Y), abs=1e-6)


def test_coefficients_are_in_the_units_of_the_columns() -> None:
    x, y = FRAME.drop(columns="target"), FRAME["target"]
    ours = SonarRegressor().fit(x, y)
    assert ours.predict(x) == pytest.approx(x.to_numpy() @ ours.coef_ + ours.intercept_)
    np.testing.assert_allclose(ours.coef_, LinearRegression().fit(x, y).coef_, rtol=0.05, atol=0.02)
    assert ours.feature_names_in_.tolist() == list(x.columns)
    assert ours.model_.features == tuple(x.columns)


def test_several_targets_are_predicted_together() -> None:
    y = np.column_stack([Y, X[:, 0] - 2 * X[:, 3]])
    ours = SonarRegressor().fit(X, y)
    assert ours.coef_.shape == (2, 10)
    assert ours.intercept_.shape == (2,)
    np.testing.assert_allclose(ours.predict(X), LinearRegression().fit(X, y).predict(X), atol=2)


@pytest.mark.parametrize("maker", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_all_kinds_are_the_same_rows(maker: Callable[[Any], Any]) -> None:
    x, y = FRAME.drop(columns="target"), FRAME["target"]
    plain = SonarRegressor().fit(x, y)
    ours = SonarRegressor().fit(maker(x), y.to_numpy())
    assert ours.feature_names_in_.tolist() == list(x.columns)
    np.testing.assert_array_equal(ours.predict(maker(x)), plain.predict(x))


def test_a_constant_column_has_no_part() -> None:
    x = np.column_stack([X[:, 0], np.ones(len(X)), X[:, 2]])
    ours, without = SonarRegressor().fit(x, Y), SonarRegressor().fit(x[:, [0, 2]], Y)
    assert ours.coef_[1] == 0
    np.testing.assert_array_equal(ours.predict(x), without.predict(x[:, [0, 2]]))
    np.testing.assert_allclose(ours.to_sklearn().predict(x), ours.predict(x))


DATA = {"breast cancer": load_breast_cancer, "iris": load_iris, "digits": load_digits}


@pytest.mark.parametrize("name", DATA)
def test_classes_are_told_about_as_well_as_by_pooled_logistic_regression(name: str) -> None:
    x, y = DATA[name](return_X_y=True)
    pooled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    ours = cross_val_score(SonarClassifier(), x, y, cv=4).mean()
    assert ours >= cross_val_score(pooled, x, y, cv=4).mean() - {"iris": 0.15}.get(name, 0.05)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array([1, 2]),
        np.array([False, True]),
        np.array([-1, 1]),
    ],
    ids=str,
)
def test_labels_may_be_of_any_kind(labels: Any) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    ours = SonarClassifier().fit(x, labels[y])
    assert ours.classes_.tolist() == labels.tolist()
    assert set(ours.predict(x)) == set(labels.tolist())
    assert ours.score(x, labels[y]) > 0.95
    assert ours.model_.classes.tolist() == labels.tolist()
    probability = ours.predict_proba(x)
    assert probability.sum(axis=1) == pytest.approx(1)
    assert (probability[:, 1] > 0.5).tolist() == (ours.predict(x) == labels[1]).tolist()


def test_labels_that_no_bounty_could_publish_are_still_told_apart() -> None:
    x, y = load_iris(return_X_y=True)
    ours = SonarClassifier().fit(x, np.array([" a", "b\n", "c" * 90])[y])
    assert set(ours.predict(x)) == {" a", "b\n", "c" * 90}


def test_probabilities_are_calibrated() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    ours = SonarClassifier().fit(x, y)
    told = -np.mean(np.log(ours.predict_proba(x)[np.arange(len(y)), y]))
    assert told == pytest.approx(ours.figures_["log_loss"])
    assert told < 0.16


def test_they_go_where_scikit_learn_s_go() -> None:
    pipeline = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), SonarRegressor())
    pipeline.set_output(transform="pandas")
    assert pipeline.fit(FRAME[["bmi", "bp"]], Y).score(FRAME[["bmi", "bp"]], Y) > 0.35
    search = GridSearchCV(
        SonarRegressor(), {"feature_map": ["standard", "polynomial"], "mines": [2, 5]}, cv=3
    )
    search.fit(X, Y)
    assert search.best_params_["feature_map"] == "standard"
    fitted = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(fitted.predict(X), search.predict(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "coef_")


def test_a_model_shows_itself_in_a_notebook() -> None:
    names = ["a<b", *FRAME.columns[1:10]]
    told = SonarRegressor().fit(FRAME.iloc[:, :10].set_axis(names, axis=1), Y).model_._repr_html_()
    assert '<td style="text-align:left">a&lt;b</td>' in told
    assert "R² 0.517" in told
    wide = SonarRegressor("polynomial").fit(X, Y).model_._repr_html_()
    assert "and 26 more: model.coefficients" in wide


def test_rows_are_dealt_in_turn_ten_to_a_mine_at_least() -> None:
    assert [len(range(*part.indices(25))) for part in dealt(25, 3)] == [13, 12]
    assert len(dealt(9, 3)) == 1
    assert sorted(i for part in dealt(50, 4) for i in range(*part.indices(50))) == list(range(50))


DATED = FRAME.assign(day=pd.to_datetime("2024-01-03"))
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "dates": (lambda: SonarRegressor().fit(DATED, Y), "column 'day': holds dates"),
    "texts": (
        lambda: SonarRegressor().fit(FRAME.assign(name="x"), Y),
        "column 'name': row 1 is the text 'x'",
    ),
    "categories": (
        lambda: SonarRegressor().fit(FRAME.assign(name=pd.Categorical(["x"] * 442)), Y),
        "column 'name': holds categories",
    ),
    "complex": (lambda: SonarRegressor().fit(X * 1j, Y), "Complex data not supported"),
    "masked": (lambda: SonarRegressor().fit(np.ma.masked_less(X, 0), Y), "masked values"),
    "masked targets": (lambda: SonarRegressor().fit(X, np.ma.masked_less(Y, 99)), "y: has"),
    "dates as an array": (lambda: SonarRegressor().fit(X.astype("datetime64[D]"), Y), "X: holds dates"),
    "dates as targets": (lambda: SonarRegressor().fit(X, Y.astype("datetime64[D]")), "y: holds dates"),
    "texts as an array": (lambda: SonarRegressor().fit(X.astype(str), Y), "X: row 1, column 1 is the text"),
    "dates as labels": (lambda: SonarClassifier().fit(X, Y.astype("datetime64[D]")), "y: holds dates"),
    "texts as objects": (lambda: SonarRegressor().fit(X.astype(str).astype(object), Y), "X: row 1, column 1"),
    "NaN": (lambda: SonarRegressor().fit(np.where(X > 0, X, np.nan), Y), "Input X contains NaN"),
    "constant": (lambda: SonarRegressor().fit(np.ones((20, 2)), Y[:20]), "X: has no column that varies"),
    "one target": (lambda: SonarRegressor().fit(X[:20], np.ones(20)), "y: is 1 in every row"),
    "one class": (lambda: SonarClassifier().fit(X[:20], np.ones(20)), "y: has 1 class"),
    "amounts as classes": (lambda: SonarClassifier().fit(X, Y + 0.5), "Unknown label type"),
    "no map": (lambda: SonarRegressor("splines").fit(X, Y), "feature_map: must be one of"),
    "no degree": (lambda: SonarRegressor({"kind": "polynomial", "degree": 9}).fit(X, Y), "degree"),
    "no mines": (lambda: SonarRegressor(mines=0).fit(X, Y), "mines: is 0; 1 to 255"),
    "half a mine": (lambda: SonarRegressor(mines=1.5).fit(X, Y), "mines: must be of type int"),  # type: ignore[arg-type]
    "no rounds": (lambda: SonarRegressor(rounds=0).fit(X, Y), "rounds: "),
    "no optimiser": (lambda: SonarRegressor(optimiser="adam").fit(X, Y), "optimiser: must be one of"),
    "no session": (
        lambda: SonarRegressor().fit_network(X, Y, session=None, name="d", target="y"),  # type: ignore[arg-type]
        "session: is of the type 'NoneType'",
    ),
    "too large": (lambda: SonarRegressor().fit(X * 1e12, Y), "can be published"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_a_value_error_that_names_it(name: str) -> None:
    call, said = WRONG[name]
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert said in str(caught.value)
    assert not isinstance(caught.value, ArgumentError) or caught.value.hint


def test_an_argument_error_is_both_scikit_learn_s_and_ours() -> None:
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(ArgumentError, SonarError)


def test_without_scikit_learn_all_else_goes_on_and_the_estimators_say_what_to_install() -> None:
    program = """
import sys
sys.modules["sklearn"] = None
import pysonar, sonar.errors
assert pysonar.columns_of({"a": [1, 2]})[0].name == "a"
assert pysonar.describe([{"a": [1, 2] * 10}, {"a": [3, 4] * 10}])
try:
    pysonar.SonarRegressor
except sonar.errors.ClientMissing as error:
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'sonar-network-scientist[sklearn]'\n"
    assert {"SonarRegressor", "SonarClassifier"} <= {*pysonar.__all__}


def test_targets_have_the_names_of_their_series_or_frame() -> None:
    columns, target = FRAME.drop(columns="target"), FRAME["target"]
    assert SonarRegressor().fit(columns, target).model_.targets == ("target",)
    assert SonarRegressor().fit(columns, target.rename("age")).model_.targets == ("y0",)  # a feature's name
    assert SonarRegressor().fit(columns, target.rename(None)).model_.targets == ("y0",)
    assert SonarRegressor().fit(columns, target.rename("n" * 500)).model_.targets == ("y0",)
    two = FRAME[["s6", "target"]]
    model = SonarRegressor().fit(columns.drop(columns="s6"), two).model_
    assert model.targets == ("s6", "target")
    assert SonarRegressor().fit(X, Y).model_.targets == ("y0",)


def test_too_many_weights_are_told_with_what_makes_them() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        ArgumentError, match=r"70 classes of 16 weights each .* are 1,120; .* at most 1,000"
    ) as told:
        SonarClassifier().fit(rng.normal(size=(700, 15)), np.arange(700) % 70)
    assert "put rare classes together" in str(told.value.hint)
    with pytest.raises(ArgumentError, match="20 targets of 66 weights each"):
        SonarRegressor("polynomial").fit(rng.normal(size=(100, 10)), rng.normal(size=(100, 20)))


def test_what_an_estimator_needs_is_shown_as_its_argument() -> None:
    x, y = np.arange(60.0).reshape(30, 2) % 7, np.arange(30.0)
    with pytest.raises(ArgumentError, match="rounds: ") as caught:
        SonarRegressor(rounds=0).fit(x, y)
    assert caught.value.hint == "leave it out for 20, the default"
    for kind in ("fourier", "linear-fourier"):
        with pytest.raises(ArgumentError, match=f"feature_map: is '{kind}'") as caught:
            SonarRegressor(kind).fit(x, y)
        shown = caught.value.hint.removeprefix("give feature_map=")
        assert shown == f'{{"kind": "{kind}", "n_components": 50}}'
    with pytest.raises(ArgumentError, match=r"model: SonarRegressor\(\) has no weights"):
        pysonar.plot_coefficients(SonarRegressor())
    with pytest.raises(ArgumentError, match="campaign: 'x' is no campaign"):
        pysonar.plot_losses("x")
