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
        "on[0], column 'day': holds dates",
    ),
    "a date in one": (
        lambda: pysonar.describe([PARTS[0], PARTS[1].assign(age=pd.to_datetime("2024-01-03"))]),
        "on[1], column 'age': holds dates",
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
    "amounts": (
        lambda: pysonar.glm([{"a": [0.0, 50, 100] * 9, "b": [*range(27)]}], family="gamma", target="a"),
        'give its low bound above 0, if all values are: schema={**schema, "a": ',
    ),
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


COLUMNS = ["age", "bmi"]


def test_a_column_that_one_table_lacks_is_refused_with_that_table_unless_others_are_named() -> None:
    tables = [*PARTS[:2], PARTS[2].rename(columns={"bmi": "BMI"})]
    asks: list[Callable[[], Any]] = [
        lambda: pysonar.ols(tables, target="target"),
        lambda: pysonar.describe(tables),
        lambda: pysonar.ols(tables, target="target", columns=["bmi"]),
    ]
    for ask in asks:
        with pytest.raises(
            DataError, match=r"on\[2\]: has no column 'bmi', which on\[0\] has; there is 'BMI'"
        ):
            ask()
    assert pysonar.ols(tables, target="target", columns=["age"]).to_dict()["names"] == ["Intercept", "age"]
    with pytest.raises(DataError, match=r"on\[0\]: has no column 'more', which on\[1\] has"):
        pysonar.describe([PARTS[0], PARTS[1].assign(more=1.5)])


def test_columns_that_a_call_does_not_need_are_not_read() -> None:
    strange = [
        part.assign(day=pd.Timestamp("2024-01-03"), row=[f"row {i}" for i in range(len(part))]).assign(k=3.0)
        for part in PARTS
    ]
    strange[1] = strange[1].drop(columns="day")
    calls: list[Callable[[Any], Any]] = [
        lambda on: pysonar.describe(on, columns=COLUMNS, by="sex"),
        lambda on: pysonar.ols(on, target="target", columns=COLUMNS, weight="bp"),
        lambda on: pysonar.glm(on, family="gamma", target="target", columns=COLUMNS, exposure="bp"),
        lambda on: pysonar.crosstab([part.assign(s=part["sex"]) for part in on], rows="sex", columns="s"),
        lambda on: pysonar.anova(on, column="bmi", by="sex"),
        lambda on: pysonar.kaplan_meier(
            [part.assign(died=part["bmi"] > 25) for part in on],
            time="age",
            event="died",
            grid=[40, 60],
            by="sex",
        ),
    ]
    for call in calls:
        assert call(strange).to_dict() == call(PARTS).to_dict()


def test_ordered_categories_keep_their_order_over_several_tables() -> None:
    order = ["low", "mid", "high"]
    levels = np.resize(np.array(order), len(FRAME))
    typed = FRAME.assign(g=pd.Categorical(levels, categories=order, ordered=True))
    tables = [typed.iloc[i::3] for i in range(3)]
    assert pysonar.columns_of(typed, ["g"])[0].levels == ("low", "mid", "high")  # type: ignore[union-attr]
    for on in (tables, [pl.from_pandas(part).cast({"g": pl.Enum(order)}) for part in tables]):
        found = pysonar.describe(on, columns=["g"])
        assert [*found.to_dict()["levels"][0]["counts"]] == order
    other = typed.assign(g=pd.Categorical(levels, categories=order[::-1], ordered=True))
    with pytest.raises(DataError, match="column 'g': has an order of levels that the tables do not agree on"):
        pysonar.describe([typed, other], columns=["g"])
    loose = [
        part.assign(g=pd.Categorical(part["g"].astype(str), categories=c))
        for part, c in zip(tables, (order, order[::-1], order), strict=True)
    ]
    assert [*pysonar.describe(loose, columns=["g"]).to_dict()["levels"][0]["counts"]] == sorted(order)


def test_a_constant_column_is_left_out_where_that_is_said_and_described() -> None:
    tables = [part.assign(k=-3.0, tiny=1e-6) for part in PARTS]
    found = pysonar.ols(tables, target="target", unusable="drop")
    assert {*found.to_dict()["names"]} == {*pysonar.ols(PARTS, target="target").to_dict()["names"]}
    for name in ("k", "tiny"):
        assert any(f"column '{name}' is constant" in warning for warning in found.warnings)
    with pytest.raises(DataError, match=r"column 'k' is constant.*column 'tiny' is constant") as caught:
        pysonar.ols(tables, target="target")
    assert "drop" in caught.value.hint
    k, tiny = pysonar.describe(tables, columns=["k", "tiny"]).to_dict()["numbers"]
    assert (k["mean"], k["std"], k["min"]) == (pytest.approx(-3), 0, pytest.approx(-3, rel=1e-2))
    assert tiny["mean"] == pytest.approx(1e-6, abs=1e-9)


def test_values_above_0_have_bounds_above_0_and_so_a_likelihood() -> None:
    rng = np.random.default_rng(3)
    tables = [part.assign(w=rng.uniform(0.5, 100, len(part))) for part in PARTS]
    pooled = pd.concat(tables)
    found = pysonar.ols(tables, target="target", columns=["bmi", "age"], weight="w")
    design = np.column_stack([np.ones(len(pooled)), pooled[["bmi", "age"]]]) * np.sqrt(
        pooled[["w"]].to_numpy()
    )
    y = (pooled["target"] * np.sqrt(pooled["w"])).to_numpy()
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    n = len(pooled)
    llf = -n / 2 * (np.log(2 * np.pi * (left @ left) / n) + 1) + np.log(pooled["w"]).sum() / 2
    assert found.llf == pytest.approx(llf, rel=1e-6)
    assert not found.warnings
    pysonar.glm(tables, family="gamma", target="w", columns=["bmi"])
    pysonar.glm(tables, family="gamma", target="target", columns=["bmi"], exposure="w")
    zero = [part.assign(w=(part["w"] - part["w"].min())) for part in tables]
    told = pysonar.ols(zero, target="target", columns=["bmi"], weight="w").warnings
    assert any("'w', may be 0" in one and "give its low bound above 0" in one for one in told)
    for fields in ({"target": "w"}, {"target": "target", "exposure": "w"}):
        with pytest.raises(ConfigError) as caught:
            pysonar.glm(zero, family="gamma", columns=["bmi"], **fields)
        assert "give its low bound above 0" in caught.value.hint


def test_tables_with_no_row_or_one_are_said_to_be_so() -> None:
    for rows, said in ((0, "on: has 0 rows in all tables"), (1, "on: has 1 row in all tables")):
        with pytest.raises(DataError, match=said):
            pysonar.describe([FRAME[:rows], FRAME[:0]])
    with pytest.raises(DataError, match="column 'age': has 1 row, which says nothing"):
        pysonar.columns_of(FRAME[:1])
    with pytest.raises(DataError, match="column 'age': has no value at all: there is no row"):
        pysonar.columns_of(FRAME[:0])


def test_an_unknown_name_is_still_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'pysonar' has no attribute 'olsen'"):
        _ = pysonar.olsen
    assert function("ols") is pysonar.ols
