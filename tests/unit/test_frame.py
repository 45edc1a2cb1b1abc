"""Columns in memory: numpy makes numbers of nearly everything, and here only numbers are taken."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysonar.bounty.request import Bounty
from pysonar.frames.named import columns_of, is_frame
from pysonar.models.linear import LinearModel
from sonar.data.frame import numbers, require_finite, stacked
from sonar.data.names import index_of, missing_column, plain_name
from sonar.errors import DataError, SonarError

A = np.linspace(0.5, 9.5, 12)
B = A**2
Y = A - B / 7

TAKEN: dict[str, tuple[Any, list[float]]] = {
    "floats": ([1.5, 2.5], [1.5, 2.5]),
    "half floats": (np.array([1.5, 2.5], np.float16), [1.5, 2.5]),
    "long floats": (np.array([1.5, 2.5], np.longdouble), [1.5, 2.5]),
    "whole numbers": ([1, 2], [1.0, 2.0]),
    "unsigned": (np.array([1, 255], np.uint8), [1.0, 255.0]),
    "large but exact": ([1 << 60, -(1 << 60)], [2.0**60, -(2.0**60)]),
    "yes and no": ([True, False], [1.0, 0.0]),
    "Decimals": ([Decimal("0.1"), Decimal(2)], [0.1, 2.0]),
    "Fractions": ([Fraction(1, 4), Fraction(2)], [0.25, 2.0]),
    "mixed": ([1, 2.5, True, Decimal("0.5")], [1.0, 2.5, 1.0, 0.5]),
    "nothing masked": (np.ma.masked_array([1.0, 2.0]), [1.0, 2.0]),
    "objects": (np.array([1, 2.5], dtype=object), [1.0, 2.5]),
    "a range": (range(2), [0.0, 1.0]),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "masked": (np.ma.masked_array([1.0, 2.0], mask=[False, True]), "1 masked values, row 2 first"),
    "complex": ([1 + 2j, 2.0], "complex numbers"),
    "complex without imaginary part": (np.array([1.0, 2.0], dtype=complex), "complex numbers"),
    "dates": (np.array(["2024-01-03", "2024-01-04"], dtype="datetime64[D]"), "dates"),
    "durations": (np.array([1, 2], dtype="timedelta64[h]"), "durations"),
    "dates of Python": ([date(2024, 1, 3), date(2024, 1, 4)], "row 1 is of the type 'date'"),
    "texts": (["a", "b"], "row 1 is the text 'a'"),
    "numbers as texts": (["1.5", "2.5"], "row 1 is the text '1.5'"),
    "one text": ([1.5, "x"], "row 2 is the text 'x'"),
    "bytes": ([b"1", b"2"], "row 1 is the text b'1'"),
    "records": (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "records of several fields"),
    "beyond 2^53": ([(1 << 53) + 1, 1], "row 1 is 9007199254740993"),
    "beyond 2^53 of numpy": (np.array([1, (1 << 53) + 1]), "row 2 is 9007199254740993"),
    "far beyond": ([1, 10**400], "row 2 is beyond"),
    "unsigned beyond 2^53": (np.array([1, (1 << 63) + 1], np.uint64), "row 2 is 9223372036854775809"),
    "ragged": ([[1.0], [1.0, 2.0]], "not an array of numbers"),
    "lists in a list of objects": (np.array([[1], None], dtype=object), "row 1 is of the type 'list'"),
    "a generator": ((x for x in [1.0]), "is one generator"),
    "a set": ({1.0, 2.0}, "is one set"),
    "nothing": (None, "is None; a list"),
    "a sparse matrix": (pytest.importorskip("scipy.sparse").eye(2), "sparse"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_numbers_of_any_kind_are_taken_as_they_are(name: str) -> None:
    given_as, wanted = TAKEN[name]
    assert numbers(given_as, "column 'a'").tolist() == wanted


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_number_is_refused_by_its_row(name: str) -> None:
    given_as, said = REFUSED[name]
    with pytest.raises(DataError) as caught:
        numbers(given_as, "column 'a'")
    assert caught.value.field == "column 'a'"
    assert said in caught.value.problem
    assert caught.value.hint


def test_a_longer_float_than_ours_is_refused_where_it_would_be_infinite() -> None:
    huge = np.array([1.0, np.longdouble("1e4000")], dtype=np.longdouble)
    if np.isinf(huge[1]):
        pytest.skip("this machine's long floats are no longer than ours")
    with pytest.raises(DataError, match="row 2 is beyond"):
        numbers(huge, "x")


class NAType:
    """As pandas': what is missing, and no number."""


@pytest.mark.parametrize("missing", [None, float("nan"), NAType(), np.ma.masked])
def test_missing_values_are_told_as_such(missing: Any) -> None:
    values = stacked({"a": [1.0, 2.0], "b": [1.0, missing]})
    with pytest.raises(DataError, match=r"column 'b': row 2 is missing; a number is expected"):
        require_finite(values, ["a", "b"])
    with pytest.raises(DataError, match="row 1 is infinite"):
        require_finite(np.array([[np.inf, 1.0]]), ["a", "b"])


