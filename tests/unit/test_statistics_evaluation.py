"""A model that is measured on mines' rows, against scikit-learn on the pooled rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pysonar
from pysonar.statistics.evaluation.result import EvaluationResult
from pysonar.statistics.evaluation.statistic import Evaluation, edges_of
from pysonar.statistics.fits.warning import StatisticWarning
from pysonar.statistics.local import compute
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError, UsageError
from tests.statistics_kit import Matrix, around, categories, numeric, split

DIABETES = load_diabetes(scaled=False)
X, Y, SEX = DIABETES.data, DIABETES.target, DIABETES.data[:, 1] == 2
NAMES = tuple(DIABETES.feature_names)
HIGH = (Y > 140).astype(np.float64)
COLUMNS: tuple[Column, ...] = (*around(X, NAMES), numeric("y", 20, 400), categories("group", "f", "m"))
ZERO_ONE: tuple[Column, ...] = (*COLUMNS[:10], numeric("y", 0, 1), COLUMNS[11])


def found_of(
    columns: tuple[Column, ...], values: Matrix, model: Any, mines: int = 3, /, **fields: Any
) -> EvaluationResult:
    asked = {
        "target": "y",
        "columns": NAMES,
        "coefficients": np.atleast_2d(model.coef_).tolist(),
        "intercepts": np.atleast_1d(model.intercept_).tolist(),
    }
    found = compute(Evaluation.model_validate(asked | fields), columns, split(values, mines))
    assert isinstance(found, EvaluationResult)
    return found


@cache
def classifier() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=100)).fit(X[::2], HIGH[::2])


@dataclass(frozen=True)
class Own:
    """A linear model in the columns' own units."""

    coef_: Matrix
    intercept_: Matrix


def regression(mines: int = 3, **fields: Any) -> EvaluationResult:
    model = LinearRegression().fit(X[::2], Y[::2])
    asked = {"task": "regression"} | fields
    return found_of(COLUMNS, np.column_stack([X, Y, SEX]), model, mines, **asked)


def logistic(**fields: Any) -> tuple[EvaluationResult, Matrix]:
    scaler, model = classifier().named_steps.values()
    slopes = model.coef_ / scaler.scale_
    own = Own(slopes, model.intercept_ - slopes @ scaler.mean_)
    found = found_of(ZERO_ONE, np.column_stack([X, HIGH, SEX]), own, task="logistic", **fields)
    return found, classifier().predict_proba(X)[:, 1]


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("mines", [1, 5])
def test_a_regression_is_measured_as_pooled_by_group(private: bool, mines: int) -> None:
    found = regression(by="group", private=private, mines=mines)
    prediction = LinearRegression().fit(X[::2], Y[::2]).predict(X)
    for one, here in zip((found.overall, *found.groups), (np.full(len(X), True), ~SEX, SEX), strict=True):
        y, p = Y[here], prediction[here]
        expected = {
            "MSE": metrics.mean_squared_error(y, p),
            "RMSE": metrics.root_mean_squared_error(y, p),
            "R2": metrics.r2_score(y, p),
            "mean error": (p - y).mean(),
        }
        if not private:
            expected["MAE"] = metrics.mean_absolute_error(y, p)
        assert one.measures == pytest.approx(expected, rel=1e-7)
        assert one.rows == here.sum()


def test_a_private_model_is_in_no_question() -> None:
    statistic = Evaluation(
        task="regression",
        target="y",
        columns=NAMES,
        coefficients=(tuple(range(10)),),
        intercepts=(5.0,),
        private=True,
    )
    spec = statistic.spec(COLUMNS, 10, 1000)
    other = statistic.model_copy(update={"coefficients": (tuple(range(10, 20)),), "intercepts": (1.0,)})
    assert spec.parameters == 0
    assert other.spec(COLUMNS, 10, 1000) == spec
    assert statistic.start(spec).size == other.start(spec).size == 0


def test_a_classifier_is_measured_as_pooled() -> None:
    found, p = logistic()
    expected = {
        "log-loss": metrics.log_loss(HIGH, p),
        "Brier": metrics.brier_score_loss(HIGH, p),
        "accuracy": metrics.accuracy_score(HIGH, p >= 0.5),
        "precision": metrics.precision_score(HIGH, p >= 0.5),
        "recall": metrics.recall_score(HIGH, p >= 0.5),
        "share of 1": HIGH.mean(),
    }
    assert {name: found.measures[name] for name in expected} == pytest.approx(expected, rel=1e-8)
    assert found.overall.confusion is not None
    assert found.overall.confusion.tolist() == metrics.confusion_matrix(HIGH, p >= 0.5).tolist()
    assert found.overall.bins[:, 0].sum() == len(X)


