"""Discriminants and naive Bayes in one round, against scikit-learn on the pooled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import CategoricalNB, GaussianNB

from pysonar.statistics.base import Statistic
from pysonar.statistics.classes.bayes import NaiveBayes
from pysonar.statistics.classes.discriminant import Lda, LdaResult, Qda
from pysonar.statistics.classes.model import ClassModel
from pysonar.statistics.local import compute
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError
from tests.statistics_kit import Matrix, around, categories, split


def data(load: Any = load_iris) -> tuple[Matrix, Matrix, tuple[str, ...], tuple[Column, ...]]:
    x, y = load(return_X_y=True)
    names = tuple(f"x{place}" for place in range(x.shape[1]))
    order = np.random.default_rng(7).permutation(len(x))
    columns = (*around(x, names), categories("kind", "zero", "one", "two"))
    return x[order], y[order].astype(float), names, columns


def fitted(
    statistic: Statistic, x: Matrix, y: Matrix, columns: tuple[Column, ...], mines: int = 10
) -> ClassModel:
    found = compute(statistic, columns, split(np.column_stack([x, y]), mines))
    assert isinstance(found, ClassModel)
    return found


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize(
    ("statistic", "theirs"),
    [
        (Lda(target="kind"), LinearDiscriminantAnalysis()),
        (Qda(target="kind"), QuadraticDiscriminantAnalysis()),
        (NaiveBayes(target="kind"), GaussianNB()),
    ],
    ids=["lda", "qda", "bayes"],
)
def test_probabilities_equal_scikit_learns(load: Any, statistic: Statistic, theirs: Any) -> None:
    x, y, names, columns = data(load)
    found = fitted(statistic, x, y, columns)
    theirs.fit(x, y)
    given = dict(zip(names, x.T, strict=True))
    assert found.predict_proba(given) == pytest.approx(theirs.predict_proba(x), rel=1e-5, abs=1e-9)
    expected = [found.classes[int(each)] for each in theirs.predict(x)]
    assert found.predict(given).tolist() == expected
    assert "zero" in found.summary()


def test_priors_and_two_classes() -> None:
    x, y, _, columns = data()
    keep = y < 2
    columns = (*columns[:-1], categories("kind", "zero", "one"))
    found = fitted(Lda(target="kind", priors=(0.3, 0.7)), x[keep], y[keep], columns)
    theirs = LinearDiscriminantAnalysis(priors=[0.3, 0.7]).fit(x[keep], y[keep])
    assert isinstance(found, LdaResult)
    assert found.coef[1] - found.coef[0] == pytest.approx(theirs.coef_[0], rel=1e-6)
    assert found.intercept[1] - found.intercept[0] == pytest.approx(theirs.intercept_[0], rel=1e-6)
    with pytest.raises(ConfigError, match=r"statistic.priors: adds up to 0.9"):
        fitted(Lda(target="kind", priors=(0.3, 0.6)), x[keep], y[keep], columns)


def test_a_mine_may_lack_a_class_and_all_may() -> None:
    x, y, names, columns = data()
    order = np.argsort(y, kind="stable")
    for statistic in (Lda(target="kind"), Qda(target="kind"), NaiveBayes(target="kind")):
        one, other = fitted(statistic, x, y, columns), fitted(statistic, x[order], y[order], columns)
        given = dict(zip(names, x.T, strict=True))
        assert one.predict_proba(given) == pytest.approx(other.predict_proba(given), rel=1e-6, abs=1e-12)
        lacking = fitted(statistic, x[y < 2], y[y < 2], columns)
        assert lacking.classes == ("zero", "one")
        assert "No row has the class 'two' of 'kind'; it is left out." in lacking.warnings


def test_categories_equal_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 400)
    x = np.column_stack([(y + rng.integers(0, 2, 400)) % 3, rng.integers(0, 4, 400)])
    columns = (categories("p", "a", "b", "c"), categories("q", *"wxyz"), categories("kind", "0", "1", "2"))
    found = fitted(NaiveBayes(target="kind"), x.astype(float), y.astype(float), columns)
    theirs = CategoricalNB().fit(x, y)
    given = {"p": ["abc"[i] for i in x[:, 0]], "q": ["wxyz"[i] for i in x[:, 1]]}
    assert found.predict_proba(given) == pytest.approx(theirs.predict_proba(x), rel=1e-6)


def test_collinear_columns_are_told_or_refused_by_class() -> None:
    x, y, names, columns = data()
    x = np.column_stack([x, x[:, 0] + x[:, 1]])
    columns = (*around(x, (*names, "sum")), columns[-1])
    found = fitted(Lda(target="kind"), x, y, columns)
    theirs = LinearDiscriminantAnalysis().fit(x, y)
    given = dict(zip((*names, "sum"), x.T, strict=True))
    assert found.predict_proba(given) == pytest.approx(theirs.predict_proba(x), rel=1e-4, abs=1e-8)
    assert any("Variables are collinear" in text for text in found.warnings)
    with pytest.raises(DataError, match=r"class 'zero': the covariance matrix is not full rank"):
        fitted(Qda(target="kind"), x, y, columns)


def test_what_cannot_be_told_apart_is_refused() -> None:
    x, y, _, columns = data()
    with pytest.raises(DataError, match=r"column 'kind': has 1 class among the complete rows \('one'\)"):
        fitted(Lda(target="kind"), x[y == 1], y[y == 1], columns)
    few = np.concatenate([np.flatnonzero(y < 2), np.flatnonzero(y == 2)[:3]])
    with pytest.raises(
        DataError, match=r"class 'two': has 3 rows; a covariance of 4 columns needs at least 5"
    ):
        fitted(Qda(target="kind"), x[few], y[few], columns)
    with pytest.raises(ConfigError, match=r"statistic.target: column 'x0' has numbers"):
        fitted(Lda(target="x0"), x, y, columns)
    flat = x.copy()
    flat[:, 1] = 3.0
    with pytest.raises(DataError, match=r"columns: 'x1' is constant in a class"):
        fitted(NaiveBayes(target="kind", var_smoothing=0), flat, y, columns)
