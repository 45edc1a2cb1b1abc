"""One cell has one code, whether it comes from a mine's file or from a scientist's table."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysonar.frames.coding import coded
from sonar.data.cells import Found
from sonar.data.coding import Coder
from sonar.data.schema import Schema
from sonar.data.table import csv_coded
from sonar.errors import DataError
from tests.sums_kit import category, number

pandas = pytest.importorskip("pandas")

levels = st.lists(
    st.text(st.characters(categories=("L", "N", "P"), max_codepoint=0x2FF), min_size=1, max_size=6),
    min_size=2,
    max_size=8,
    unique=True,
)


@given(levels, st.data())
def test_every_level_has_its_place(names: list[str], data: st.DataObject) -> None:
    """However it is written: with blanks around it, or decomposed into letters and accents."""
    if len({one.casefold() for one in names}) < len(names):
        return
    coder = Coder(category("x", names, missing=True))
    place = data.draw(st.integers(0, len(names) - 1))
    for cell in (names[place], f"  {names[place]}\t"):
        assert coder.code(cell) == place
        assert coder.code(cell) == place  # kept


@given(st.integers(-5, 5), st.sampled_from(["{}", "{}.0", "{}e0", " {} ", "{:.3f}"]))
def test_a_number_is_a_category_by_its_value(value: int, spelled: str) -> None:
    coder = Coder(category("x", [str(one) for one in range(-5, 6)]))
    assert coder.code(spelled.format(value)) == value + 5
    assert coder.codes(np.array([float(value)] * 3)).tolist() == [value + 5] * 3


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("cell", ["", " ", "NA", "nan", "?", "NULL"])
def test_missing_cells_are_missing_if_they_may_be(cell: str, missing: bool) -> None:
    for column in (category("x", missing=missing), number("x", missing=missing)):
        found = Coder(column).code(cell)
        assert isinstance(found, float) and math.isnan(found) if missing else isinstance(found, Found)


@pytest.mark.parametrize("cell", ["1_0", "0x10", "1,5", "12 kg", "inf", "1e999", "9" * 30, "x"])
def test_what_is_no_number_is_none_here_either(cell: str) -> None:
    found = Coder(number("x", missing=True)).code(cell)
    assert isinstance(found, Found)
    assert found.problem
    assert found.hint


def test_a_long_vocabulary_is_told_in_part() -> None:
    found = Coder(category("x", [f"l{i}" for i in range(40)])).code("L3")
    assert isinstance(found, Found)
    assert found.problem.endswith("'l19' and 20 more")
    assert found.hint == "write 'l3'"


def test_numbers_that_are_no_level_are_refused() -> None:
    with pytest.raises(DataError, match="column 'x': '3' is none of the bounty's categories: '1', '2'"):
        Coder(category("x", ["1", "2"])).codes(np.array([1.0, 3.0]))


def test_a_file_and_a_frame_have_the_same_codes() -> None:
    schema: Schema = (
        number("age", 0, 100),
        number("bmi", 10, 60, missing=True),
        category("sex", ("f", "m"), missing=True),
        category("smoker", ("false", "true")),
        category("stage", ("1", "2", "3")),
    )
    frame = pandas.DataFrame(
        {
            "age": [30, 41, 52, 150],
            "bmi": [20.5, None, 31.25, 9.0],
            "sex": ["f", None, "m", "f"],
            "smoker": [True, False, False, True],
            "stage": [1, 3, 2, 2],
        }
    )
    data = io.BytesIO(frame.to_csv(index=False).encode())
    (from_file,) = csv_coded(data, "frame.csv", schema)
    np.testing.assert_array_equal(from_file, coded(frame, schema))
    assert from_file[:, 3].tolist() == [1, 0, 0, 1]
