"""Logistic regression beside statsmodels on the pooled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.base import Compared, Found, equal, relative
from pysonar.statistics.glm.result import GlmResult
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.local import compute
from sonar.data.fixed import to_q32
from sonar.data.schema import Column, NumberColumn
from sonar.families.sums.likelihoods import GlmFamily

Matrix = NDArray[np.float64]
LIMIT = 1e-5
MINES = 10
ROUNDS = 6
FIGURES = {
    "llf": "log_likelihood",
    "deviance": "deviance",
    "null_deviance": "null_deviance",
    "scale": "scale",
}


def logistic(quick: bool) -> Found:
    """Logistic regression of breast cancer, whose columns tell it well, and of diabetes."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    cancer: Any = load_breast_cancer()
    diabetes: Any = load_diabetes(scaled=False)
    few = [0, 1, 4, 5, 8]
    high = (diabetes.target > 140).astype(np.float64)
    compared = beside("binomial", cancer.data[:, few], cancer.target.astype(np.float64), (0.0, 1.0))
    compared += beside("binomial", diabetes.data, high, (0.0, 1.0))
    return Found(f"logistic regression of two tables over {MINES} mines, six rounds", "statsmodels", compared)


def beside(family: GlmFamily, x: Matrix, y: Matrix, bounds: tuple[float, float]) -> list[Compared]:
    """Return every figure of a regression over the mines beside statsmodels'."""
    import statsmodels.api as sm

    families = {
        "binomial": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
    }
    names = tuple(f"{family} x{place}" for place in range(x.shape[1]))
    columns: list[Column] = [_around(name, values) for name, values in zip(names, x.T, strict=True)]
    columns.append(NumberColumn(name="y", low_q32=to_q32(bounds[0]), high_q32=to_q32(bounds[1])))
    asked = Glm(family=family, target="y", columns=names, rounds_max=ROUNDS)
    ours = compute(asked, columns, np.array_split(np.column_stack([x, y]), MINES))
    assert isinstance(ours, GlmResult)
    theirs = sm.GLM(y, sm.add_constant(x), family=families[family]).fit(tol=1e-13, maxiter=200)
    compared = [
        relative(f"{family} {name}", getattr(ours.fit, own), getattr(theirs, name), LIMIT)
        for name, own in FIGURES.items()
    ]
    for figure in ("params", "bse", "tvalues"):
        compared += equal(figure, ours.names, getattr(ours, figure), getattr(theirs, figure), LIMIT)
    return compared


def _around(name: str, values: Matrix) -> NumberColumn:
    room = 0.1 * float(np.ptp(values))
    low, high = to_q32(float(values.min()) - room), to_q32(float(values.max()) + room)
    return NumberColumn(name=name, low_q32=low, high_q32=high)
