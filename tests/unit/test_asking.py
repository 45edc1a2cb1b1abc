"""A function for each statistic: signatures, tables of every kind, and errors that name the argument."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import pysonar
from pysonar.asking.functions import function, names
from pysonar.statistics.base import Statistic
from pysonar.statistics.registry import STATISTICS
from sonar.errors import ConfigError, DataError

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

FRAME = load_diabetes(as_frame=True, scaled=False).frame
FRAME["sex"] = FRAME["sex"].map({1: "f", 2: "m"})
PARTS = [FRAME.iloc[i::3] for i in range(3)]


def test_each_statistic_has_a_function_with_its_fields() -> None:
    assert {"describe", "ols"} <= {*names()}
    for kind, statistic in STATISTICS.items():
        asked = getattr(pysonar, kind.replace("-", "_"))
        signature = inspect.signature(asked)
        assert {"on", "schema", "name", "settings", *statistic.model_fields} - {"kind"} == {
            *signature.parameters
        }
        for field, info in statistic.model_fields.items():
            if field != "kind":
                required = signature.parameters[field].default is inspect.Parameter.empty
                assert required == info.is_required()
                assert "Annotated" not in str(signature.parameters[field].annotation)
        told = pydoc.render_doc(asked)
        assert "`on` is a session" in told
        assert asked.__name__ in dir(pysonar)
        assert statistic.__doc__ != Statistic.__doc__


def test_three_tables_of_any_kind_give_the_pooled_regression() -> None:
    found = pysonar.ols(PARTS, target="target")
    x = pd.get_dummies(FRAME.drop(columns="target"), drop_first=True, dtype=float)
    design = np.column_stack([np.ones(len(x)), x])
    pooled = dict(
        zip(["Intercept", *x.columns], np.linalg.lstsq(design, FRAME["target"], rcond=None)[0], strict=True)
    )
    told = found.to_dict()
    ours = dict(zip(told["names"], told["params"], strict=True))
    assert ours["bmi"] == pytest.approx(pooled["bmi"], rel=1e-6)
    assert ours["sex[m]"] == pytest.approx(pooled["sex_m"], rel=1e-6)
    for maker in (pl.from_pandas, pa.Table.from_pandas, lambda part: part.to_dict("list")):
        assert pysonar.ols([maker(part) for part in PARTS], target="target").to_dict() == told


def test_one_line_gives_a_table_with_p_values() -> None:
    summary = pysonar.ols(PARTS, target="target").summary()
    assert "P>|t|" in summary
    assert "sex[m]" in summary


def test_a_schema_says_what_columns_there_are_and_which_cells_may_be_missing() -> None:
    holes = [part.assign(bmi=part["bmi"].where(part["bmi"] > 20)) for part in PARTS]
    columns = pysonar.columns_of(FRAME, ["bmi", "bp", "target"])
    with pytest.raises(DataError, match=r"column 'bmi': row \d+ is missing"):
        pysonar.ols(holes, target="target", schema=columns)
    allowed = {
        "bmi": {"low": 15, "high": 45, "missing": True},
        "bp": {"low": 50, "high": 150},
        "target": columns[2],
    }
    found = pysonar.ols(holes, target="target", schema=allowed)
    assert found.to_dict()["nobs"] == int((FRAME["bmi"] > 20).sum())


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "one table": (lambda: pysonar.ols(FRAME, target="target"), "on: is one table"),
    "no table": (lambda: pysonar.ols([], target="target"), "on: has no table"),
    "a number": (lambda: pysonar.ols(3, target="target"), "on: is of the type 'int'"),
    "an array": (lambda: pysonar.ols([np.ones((3, 3))], target="target"), "on[0]: is of the type 'ndarray'"),
    "no target": (lambda: pysonar.ols(PARTS), "target: is missing"),
    "no such target": (lambda: pysonar.ols(PARTS, target="bmx"), "target: there is no column 'bmx'"),
    "no such argument": (lambda: pysonar.ols(PARTS, target="target", feature=3), "feature: there is no such"),
    "money": (lambda: pysonar.ols(PARTS, target="target", fee="1 ether"), "fee: is of a session"),
    "no schema": (lambda: pysonar.ols(PARTS, target="target", schema=3), "schema: is of the type 'int'"),
    "too many times": (
        lambda: pysonar.cox(PARTS, time="bmi", event="s4", columns=["age"], grid=range(1, 2003)),
        "grid: ",
    ),
    "a wrong field": (lambda: pysonar.ols(PARTS, target="target", alpha=2.0), "alpha: "),
    "not a part of 1": (
        lambda: pysonar.quantiles(PARTS, column="bmi", shares=[50]),
        "shares.0: must be at most 0.99",
    ),
    "a misspelt sibling": (
        lambda: pysonar.ols(PARTS, target="target", weights="age"),
        "weights: there is no such argument",
    ),
    "no category": (lambda: pysonar.anova(PARTS, column="bmi", by="age"), "by: column 'age' has numbers"),
    "events after 0 and 1": (
        lambda: pysonar.cox(PARTS, time="age", event="bmi", columns=["bp"], grid=[50, 60]),
        "event: column 'bmi'",
    ),
    "a time below 0": (
        lambda: pysonar.cox(PARTS, time="age", event="sex", columns=["bp"], grid=[-1, 60]),
        "grid: has a time",
    ),
    "twice": (
        lambda: pysonar.ols(PARTS, target="target", columns=["bmi", "bmi"]),
        "columns: column 'bmi' is",
    ),
    "a part already": (
        lambda: pysonar.ols(PARTS, target="bmi", columns=["bmi"]),
        "columns: column 'bmi' has",
    ),
    "no 0 to 1": (
        lambda: pysonar.glm(PARTS, family="binomial", target="bmi", columns=["age"]),
        "target: column 'bmi' has",
    ),
    "dates": (
        lambda: pysonar.describe([part.assign(day=pd.to_datetime("2024-01-03")) for part in PARTS]),
        "column 'day': holds dates",
    ),
    "a date in one": (
        lambda: pysonar.describe([PARTS[0], PARTS[1].assign(age=pd.to_datetime("2024-01-03"))]),
        "column 'age': holds dates",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_what_to_give(name: str) -> None:
    call, said = WRONG[name]
    with pytest.raises((ConfigError, DataError)) as caught:
        call()
    assert str(caught.value).startswith(said)
    assert caught.value.hint


HINTS: dict[str, tuple[Callable[[], Any], str]] = {
    "alpha": (lambda: pysonar.ols(PARTS, target="target", alpha=5), "give a part of 1: 0.05"),
    "robust": (lambda: pysonar.ols(PARTS, target="target", robust="HC3"), "help(pysonar.ols)"),
    "case": (lambda: pysonar.ols(PARTS, target="target", robust="hc1"), "did you mean 'HC1'?"),
    "columns": (lambda: pysonar.ols(PARTS, target="target", columns="age"), "columns=['age']"),
    "target": (lambda: pysonar.ols(PARTS, target=["target"]), "target='target'"),
    "shares": (lambda: pysonar.quantiles(PARTS, column="bmi", shares=[50]), "for 50% give 0.5"),
    "quantiles": (lambda: pysonar.describe(PARTS, quantiles=[25]), "for 50% give 0.5"),
    "grid": (lambda: pysonar.cox(PARTS, time="age", event="sex", grid="monthly"), "grid=[1, 2, 3]"),
    "family": (lambda: pysonar.glm(PARTS, family="gaussian", target="bmi"), "help(pysonar.glm)"),
    "weights": (lambda: pysonar.ols(PARTS, target="target", weights="age"), "did you mean weight?"),
    "weight": (
        lambda: pysonar.glm(PARTS, family="gamma", target="bmi", weight="age"),
        "did you mean weights?",
    ),
}


@pytest.mark.parametrize("name", HINTS)
def test_hints_show_what_to_write(name: str) -> None:
    call, hint = HINTS[name]
    with pytest.raises(ConfigError) as caught:
        call()
    assert hint in caught.value.hint
    assert "run --help" not in caught.value.hint
    assert "leave it out" not in caught.value.hint


def test_an_unknown_name_is_still_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'pysonar' has no attribute 'olsen'"):
        _ = pysonar.olsen
    assert function("ols") is pysonar.ols
