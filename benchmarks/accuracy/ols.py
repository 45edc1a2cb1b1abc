"""Moments and least squares in one round, beside statsmodels and scipy on the pooled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.base import Compared, Found, equal, relative
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.local import compute
from pysonar.statistics.single.describe import Describe
from pysonar.statistics.single.description import Description
from sonar.data.fixed import to_q32
from sonar.data.schema import Column, NumberColumn

Matrix = NDArray[np.float64]
LIMIT = 1e-6
MINES = 10
FIGURES = ("rsquared", "rsquared_adj", "fvalue", "llf", "aic", "bic", "scale")


def ols(quick: bool) -> Found:
    """Every figure of a regression of the diabetes table over ten mines."""
    import statsmodels.api as sm
    from sklearn.datasets import load_diabetes

    data: Any = load_diabetes(scaled=False)
    names = tuple(map(str, data.feature_names))
    rows = np.column_stack([data.data, data.target])
    ours = compute(Ols(target="y"), _columns(rows, (*names, "y")), np.array_split(rows, MINES))
    assert isinstance(ours, OlsResult)
    theirs = sm.OLS(data.target, sm.add_constant(data.data)).fit()
    compared = [relative(name, getattr(ours, name), getattr(theirs, name), LIMIT) for name in FIGURES]
    for figure in ("params", "bse", "tvalues", "pvalues"):
        compared += equal(figure, ours.names, getattr(ours, figure), getattr(theirs, figure), LIMIT)
    compared += equal("upper end", ours.names, ours.conf_int()[:, 1], theirs.conf_int()[:, 1], LIMIT)
    return Found(
        f"least squares of the diabetes table over {MINES} mines, one round", "statsmodels", compared
    )


def moments(quick: bool) -> Found:
    """Means and moments of columns whose bounds are up to a million times their deviation."""
    from scipy import stats

    rng = np.random.default_rng(11)
    rows = np.column_stack([rng.normal(9e5, 1, 5000), rng.gamma(2, 3, 5000)])
    columns = (_column("far", 0, 1e6), _column("gamma", 0, 100))
    ours = compute(Describe(), columns, np.array_split(rows, MINES))
    assert isinstance(ours, Description)
    compared: list[Compared] = []
    for name, values in zip(("far", "gamma"), rows.T, strict=True):
        found = ours[name]
        compared += [
            relative(f"mean of {name}", found.mean, float(values.mean()), LIMIT),
            relative(f"deviation of {name}", found.std, float(values.std(ddof=1)), LIMIT),
            relative(f"skewness of {name}", found.skewness, float(stats.skew(values, bias=False)), LIMIT),
            relative(f"kurtosis of {name}", found.kurtosis, float(stats.kurtosis(values, bias=False)), LIMIT),
        ]
    return Found(f"moments of 5,000 rows over {MINES} mines, one round", "scipy", compared)


def _columns(rows: Matrix, names: tuple[str, ...]) -> tuple[Column, ...]:
    found = []
    for name, values in zip(names, rows.T, strict=True):
        room = 0.1 * float(np.ptp(values))
        found.append(_column(name, float(values.min()) - room, float(values.max()) + room))
    return tuple(found)


def _column(name: str, low: float, high: float) -> Column:
    return NumberColumn(name=name, low_q32=to_q32(low), high_q32=to_q32(high))
