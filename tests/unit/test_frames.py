"""Tables of pandas, polars and Arrow: taken alike, read by a schema, and refused by a column's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysonar.bounty.kinds.fields import schema_of
from pysonar.bounty.request import Bounty
from pysonar.frames.coding import coded
from pysonar.frames.schema import category, columns_given, columns_of, number
from pysonar.models.linear import LinearModel
from sonar.data.schema import CategoryColumn, NumberColumn, Rows
from sonar.errors import ConfigError, DataError

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

PLAIN: dict[str, list[Any]] = {
    "age": [31, 47, 58, 62],
    "bmi": [22.5, None, 31.25, 27.0],
    "sex": ["f", "m", None, "f"],
    "smokes": [True, False, True, True],
}
MAKERS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pd.DataFrame,
    "pandas, nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas, categorical": lambda columns: pd.DataFrame(columns).assign(
        **{name: pd.Categorical(cells) for name, cells in columns.items() if "f" in cells}
    ),
    "pandas, Arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "polars, categorical": lambda columns: pl.DataFrame(columns).with_columns(
        pl.col("sex").cast(pl.Categorical)
    ),
    "arrow": pa.table,
    "arrow, dictionary": lambda columns: pa.table(
        {
            name: pa.array(c).dictionary_encode() if name == "sex" else pa.array(c)
            for name, c in columns.items()
        }
    ),
    "mapping": dict,
    "mapping of series": lambda columns: {name: pd.Series(cells) for name, cells in columns.items()},
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_table_has_the_same_schema_and_codes_whoever_made_it(maker: str) -> None:
    columns = columns_of(MAKERS[maker](PLAIN), widen=0.1, units={"age": "years"})
    age, bmi, sex, smokes = columns
    assert (age.name, age.low, age.high, age.missing, age.unit) == ("age", 27.0, 66.0, False, "years")  # type: ignore[union-attr]
    assert (round(bmi.low, 9), round(bmi.high, 9), bmi.missing) == (21.6, 32.2, True)  # type: ignore[union-attr]
    assert sex == category("sex", ["f", "m"], missing=True)
    assert (smokes.low, smokes.high) == (0.0, 1.0)  # type: ignore[union-attr]
    rows = coded(MAKERS[maker](PLAIN), columns)
    nan = math.nan
    wanted = [[31, 22.5, 0, 1], [47, nan, 1, 0], [58, 31.25, nan, 1], [62, 27.0, 0, 1]]
    np.testing.assert_array_equal(rows, np.array(wanted))
    assert Rows(columns, rows).code("sex").tolist() == [0, 1, -1, 0]


NUMBERS: dict[str, list[Any]] = {
    "a": [0.5 * i for i in range(12)],
    "b": [i**2 for i in range(12)],
    "y": [float(i % 5) for i in range(12)],
}
FRAME_MAKERS = [name for name in MAKERS if "categorical" not in name and "dictionary" not in name]


@pytest.mark.parametrize("maker", FRAME_MAKERS)
def test_bounties_and_models_take_every_frame(maker: str) -> None:
    plain, frame = Bounty.of(NUMBERS, target="y", name="d"), MAKERS[maker](NUMBERS)
    assert Bounty.of(frame, target="y", name="d") == plain
    model = LinearModel.at(plain.design, np.array([0.5, 0.25, 0.1]), 1)
    assert model.predict(frame).tolist() == model.predict(NUMBERS).tolist()


DAY = date(2024, 1, 3)
UNMEANT: dict[str, tuple[Any, str]] = {
    "pandas dates": (pd.DataFrame({"a": pd.to_datetime(["2024-01-03", "2024-01-04"])}), "holds dates"),
    "pandas dates with a zone": (pd.DataFrame({"a": pd.to_datetime([DAY, DAY], utc=True)}), "holds dates"),
    "pandas dates of Python": (pd.DataFrame({"a": [DAY, DAY]}), "row 1 is of the type 'date'"),
    "pandas durations": (pd.DataFrame({"a": pd.to_timedelta([1, 2], unit="h")}), "holds durations"),
    "pandas periods": (pd.DataFrame({"a": pd.period_range("2024", periods=2, freq="D")}), "period"),
    "pandas intervals": (pd.DataFrame({"a": pd.interval_range(0, 2)}), "interval"),
    "pandas complex": (pd.DataFrame({"a": np.array([1j, 2])}), "complex numbers"),
    "pandas sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}), "Sparse"),
    "pandas lists": (pd.DataFrame({"a": [[1], [2]]}), "row 1 is of the type 'list'"),
    "pandas mixed": (pd.DataFrame({"a": [1, "x"]}), "mixes texts and numbers: row 2"),
    "polars dates": (pl.DataFrame({"a": [DAY, DAY]}), "holds dates"),
    "polars instants": (pl.DataFrame({"a": [datetime(2024, 1, 3), None]}), "holds dates"),
    "polars times": (pl.DataFrame({"a": [time(1), time(2)]}), "holds times"),
    "polars durations": (pl.DataFrame({"a": [timedelta(1), timedelta(2)]}), "holds durations"),
    "polars records": (pl.DataFrame({"a": [{"b": 1}, {"b": 2}]}), "records of several fields"),
    "polars lists": (pl.DataFrame({"a": [[1], [2]]}), "holds lists"),
    "polars arrays": (pl.DataFrame({"a": pl.Series([[1], [2]], dtype=pl.Array(pl.Int8, 1))}), "holds arrays"),
    "polars bytes": (pl.DataFrame({"a": [b"1", b"2"]}), "holds bytes"),
    "arrow dates": (pa.table({"a": [DAY, DAY]}), "holds dates"),
    "arrow lists": (pa.table({"a": [[1], [2]]}), "holds lists"),
    "masked": ({"a": np.ma.masked_array([1.0, 2.0], mask=[False, True])}, "1 masked values, row 2"),
    "complex": ({"a": [1j, 2.0]}, "complex numbers"),
    "mixed": ({"a": [1.0, "x"]}, "mixes texts and numbers: row 2"),
    "beyond 2^53": (pl.DataFrame({"a": [(1 << 53) + 1, None]}), "row 1 is 9007199254740993"),
    "infinite": (pl.DataFrame({"a": [1.0, math.inf]}), "infinite"),
    "all missing": (pl.DataFrame({"a": [None, None]}), "no value at all"),
    "constant": (pd.DataFrame({"a": [2, 2]}), "is 2 in every row"),
    "one category": (pd.DataFrame({"a": ["x", "x"]}), "has 1 different value; a category has 2 to 256"),
    "names of rows": (pd.DataFrame({"a": [f"p{i}" for i in range(300)]}), "has 300 different values"),
    "empty": (pd.DataFrame({"a": []}), "no value at all"),
}


@pytest.mark.parametrize("name", UNMEANT)
def test_a_column_that_cannot_be_meant_is_refused_by_name_with_what_to_do(name: str) -> None:
    table, said = UNMEANT[name]
    with pytest.raises(DataError, match=r"^column 'a': ") as caught:
        columns_of(table)
    assert said in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", [name for name in UNMEANT if name.split()[0] in ("pandas", "polars", "arrow")]
)
def test_nor_is_it_taken_by_a_bounty_or_a_schema(name: str) -> None:
    table, _ = UNMEANT[name]
    with pytest.raises(DataError, match=r"^column 'a': "):
        Bounty.of(table, target="a", features=["a"], name="d")
    with pytest.raises(DataError, match=r"^column 'a': "):
        coded(table, [number("a", 0, 1)])


def test_texts_and_categories_are_no_numbers_without_a_schema() -> None:
    for column in (pd.Categorical(["1", "2"]), ["1", "2"]):
        with pytest.raises(DataError, match="column 'a': "):
            Bounty.of(pd.DataFrame({"a": column, "y": [1, 2]}), target="y", name="d")


def test_a_schema_holds_cells_to_it() -> None:
    sex = category("sex", ["f", "m"])
    with pytest.raises(DataError, match=r"column 'sex': row 2 is 'd', which is not in its vocabulary"):
        coded({"sex": ["f", "d"]}, [sex])
    with pytest.raises(DataError, match=r"column 'sex': row 1 is missing, and 1 more") as caught:
        coded({"sex": [None, None, "f"]}, [sex])
    assert "missing=True" in caught.value.hint
    with pytest.raises(DataError, match="column 'bmi': row 2 is missing"):
        coded({"bmi": [1.0, math.nan]}, [number("bmi", 0, 50)])
    with pytest.raises(DataError, match="column 'bmi': row 1 is infinite"):
        coded({"bmi": [math.inf, 1.0]}, [number("bmi", 0, 50, missing=True)])
    with pytest.raises(DataError, match="column 'sex': is missing; there is 'Sex'"):
        coded({"Sex": ["f"]}, [sex])
    with pytest.raises(DataError, match=r"column 'b': has the shape \[1\]"):
        coded({"a": [1.0, 2.0], "b": [1.0]}, [number("a", 0, 1), number("b", 0, 1)])
    with pytest.raises(DataError, match="table: is of the type 'list'"):
        coded([[1.0]], [number("a", 0, 1)])
    with pytest.raises(DataError, match="row 1 is of the type 'float', which names no category"):
        coded({"sex": [0.5, "f"]}, [sex])
    with pytest.raises(DataError, match="table: is lazy"):
        coded(pl.LazyFrame({"a": [1]}), [number("a", 0, 1)])
    with pytest.raises(DataError, match="column 'a': is there twice"):
        coded(pd.DataFrame([[1, 2]], columns=["a", "a"]), [number("a", 0, 1)])


def test_levels_keep_the_order_of_their_type_and_whole_numbers_go_by_size() -> None:
    grades = pd.Categorical(["low", "high", "low"], categories=["low", "middle", "high"], ordered=True)
    assert columns_of(pd.DataFrame({"g": grades}))[0] == category("g", ["low", "middle", "high"])
    stages = columns_of({"stage": [10, 2, 1]}, categories=["stage"])
    assert stages == (category("stage", ["1", "2", "10"]),)
    assert coded({"stage": [10, 2, 1]}, stages).ravel().tolist() == [2, 1, 0]
    assert (
        coded(pd.DataFrame({"stage": [10.0, None]}), [category("stage", ["1", "10"], missing=True)])[0, 0]
        == 1
    )


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 4)), min_size=2, max_size=20).filter(
        lambda v: max(v) - min(v) > 1e-3
    ),
    st.floats(0, 3),
)
def test_bounds_hold_all_rows_and_not_much_more(values: list[float], widen: float) -> None:
    (column,) = columns_of({"a": values}, widen=widen)
    assert isinstance(column, NumberColumn)
    low, high, distance = min(values), max(values), max(values) - min(values)
    assert column.low <= low + 1e-9
    assert column.high >= high - 1e-9
    assert column.low >= low - (widen + 0.11) * distance - 1e-9
    assert column.high <= high + (widen + 0.11) * distance + 1e-9
    assert column.low >= 0 or low < 0
    assert column.low > 0 or low < 1e-9 or widen


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_bound_itself_is_never_beyond_the_bounds(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other) + 1
    column = number("a", low, high)
    assert column.low <= low < high <= column.high
    assert schema_of({"a": {"low": low, "high": high}}) == (column,)
    assert column.high - column.low <= high - low + 2**-31


def test_columns_come_from_tables_of_fields_as_in_a_bounty_s_file() -> None:
    given = columns_given({"age": {"low": 18, "high": 90, "unit": "years"}, "sex": {"levels": ["f", "m"]}})
    assert given == (number("age", 18, 90, unit="years"), category("sex", ["f", "m"]))
    assert columns_given(given) == given
    assert isinstance(given[1], CategoryColumn)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no columns": (lambda: columns_given(3), "columns: is of the type 'int'"),
    "a text": (lambda: columns_given("age"), "columns: is of the type 'str'"),
    "no table": (lambda: columns_given({"age": 3}), "columns.age: 3 is no table"),
    "no high": (lambda: columns_given({"age": {"low": 3}}), "columns.age.high: is missing"),
    "unknown": (
        lambda: columns_given({"age": {"low": 0, "high": 1, "max": 2}}),
        "columns.age.max: there is no",
    ),
    "a list of numbers": (lambda: columns_given([3]), "columns: 3 is no column"),
    "twice": (lambda: columns_given([number("a", 0, 1)] * 2), "columns.a: is there twice"),
    "low above high": (lambda: number("a", 2, 1), "columns.a.low: 2 is not below high, 1"),
    "a text as bound": (lambda: number("a", "0", 1), "columns.a.low: '0' is not a number"),  # type: ignore[arg-type]
    "one level": (lambda: category("a", ["x"]), "columns.a.levels"),
    "levels as one text": (lambda: category("a", "fm"), "columns.a.levels: is no list"),
    "levels twice": (lambda: category("a", ["x", "y", "x"]), "columns.a.levels: 'x' is there twice"),
    "a level that is no text": (lambda: category("a", ["x", 3]), "columns.a.levels.1: 3 is no text"),  # type: ignore[list-item]
    "many levels": (
        lambda: category("a", [*map(str, range(257))]),
        "columns.a.levels: must have at most 256",
    ),
    "a frame": (lambda: columns_given(pd.DataFrame({"a": [1, 2]})), "columns: is a table, not columns"),
    "widen": (lambda: columns_of(PLAIN, widen=-1), "widen: -1 is not a number from 0 to 100"),
    "names": (lambda: columns_of(PLAIN, "age"), "names: is one text, 'age'"),
    "categories": (lambda: columns_of(PLAIN, categories=["ag"]), "categories: there is no column 'ag'"),
    "units": (lambda: columns_of(PLAIN, units={"sex": "cm"}), "units: 'sex' is a column of categories"),
    "missing": (lambda: columns_of(PLAIN, missing=3), "missing: must be of type Iterable"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_said_wrongly_of_columns_is_told_by_field(name: str) -> None:
    call, said = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        call()
    assert str(caught.value).startswith(said)
    assert caught.value.hint


@pytest.mark.parametrize("cells", [[1, 1], [0, 0], [True, True], [0.0, 1.0]])
def test_yes_and_no_are_from_0_to_1_even_if_all_rows_say_the_same(cells: list[Any]) -> None:
    assert columns_of({"event": cells}, widen=1) == (number("event", 0, 1),)


def test_columns_whose_names_are_no_texts_are_columns_and_not_rows() -> None:
    cells = np.arange(30.0).reshape(10, 3) ** 2
    frame = pd.DataFrame(cells)
    assert columns_of(frame) == columns_of({str(i): cells[:, i] for i in range(3)})
    np.testing.assert_array_equal(coded(frame, columns_of(frame)), cells)
    assert Bounty.of(frame.assign(y=frame[0]), target="y", name="n").features == ("0", "1", "2")
    pairs = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "")])
    assert [c.name for c in columns_of(pd.DataFrame(cells, columns=pairs))] == [str(pair) for pair in pairs]
    assert columns_of(frame, ["2"])[0].high == pytest.approx(850)  # type: ignore[union-attr]
    with pytest.raises(DataError, match="column '1': is there twice"):
        columns_of(pd.DataFrame({1: [1.0, 2.0], "1": [1.0, 2.0]}))


HINTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a long name": (lambda: number("a" * 90, 0, 1), "at most 64", "rename the column"),
    "missing": (lambda: number("a", 0, 1, missing="yes"), "columns.a.missing", "True or False"),  # type: ignore[arg-type]
    "no bound": (lambda: number("a", 0, math.inf), "columns.a.high: is infinite", "clipped"),
    "unit": (lambda: number("a", 0, 1, unit="x" * 50), "columns.a.unit", "at most 32 characters"),
    "levels": (lambda: category("a", ["x", " y"]), "columns.a.levels.1", "without blanks around them"),
    "levels twice": (lambda: category("a", ["x", "x"]), "twice", "name each level once"),
    "an empty text": (lambda: columns_of({"k": ["x", "", "y"]}), "column 'k': row 2 is an empty", "'none'"),
    "a long text": (
        lambda: columns_of({"k": ["x", "y" * 65]}),
        "column 'k': row 2 has 65 char",
        "shorten it",
    ),
    "two lines": (lambda: columns_of({"k": ["x", "y\nz"]}), "column 'k': row 2 has a character", "replace"),
    "numbers as texts": (
        lambda: columns_of({"k": [str(i / 3) for i in range(300)]}),
        "300 different",
        "look like numbers",
    ),
    "one cell": (lambda: coded({"a": 1.0}, [number("a", 0, 1)]), "has the shape []", "{'a': [...]}"),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_hint_is_of_the_field_that_is_wrong(name: str) -> None:
    call, said, hint = HINTS[name]
    with pytest.raises((ConfigError, DataError)) as caught:
        call()
    assert said in str(caught.value)
    assert hint in caught.value.hint


def test_decimals_are_numbers() -> None:
    frame = pl.DataFrame({"a": [Decimal("1.5"), Decimal(2)]})
    assert coded(frame, [number("a", 0, 3)]).ravel().tolist() == [1.5, 2.0]
