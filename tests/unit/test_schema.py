"""What columns of a table mean, and rows that are read by it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sonar.data.schema import CategoryColumn, NumberColumn, Rows
from sonar.errors import DataError, ManifestError
from tests.sums_kit import category, number

COLUMNS = (number("age", 0, 100), category("sex", ("f", "m")), number("bmi", 10, 60, missing=True))
NAN = float("nan")


def rows(*values: list[float]) -> Rows:
    return Rows(COLUMNS, np.array(values))


def test_numbers_are_clipped_and_standardised() -> None:
    found = rows([-5, 0, 35], [50, 1, NAN], [1e300, 0, 60])
    assert found.number("age").tolist() == [0, 50, 100]
    assert found.standard("age").tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(found.standard("bmi"), [0, NAN, 1])
    with pytest.raises(ValueError, match="read-only"):
        found.number("age")[0] = 1


def test_a_missing_category_has_no_code() -> None:
    found = Rows((category("sex", missing=True),), np.array([[0.0], [NAN], [2.0]]))
    assert found.code("sex").tolist() == [0, -1, 2]


def test_complete_rows_miss_none_of_the_columns_named() -> None:
    found = rows([1, 0, NAN], [2, 1, 20], [3, 0, 30])
    assert found.complete(["age", "bmi"]).tolist() == [False, True, True]
    assert found.complete_rows(["age", "sex"]) is found
    assert found.complete_rows(["bmi", "age"]) is found.complete_rows(["bmi"])
    some = found.complete_rows(["bmi"])
    assert some.number("age").tolist() == [2, 3]
    last = some.where(np.array([False, True]))
    assert (len(last), last.raw("bmi").tolist(), last.code("sex").tolist()) == (1, [30], [0])


def test_what_is_made_of_rows_is_kept_until_something_else_is() -> None:
    found, made = rows([1, 0, 20]), list[str]()

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in ("a", "a", "b", "a"):
        assert found.latest("slot", name, partial(make, name)) == name
    assert made == ["a", "b", "a"]


def test_rows_of_no_rows() -> None:
    found = Rows(COLUMNS, np.zeros((0, 3)))
    assert (len(found), found.misses, len(found.complete_rows(["age"]))) == (0, False, 0)
    assert len(found.where(np.array([True, False, False]))) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([NAN, 0, 1], "column 'age': has a missing cell"),
        ([float("inf"), 0, 1], "column 'age': has an infinite value"),
        ([1, 2, 1], "column 'sex': has a code that is none of 0 to 1"),
        ([1, 0.5, 1], "column 'sex': has a code"),
        ([1, -1, 1], "column 'sex': has a code"),
        ([1, NAN, 1], "column 'sex': has a missing cell"),
        ([1, 0], r"shape \(2, 2\); the schema has 3 columns"),
    ],
)
def test_rows_that_the_schema_does_not_allow_are_refused(row: list[float], said: str) -> None:
    good = [1.0, 0.0, 1.0][: len(row)]
    with pytest.raises(DataError, match=said):
        rows(good, row)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x", "low_q32": 5, "high_q32": 5}, "is not below high_q32"),
        ({"name": "x", "low_q32": -(1 << 63), "high_q32": 0}, "low_q32"),
        ({"name": "", "low_q32": 0, "high_q32": 5}, "name"),
    ],
)
def test_bounds_that_cannot_be_meant_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        NumberColumn.parse(fields)


@pytest.mark.parametrize(
    "levels", [("a",), ("a", "a"), ("a", " b"), ("a", ""), ("a", "b\n"), ("a", "x" * 65)]
)
def test_levels_that_cannot_be_meant_are_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(ManifestError, match="levels"):
        CategoryColumn.parse({"name": "x", "levels": levels})


def test_as_many_levels_as_there_may_be() -> None:
    levels = tuple(map(str, range(256)))
    assert len(CategoryColumn.parse({"name": "x", "levels": levels}).levels) == 256
    with pytest.raises(ManifestError):
        CategoryColumn.parse({"name": "x", "levels": (*levels, "x")})
