"""Opened sums that no rows have, as lying mines make them: one of the project's own errors, or a result."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.fits.warning import StatisticWarning
from pysonar.statistics.local import KEY_BITS
from pysonar.statistics.registry import STATISTICS
from sonar.errors import SonarError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import Totals, from_integers, parameters_to_integers, plan_of
from tests.statistics_kit import categories, numeric

COLUMNS = (
    numeric("x", -1, 3, missing=True),
    numeric("z", 0, 1e6),
    categories("g", "a", "b", "c"),
    numeric("y", -9, 9),
    numeric("h", 0, 1),
    categories("k", "p", "q"),
)
GRID = (0.0, 1.0, 2.0)
FIELDS: dict[str, dict[str, Any]] = {
    "anova": {"column": "x", "by": "g"},
    "crosstab": {"rows": "g", "columns": "k"},
    "describe": {"by": "g"},
    "cox": {"time": "z", "event": "h", "columns": ("x", "g"), "grid": GRID},
    "elastic-net": {"target": "y", "n_alphas": 3},
    "evaluation": {
        "task": "logistic",
        "target": "h",
        "columns": ("x", "y"),
        "coefficients": ((1.0, 2.0),),
        "intercepts": (0.5,),
        "by": "g",
    },
    "glm": {"family": "binomial", "target": "h", "columns": ("x", "g")},
    "histogram": {"column": "x", "bins": 4},
    "kaplan-meier": {"time": "z", "event": "h", "grid": GRID, "by": "g"},
    "lda": {"target": "g"},
    "log-rank": {"time": "z", "event": "h", "grid": GRID, "by": "g"},
    "naive-bayes": {"target": "g"},
    "ols": {"target": "y"},
    "qda": {"target": "g"},
    "quantiles": {"column": "z", "bins": 8},
    "ridge": {"target": "y"},
}
OURS = ["correlation", "pca", *FIELDS]


def opened(statistic: Statistic, spec: SumsSpec, seed: int, mild: bool) -> Totals:
    """Sums of any size that the plan has room for, or about as large as a few rows'."""
    rng = np.random.default_rng(seed)
    plan = plan_of(spec, KEY_BITS, 3)
    sums = (
        rng.integers(-3, 4, spec.values) << plan.data_frac
        if mild
        else rng.integers(-(1 << 61), 1 << 61, spec.values)
    )
    if rng.random() < 0.5:
        sums = np.abs(sums)
    return from_integers(spec, plan, [int(value) for value in sums])


@pytest.mark.parametrize("kind", OURS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 31), mild=st.booleans())
def test_no_sums_make_anything_but_a_result_or_our_error(kind: str, seed: int, mild: bool) -> None:
    statistic = STATISTICS[kind].model_validate(FIELDS.get(kind, {}))
    spec = statistic.spec(COLUMNS, 10, 1 << 20)
    seen = [Seen(statistic.start(spec), opened(statistic, spec, seed, mild), 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", StatisticWarning)  # what a statistic says of what it found
        try:
            while (asked := statistic.step(spec, seen)) is not None and len(seen) < statistic.rounds:
                assert np.isfinite(asked).all()
                assert max(map(abs, parameters_to_integers(asked))) < 1 << 63
                seen.append(Seen(asked, opened(statistic, spec, seed + len(seen), mild), 3))
            found = statistic.result(spec, seen)
        except SonarError:
            return
    assert found.summary()
    json.dumps(found.to_dict(), allow_nan=False)
    assert found._repr_html_()
