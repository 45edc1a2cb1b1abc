"""A published model measured on other rows, beside scikit-learn on the pooled rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.accuracy.base import Found, relative, within
from pysonar.statistics.evaluation.result import EvaluationResult
from pysonar.statistics.evaluation.statistic import Evaluation, edges_of
from pysonar.statistics.local import compute
from sonar.data.schema import Column, NumberColumn

LIMIT, EXACT = 1e-3, 1e-6
MINES, ROWS = 10, 20_000
ONE = 1 << 32


def auc(quick: bool) -> Found:
    """AUC of a logistic model of few of the columns, with bins by quantiles of the holdout and without."""
    from sklearn import metrics
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    data: Any = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    x, y = x[:, [1, 4, 8]], data.target.astype(np.float64)
    model = LogisticRegression().fit(x[::3], y[::3])
    p = model.predict_proba(x)[:, 1]
    names = ("texture", "smoothness", "symmetry")
    columns: list[Column] = [NumberColumn(name=name, low_q32=-8 * ONE, high_q32=8 * ONE) for name in names]
    columns.append(NumberColumn(name="benign", low_q32=0, high_q32=ONE))
    rng = np.random.default_rng(
        1
    )  # bins hold 5 rows of a mine: it must have more than the 57 that it would get
    drawn = rng.integers(0, len(x), ROWS)
    x, y = x[drawn] + rng.normal(scale=0.3, size=(ROWS, x.shape[1])), y[drawn]
    p = model.predict_proba(x)[:, 1]
    tables = np.array_split(np.column_stack([x, y]), MINES)
    compared = []
    for what, edges in (("usual bins", None), ("quantiles", edges_of(p[::3]))):
        asked = Evaluation(
            task="logistic",
            target="benign",
            columns=names,
            coefficients=(tuple(model.coef_[0].tolist()),),
            intercepts=(float(model.intercept_[0]),),
            edges=edges,
        )
        ours = compute(asked, columns, tables)
        assert isinstance(ours, EvaluationResult)
        found = ours.measures
        compared += [
            within(f"AUC, {what}", found["AUC"], metrics.roc_auc_score(y, p), LIMIT),
            relative(f"log-loss, {what}", found["log-loss"], metrics.log_loss(y, p), EXACT),
            relative(f"Brier, {what}", found["Brier"], metrics.brier_score_loss(y, p), EXACT),
            relative(f"accuracy, {what}", found["accuracy"], metrics.accuracy_score(y, p >= 0.5), EXACT),
        ]
    return Found(f"a logistic model measured over {MINES} mines, one round", "scikit-learn", compared)