def many(
    rate: float = 0.0, rows: int = 9000, by: str | None = None, quantiles: bool = False
) -> tuple[EvaluationResult, Matrix, Matrix]:
    """A model of one column measured on many rows of three mines."""
    rng = np.random.default_rng(3)
    x, group = rng.normal(size=rows), rng.integers(0, 2, rows)
    p = 1 / (1 + np.exp(-(0.9 * x + rate)))
    y = (rng.random(rows) < p).astype(np.float64)
    columns = (numeric("x", -6, 6), numeric("y", 0, 1), categories("group", "f", "m"))
    model = Own(np.array([0.9]), np.array(rate))
    edges = edges_of(p[::2], 500) if quantiles else None
    asked: dict[str, Any] = {"task": "logistic", "columns": ("x",), "by": by, "edges": edges}
    return found_of(columns, np.column_stack([x, y, group]), model, **asked), y, p


def test_a_rare_event_is_ranked_without_edges() -> None:
    found, y, p = many(rate=-7.0, rows=300_000)
    assert y.mean() < 0.002
    assert found.measures["AUC"] == pytest.approx(metrics.roc_auc_score(y, p), abs=0.01)


def test_an_auc_from_few_rows_of_a_mine_or_from_wide_bins_is_told() -> None:
    with pytest.warns(StatisticWarning, match="AUC is of bins of at least 5 rows of each mine"):
        found, _ = logistic()
    assert found.measures["AUC"] == pytest.approx(metrics.roc_auc_score(HIGH, logistic()[1]), abs=2e-2)
    with pytest.warns(StatisticWarning, match="half or more of the rows of a class have scores in one bin"):
        logistic(edges=[0.9])


@pytest.mark.parametrize("by", [None, "group"])
@pytest.mark.parametrize("quantiles", [False, True])
def test_auc_is_within_a_thousandth(by: str | None, quantiles: bool) -> None:
    found, y, p = many(by=by, quantiles=quantiles)
    assert found.measures["AUC"] == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-3)
    assert not found.warnings
    assert metrics.auc(*found.overall.roc.T) == pytest.approx(found.measures["AUC"], abs=1e-9)


def test_a_threshold_moves_the_confusion() -> None:
    found, p = logistic(threshold=0.3)
    assert found.overall.confusion is not None
    assert found.overall.confusion.tolist() == metrics.confusion_matrix(HIGH, p >= 0.3).tolist()
    assert "at 0.3" in found.summary()


def wine(values: Matrix, **fields: Any) -> tuple[EvaluationResult, Matrix, Matrix]:
    data = load_wine()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    model = LogisticRegression().fit(x[::2], data.target[::2])
    names = [f"c{place}" for place in range(x.shape[1])]
    columns = (*around(x, names), categories("y", "a", "b", "c"))
    rows = np.column_stack([x, data.target])[values.astype(bool)]
    found = found_of(columns, rows, model, task="classes", columns=names, **fields)
    return found, data.target[values.astype(bool)], model.predict_proba(x[values.astype(bool)])


