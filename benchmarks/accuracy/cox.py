"""Cox's proportional hazards beside lifelines on the pooled rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.accuracy.base import Compared, Found, equal, relative
from pysonar.statistics.local import compute
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.cox_result import CoxResult
from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn

LIMIT = 1e-5
MINES = 10
PRECISE = {"precision": 1e-11, "r_precision": 1e-12}
"""lifelines' own stop at 1e-5 or so would be what is seen."""


def cox(quick: bool) -> Found:
    """Rossi's recidivism with tied weeks, the same by strata, and breast cancer in months."""
    from lifelines.datasets import load_gbsg2, load_rossi

    rossi, cancer = load_rossi(), load_gbsg2()
    cancer["months"] = np.ceil(cancer.time / 30.5)
    cancer["hormone"] = (cancer.horTh == "yes") * 1
    compared = _beside(rossi, "week", "arrest", ["fin", "age", "race", "wexp", "mar", "paro", "prio"], None)
    compared += _beside(rossi, "week", "arrest", ["fin", "age", "prio"], "wexp")
    compared += _beside(cancer, "months", "cens", ["hormone", "age", "tsize", "pnodes", "progrec"], None)
    what = f"Cox regression (Efron's ties) of three questions over {MINES} mines, six rounds"
    return Found(what, "lifelines", compared)


def _beside(data: Any, time: str, event: str, names: Sequence[str], strata: str | None) -> list[Compared]:
    from lifelines import CoxPHFitter

    used = data[[time, event, *names, *([strata] if strata else [])]]
    rows = used.to_numpy(dtype=np.float64)
    columns: list[Column] = [
        _column(name, *_ends(rows[:, place])) for place, name in enumerate((time, event, *names))
    ]
    if strata:
        columns.append(CategoryColumn(name=strata, levels=("0", "1")))
    grid = sorted(set(rows[rows[:, 1] == 1, 0].tolist()))
    asked = Cox(time=time, event=event, columns=tuple(names), grid=tuple(grid), strata=strata)
    ours = compute(asked, columns, np.array_split(rows, MINES))
    assert isinstance(ours, CoxResult)
    theirs = CoxPHFitter().fit(used, time, event, strata=strata, fit_options=PRECISE)
    ratio = theirs.log_likelihood_ratio_test().test_statistic
    named = [f"{name} ({event}{' by ' + strata if strata else ''})" for name in names]
    return [
        relative("log-likelihood", ours.log_likelihood, theirs.log_likelihood_, LIMIT),
        relative("likelihood ratio", ours.likelihood_ratio[0], ratio, LIMIT),
        *equal("params", named, ours.params, theirs.params_, LIMIT),
        *equal("bse", named, ours.bse, theirs.standard_errors_, LIMIT),
        *equal("z", named, ours.tvalues, theirs.summary.z, LIMIT),
    ]


def _ends(values: Any) -> tuple[float, float]:
    return float(np.floor(values.min())), float(np.ceil(values.max()))


def _column(name: str, low: float, high: float) -> NumberColumn:
    return NumberColumn(name=name, low_q32=to_q32(low), high_q32=to_q32(high))
