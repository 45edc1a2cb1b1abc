"""Rows are recognised in files that were renamed, sorted, extended or cut, and others are not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mine.privacy.rows import RowMarks, marks_of, most_of

KEY = bytes(range(32))
Matrix = NDArray[np.float64]
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-3, 3).map(float)


@st.composite
def tables(draw: st.DrawFn, columns: int = 3) -> Matrix:
    rows = draw(st.integers(1, 12))
    return draw(hnp.arrays(np.float64, (rows, columns), elements=NUMBERS))


def marks(table: Matrix, names: str = "abc", pieces: int = 1, key: bytes = KEY) -> RowMarks:
    return marks_of(np.array_split(table, pieces), list(names), key)


def numbers(rows: int, seed: int = 0, columns: int = 3) -> Matrix:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@given(tables(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_batches_do_not_matter(table: Matrix, random: object, pieces: int) -> None:
    order = np.random.default_rng(0).permutation(len(table))
    columns = np.random.default_rng(1).permutation(3)
    one = marks(table)
    other = marks(table[order][:, columns], "".join("abc"[i] for i in columns), pieces)
    assert one.digest == other.digest
    assert one.columns == other.columns
    assert one.within(other).all()
    assert other.within(one).all()


@given(tables(), tables())
def test_an_extended_table_has_the_rows_and_the_new_ones_are_new(table: Matrix, more: Matrix) -> None:
    whole = marks(np.vstack([table, more]))
    assert marks(table).within(whole).all()
    back = whole.within(marks(table))
    held = {tuple(sorted(row)) for row in (table + 0.0).tolist()}
    assert np.count_nonzero(back) == len(held)


@given(tables())
def test_other_names_of_columns_are_the_same_rows_and_not_the_same_sums(table: Matrix) -> None:
    one, other = marks(table), marks(table, "xyz")
    assert one.within(other).all()
    assert one.digest != other.digest


@pytest.mark.parametrize("kept", [[0], [1, 2], [0, 2]])
def test_a_table_that_lost_columns_counts_as_the_same_rows(kept: list[int]) -> None:
    table = numbers(40)
    one, other = marks(table), marks(table[:, kept], "".join("abc"[i] for i in kept))
    assert other.within(one).all()
    assert one.within(other).all()


def test_a_table_that_gained_a_column_counts_as_the_same_rows() -> None:
    table = numbers(40)
    more = np.column_stack([table, numbers(40, 1, 1)])
    assert marks(more, "abcd").within(marks(table)).all()


def test_a_column_of_few_values_makes_no_tables_alike() -> None:
    """As sex, or a year of birth in a small file: 19 different values are too few to tell."""
    column = np.arange(40) % 19
    one, other = (np.column_stack([column, numbers(40, seed, 2)]) for seed in (1, 2))
    assert not marks(one).columns & marks(other).columns
    assert not marks(one).within(marks(other)).any()
    column = np.arange(40) % 20
    one, other = (np.column_stack([column, numbers(40, seed, 2)]) for seed in (1, 2))
    assert marks(one).within(marks(other)).all()  # an id from 1 on does this: leave such a column out


def test_what_is_not_recognised() -> None:
    """Other columns and other rows at once; values in another unit. It is said where this is shown."""
    table = numbers(40)
    assert not marks(table[:39, :2], "ab").within(marks(table)).any()
    assert not marks(table * 2).within(marks(table)).any()


def test_zero_has_no_sign() -> None:
    assert marks(np.array([[0.0, 1.0, -0.0]])).digest == marks(np.array([[-0.0, 1.0, 0.0]])).digest


def test_other_keys_make_other_marks() -> None:
    table = numbers(30)
    one, other = marks(table), marks(table, key=bytes(32))
    assert not one.within(other).any()
    assert not one.columns & other.columns
    assert one.digest != other.digest


def test_a_row_that_is_there_twice_is_another_table_with_the_same_rows() -> None:
    table = numbers(30)
    one, other = marks(table), marks(np.vstack([table, table[:1]]))
    assert one.digest != other.digest
    assert other.within(one).all()
    assert len(other.rows) == 30


@given(tables())
def test_marks_are_read_as_they_were_written(table: Matrix) -> None:
    one = marks(table)
    again = RowMarks.read(one.to_record())
    assert np.array_equal(one.rows, again.rows)
    assert (one.columns, one.count, one.digest) == (again.columns, again.count, again.digest)


@settings(max_examples=60)
@given(
    st.lists(st.sets(st.integers(0, 9)), max_size=6),
    st.sets(st.integers(0, 9), min_size=1),
    st.lists(st.fractions(0, 5), min_size=6, max_size=6),
)
def test_the_most_that_a_row_has_spent_is_counted_row_by_row(
    others: list[set[int]], own: set[int], amounts: list[Fraction]
) -> None:
    table = numbers(10, columns=2)

    def of(rows: set[int]) -> RowMarks:
        return marks(table[sorted(rows)], "ab")

    totals = [(of(rows), amount) for rows, amount in zip(others, amounts, strict=False) if rows]
    held = [(rows, amount) for rows, amount in zip(others, amounts, strict=False) if rows]
    expected = max(sum((a for rows, a in held if row in rows), Fraction(0)) for row in own)
    assert most_of(of(own), totals) == expected
    assert most_of(of(own), [*totals, (None, Fraction(7))]) == expected + 7


def test_many_tables_that_overlap_in_part() -> None:
    table = numbers(300, columns=2)
    cuts = [marks(table[i : i + 100], "ab") for i in range(0, 200, 2)]
    assert len(cuts) == 100
    assert most_of(marks(table, "ab"), [(cut, Fraction(1)) for cut in cuts]) == 50
