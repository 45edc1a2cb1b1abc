"""Least squares over mines, against figures that statsmodels made of the pooled rows (see the script)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.local import compute
from tests.statistics_kit import numeric, split

PATH = Path(__file__).parent.parent / "vectors" / "statistics_ols.json"
CASES: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))["cases"]
LIMIT = 1e-6


def fitted(case: dict[str, Any]) -> OlsResult:
    names = (*case["names"], *([case["weight"]] if "weight" in case else []), case["target"])
    columns = tuple(numeric(name, *bounds) for name, bounds in zip(names, case["bounds"], strict=True))
    statistic = Ols(
        target=case["target"],
        columns=tuple(case["names"]),
        weight=case["weight"] if case["weighted"] else None,
        intercept=case["intercept"],
        robust=case["robust"],
    )
    found = compute(statistic, columns, split(np.array(case["rows"]), case["mines"]))
    assert isinstance(found, OlsResult)
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_figure_equals_statsmodels(name: str) -> None:
    case = CASES[name]
    found, expected = fitted(case), case["expected"]
    first = int(case["intercept"])
    shift = np.array(case.get("shift", [0.0] * len(case["names"])))
    for figure in ("params", "bse", "tvalues"):
        assert getattr(found, figure)[first:] == pytest.approx(expected[figure][first:], rel=LIMIT)
    # Of one as 1e-200, the last digits are those of its logarithm.
    with np.errstate(divide="ignore"):
        logs = np.log(found.pvalues)[first:], np.log(expected["pvalues"])[first:]
    assert logs[0] == pytest.approx(logs[1], rel=LIMIT)
    assert found.pvalues[first:] == pytest.approx(expected["pvalues"][first:], rel=LIMIT, abs=1e-12)
    assert found.conf_int()[first:] == pytest.approx(np.array(expected["conf_int"])[first:], rel=LIMIT)
    if first:
        slopes = np.array(expected["params"][1:])
        assert found.params[0] == pytest.approx(expected["params"][0] - slopes @ shift, rel=LIMIT)
    if first and not shift.any():
        assert found.bse[0] == pytest.approx(expected["bse"][0], rel=LIMIT)
    for figure in ("rsquared", "rsquared_adj", "fvalue", "f_pvalue", "llf", "aic", "bic", "scale", "ssr"):
        assert getattr(found, figure) == pytest.approx(expected[figure], rel=LIMIT), figure
    assert (found.df_model, found.df_resid) == (expected["df_model"], expected["df_resid"])


def test_hard_tables_say_that_they_are() -> None:
    assert any("The condition number is large" in text for text in fitted(CASES["longley"]).warnings)
    assert not fitted(CASES["plain"]).warnings