def test_several_classes_are_measured_as_pooled() -> None:
    found, y, p = wine(np.ones(178))
    assert found.measures["log-loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-8)
    assert found.measures["accuracy"] == metrics.accuracy_score(y, p.argmax(axis=1))
    assert found.measures["Brier"] == pytest.approx(((p - np.eye(3)[y]) ** 2).sum() / len(y), rel=1e-8)
    expected = metrics.roc_auc_score(y, p, multi_class="ovr")
    assert found.measures["AUC (one against rest, mean)"] == pytest.approx(expected, abs=1e-3)
    assert found.overall.confusion is not None
    assert found.overall.confusion.tolist() == metrics.confusion_matrix(y, p.argmax(axis=1)).tolist()


def test_a_class_that_no_row_has_is_told() -> None:
    with pytest.warns(StatisticWarning, match="no row has 'c' in column 'y'"):
        found, _, _ = wine(load_wine().target < 2)
    assert np.isnan(found.measures["AUC of c"])
    json.dumps(found.to_dict(), allow_nan=False)


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_any_split_of_rows_gives_the_same(mines: int, seed: int) -> None:
    model = LinearRegression().fit(X[::2], Y[::2])
    values = np.column_stack([X, Y, SEX])
    shuffled = np.random.default_rng(seed).permutation(values)
    one = found_of(COLUMNS, values, model, 1, task="regression").measures
    assert found_of(COLUMNS, shuffled, model, mines, task="regression").measures == pytest.approx(
        one, rel=1e-8
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"coefficients": [[1.0] * 9]}, "statistic.coefficients: a row has 9 numbers; 10 are needed"),
        ({"intercepts": [1.0, 2.0]}, "2 intercepts; 1 of each are needed for regression"),
        ({"by": "age"}, "statistic.by: column 'age' stands in columns too"),
        ({"edges": [3.0, 1.0]}, "statistic.edges: do not ascend"),
        ({"task": "logistic"}, "statistic.target: column 'y' has bounds 20 to 400; 0 to 1 are expected"),
        ({"task": "classes", "private": True}, "statistic.private: a model of classes cannot be"),
        ({"edges": np.linspace(20, 400, 900).tolist(), "by": "group"}, "4,096 are the most"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        regression(**fields)
    assert text in str(caught.value)


@pytest.mark.parametrize("made", [np.asarray, lambda given: np.asarray(given).tolist()])
def test_coefficients_are_taken_as_scikit_learn_has_them(made: Any) -> None:
    frame = {**dict(zip(NAMES, X.T, strict=True)), "y": Y, "high": HIGH}
    line = LinearRegression().fit(X, Y)
    both = LogisticRegression(max_iter=10_000).fit(X, HIGH)
    for model, task, target in ((line, "regression", "y"), (both, "logistic", "high")):
        wanted = pysonar.evaluation(
            [frame],
            task=task,
            target=target,
            columns=NAMES,
            coefficients=np.atleast_2d(model.coef_).tolist(),
            intercepts=np.atleast_1d(model.intercept_).tolist(),
        )
        for intercepts in (made(model.intercept_), model.intercept_):
            found = pysonar.evaluation(
                [frame],
                task=task,
                target=target,
                columns=NAMES,
                coefficients=made(model.coef_),
                intercepts=intercepts,
            )
            assert found.to_dict() == wanted.to_dict()
    assert wanted.overall.rows == len(Y)
    wrongs: list[Any] = [[True], "text", [["a"]], [[]], None, [[1.0], 2.0], np.ones((1, 2, 3))]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match="coefficients"):
            pysonar.evaluation(
                [frame], task="regression", target="y", columns=["bmi"], coefficients=wrong, intercepts=0.0
            )


def test_no_complete_row_is_refused() -> None:
    columns = (numeric("age", 0, 100, missing=True), *COLUMNS[1:])
    values = np.column_stack([X, Y, SEX])
    values[:, 0] = np.nan
    model = LinearRegression().fit(X, Y)
    with pytest.raises(DataError, match="no row has all of the cells"):
        found_of(columns, values, model, task="regression")


def test_results_are_shown_in_every_form() -> None:
    found, _ = logistic(by="group")
    for word in ("AUC", "log-loss", "mean predicted", "said 1", "seen by the mines"):
        assert word in found.summary()
    assert "<table>" in found._repr_html_()
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["groups"]["m"]["rows"] == int(SEX.sum())
    assert "stays with the scientist" in regression(private=True).summary()


def test_pictures_show_what_they_should() -> None:
    found, _ = logistic(by="group")
    assert found.plot().get_ylabel() == "share of y"
    legend = found.plot(what="roc").get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0] == f"all: {found.measures['AUC']:.3f}"
    assert regression().plot().get_xlabel() == "predicted y, mean of a bin"
    with pytest.raises(UsageError, match="there is no 'roc' of a regression evaluation"):
        regression().plot(what="roc")


@pytest.mark.parametrize("scores", [[2.0, 3.0], [-0.1, 0.5], [], [0.5, np.nan], [[0.1], [0.2]], ["a"]])
def test_edges_are_of_probabilities(scores: Any) -> None:
    with pytest.raises(DataError, match="scores: are") as caught:
        edges_of(scores)
    assert "predict_proba" in caught.value.hint


def test_the_level_that_counts_as_1_is_named() -> None:
    columns = (*COLUMNS[:10], categories("y", "ill", "well"), COLUMNS[11])
    values, model = np.column_stack([X, HIGH, SEX]), Own(np.zeros((1, 10)), np.zeros(1))
    found = found_of(columns, values, model, task="logistic")
    assert "y = 'well'" in found.summary()
    assert found.to_dict()["target_level"] == "well"
    assert found.measures["share of 1"] == pytest.approx(HIGH.mean())
    other = found_of(ZERO_ONE, values, model, task="logistic")
    assert other.target_level is None
    assert "Target" not in other.summary()