@given(st.lists(st.integers(-(10**25), 10**25), min_size=1, max_size=5))
def test_a_whole_number_is_taken_exactly_or_not_at_all(values: list[int]) -> None:
    exact = [int(float(value)) == value for value in values]
    try:
        taken = numbers(values, "x")
    except DataError:
        assert not all(exact)
    else:
        assert [int(value) for value in taken.tolist()] == values


class Frame:
    """As pandas': its columns have names, of any type, and one name may stand for several of them."""

    ndim = 2

    def __init__(self, names: list[Any], values: Any) -> None:
        self._names, self._values = names, values

    def keys(self) -> list[Any]:
        return self._names

    def __getitem__(self, name: Any) -> Any:
        found = [i for i, one in enumerate(self._names) if one == name]
        return self._values[:, found[0] if len(found) == 1 else found]


class OtherFrame(Frame):
    """As polars': it has columns, and no keys."""

    keys = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        if name == "keys":
            raise AttributeError(name)
        return super().__getattribute__(name)

    @property
    def columns(self) -> list[Any]:
        return self._names


ROWS = np.column_stack([A, B, Y])
FRAMES = {
    "dict": {"a": A, "b": B, "y": Y},
    "frame": Frame(["a", "b", "y"], ROWS),
    "other frame": OtherFrame(["a", "b", "y"], ROWS),
    "objects": Frame(["a", "b", "y"], ROWS.astype(object)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_mappings_and_frames_make_the_same_bounty(frame: Any) -> None:
    plain = Bounty.of(np.column_stack([A, B]), Y, target="y", features=["a", "b"], name="d")
    assert is_frame(frame)
    assert Bounty.of(frame, target="y", name="d") == plain


@pytest.mark.parametrize("refused", [name for name in REFUSED if name != "a sparse matrix"])
def test_bounties_and_models_name_the_column(refused: str) -> None:
    bad = REFUSED[refused][0]
    bounty = Bounty.of(FRAMES["dict"], target="y", name="d")
    model = LinearModel.at(bounty.design, np.zeros(3), 1)
    for use in (
        lambda: Bounty.of({"a": bad, "b": B, "y": Y}, target="y", name="d"),
        lambda: Bounty.of({"a": A, "b": B, "a2": A, "y": bad}, target="y", name="d"),
        lambda: model.predict({"a": bad, "b": bad}),
        lambda: model.decision_function({"a": bad, "b": B}),
        lambda: model.score({"a": A, "b": B}, {"y": bad}),
    ):
        with pytest.raises(DataError, match=r"column '(a|y)'"):
            use()


def test_a_name_that_stands_for_two_columns_is_told() -> None:
    with pytest.raises(DataError, match="column 'a': is there twice"):
        Bounty.of(Frame(["a", "a", "y"], ROWS), target="y", name="d")
    with pytest.raises(DataError, match="column '1': is there twice"):
        columns_of({1: A, "1": B}, None)


COMPOSED, APART = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"


def test_one_name_in_two_forms_of_unicode_is_one_name() -> None:
    one = Bounty.of({COMPOSED: A, "b": B, "y": Y}, target="y", name="d")
    other = Bounty.of({APART: A, " b ": B, "y": Y}, target="y", name="d")
    assert one == other
    assert other.held_out.features == (COMPOSED, "b")
    model = LinearModel.at(one.design, np.array([0.5, 0.0, 0.0]), 1)
    assert model.predict({APART: A, "b": B}).tolist() == model.predict({COMPOSED: A, "b": B}).tolist()
    with pytest.raises(DataError, match=r"that is 'gr\\xf6\\xdfe'.*twice"):
        Bounty.of({COMPOSED: A, APART: B, "y": Y}, target="y", name="d")


@given(st.text(max_size=20))
def test_the_plain_form_of_a_name_is_its_own(name: str) -> None:
    assert plain_name(plain_name(name)) == plain_name(name)


@pytest.mark.parametrize(
    ("asked", "there", "said"),
    [
        ("age", "Age", "there is 'Age'"),
        ("age", "ag\u200be", r"there is 'ag\u200be'"),
        ("age", "\u0430ge", r"\u0430ge"),
        ("age", "age_", "there is 'age_'"),
        ("blood_pressure", "blood pressure", "there is 'blood pressure'"),
        ("age", "income", "there are: 'income'"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_one_that_looks_like_it(
    asked: str, there: str, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        index_of(asked, [there])
    assert said in caught.value.problem or said in caught.value.problem.encode("unicode_escape").decode()
    assert str(missing_column(asked, [there])) == str(caught.value)


@pytest.mark.parametrize(
    "x",
    [
        [[1.0]],
        [[1.0, 2.0, 3.0]],
        np.zeros((1, 1, 1)),
        3.0,
        "ab",
        None,
        iter([1]),
        [[1, "b"]],
        {"a": [1.0]},
        {},
    ],
)
def test_rows_of_a_wrong_shape_are_refused(x: Any) -> None:
    model = LinearModel.at(Bounty.of(FRAMES["dict"], target="y", name="d").design, np.zeros(3), 1)
    with pytest.raises(SonarError) as caught:
        model.predict(x)
    assert caught.value.hint
    assert model.predict([1.0, 2.0]).shape == (1,)
    assert model.predict(np.zeros((0, 2))).shape == (0,)
