"""The bundled data, their split, and CSV files as people write them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from sonar.data import examples
from sonar.data.table import parse_csv
from sonar.errors import DataError

DIABETES = examples.load("diabetes")


def test_diabetes_is_scikit_learns() -> None:
    theirs = load_diabetes(scaled=False)
    assert DIABETES.columns == (*theirs.feature_names, "target")
    assert tuple(theirs.feature_names) == examples.DIABETES_FEATURES
    assert np.array_equal(DIABETES.matrix(theirs.feature_names), theirs.data)
    assert np.array_equal(DIABETES.column("target"), theirs.target)


def test_holdout_and_shards_are_all_rows_in_order() -> None:
    parts = [examples.holdout(DIABETES), *(examples.shard(DIABETES, index, 10) for index in range(10))]
    assert [part.rows for part in parts] == [42, *[40] * 10]
    assert np.array_equal(np.concatenate([part.values for part in parts]), DIABETES.values)


@pytest.mark.parametrize("of", [1, 3, 7, 399, 400])
def test_any_number_of_shards(of: int) -> None:
    sizes = [examples.shard(DIABETES, index, of).rows for index in range(of)]
    assert sum(sizes) == 400
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: examples.load("iris"),
        lambda: examples.shard(DIABETES, 10, 10),
        lambda: examples.shard(DIABETES, -1, 10),
        lambda: examples.shard(DIABETES, 0, 0),
        lambda: examples.shard(DIABETES, 0, 401),
        lambda: examples.shard(DIABETES, 0, 2, skip=-1),
        lambda: examples.holdout(DIABETES, 442),
        lambda: examples.holdout(DIABETES, 0),
        lambda: DIABETES.column("weight"),
        lambda: DIABETES.matrix(["age", "weight"]),
    ],
)
def test_refused(call: Callable[[], object]) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert caught.value.problem


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n-3.5e2,4\n",
        "a,b\r\n1,2\r\n-3.5e2,4\r\n",
        "a,b\r1,2\r-3.5e2,4",
        '\ufeffa,b\n"1","2"\n"-3.5e2",4\n',
        " a , b \n 1 , 2 \n\n-350.0, 4\n\n\n",
        '"a","b"\n1,2\n-350,+4.0',
    ],
)
def test_csv_as_people_write_it(text: str) -> None:
    for data in (text, text.encode()):
        table = parse_csv(data, "x.csv")
        assert table.columns == ("a", "b")
        assert table.values.tolist() == [[1.0, 2.0], [-350.0, 4.0]]


def test_only_the_columns_asked_for_need_be_numbers() -> None:
    text = 'name,b,a_c\n"Smith, John",1,2\n"O""Neill\nJr",3,4\n'
    table = parse_csv(text, "x.csv", ["a_c", "b"])
    assert table.columns == ("a_c", "b")
    assert table.values.tolist() == [[2.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", "x.csv", "is empty"),
        ("\n\n", "x.csv", "is empty"),
        ("a,b\n", "x.csv", "no rows"),
        ("a,a\n1,2\n", "x.csv, line 1", "'a' is named twice"),
        ("a,\n1,2\n", "x.csv, line 1", "column 2 has no name"),
        ("a;b\n1;2\n", "x.csv, line 1", "semicolons"),
        ("a,b\n1,2\n1\n", "x.csv, line 3", "has 1 fields, the header has 2"),
        ("a,b\n1,2,3\n", "x.csv, line 2", "has 3 fields, the header has 2"),
        ("a,b\n1,2\n3,x\n", "x.csv, line 3", "column 'b': 'x' is not a number"),
        ("a,b\n\n1,\n", "x.csv, line 3", "column 'b': is empty"),
        ("a,b\nnan,2\n", "x.csv, line 2", "column 'a': 'nan' stands for a missing value"),
        ("a,b\n1,-inf\n", "x.csv, line 2", "column 'b': '-inf' is not finite"),
        ("a,b\n1,1e999\n", "x.csv, line 2", "column 'b': '1e999' is not finite"),
        ("a,b\n1_000,2\n", "x.csv, line 2", "column 'a': '1_000' is not a number"),
        ("a,b\ninf,-inf\n", "x.csv, line 2", "column 'a'"),
        ('a,b\n"1"x,2\n', "x.csv, line 2", "expected after"),
        ('a,b\n"1,2\n', "x.csv, line 2", "never closed"),
        ('"x\ny",b\n1,2\n3,z\n', "x.csv, line 4", "'z'"),
        (b"a,b\n1,2\n\xff,3\n", "x.csv, line 3", "not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "x.csv", "text in UTF-16"),
        ("a,b\n" + "9" * 200_000 + ",1\n", "x.csv, line 2", "field limit"),
    ],
)
def test_csv_that_is_refused(text: str | bytes, where: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_csv(text, "x.csv")
    assert caught.value.field == where
    assert problem in caught.value.problem


def test_a_missing_column_is_named_with_what_there_is() -> None:
    with pytest.raises(DataError, match="column 'bmi': is missing; there are: 'a', 'b'"):
        parse_csv("a,b\n1,2\n", "x.csv", ["a", "bmi"])


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonar.data.table.MAX_CSV_BYTES", 5)
    with pytest.raises(DataError, match="limit of 5 bytes"):
        parse_csv("a,b\n1,2\n", "x.csv")


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False, width=64)] * 3), min_size=1))
def test_every_finite_number_survives(rows: list[tuple[float, float, float]]) -> None:
    text = "a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    assume(all(math.isfinite(sum(row)) for row in rows))  # a row that cannot be added up is refused
    assert parse_csv(text, "x.csv").values.tolist() == [list(row) for row in rows]


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_anything_gives_a_table_or_a_data_error(data: str | bytes) -> None:
    with suppress(DataError):
        assert parse_csv(data, "x.csv").rows > 0


def test_large_files_are_quick() -> None:
    line = ",".join(["123.456789"] * 10) + "\n"
    text = ",".join("abcdefghij") + "\n" + line * 100_000
    start = time.process_time()
    assert parse_csv(text, "x.csv").values.shape == (100_000, 10)
    assert time.process_time() - start < 3.0  # a tenth of that on an idle machine
