"""The numbers of a visible question as a blob: eight bytes each, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ManifestError
from sonar.families.question import read_visible, write_visible

NUMBERS = st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20)


@given(NUMBERS)
def test_what_is_written_is_read(numbers: list[int]) -> None:
    blob = write_visible(numbers)
    assert len(blob) == 8 * max(len(numbers), 1)
    assert read_visible(blob, len(numbers)) == numbers


@given(st.binary(max_size=64), st.integers(0, 8))
def test_any_bytes_are_numbers_or_are_named(data: bytes, count: int) -> None:
    if len(data) == 8 * max(count, 1) and (count or not any(data)):
        assert write_visible(read_visible(data, count)) == data
        return
    with pytest.raises(ManifestError) as told:
        read_visible(data, count)
    assert told.value.field == "model.blobs"
    assert told.value.hint


def test_a_question_without_numbers_is_one_zero() -> None:
    assert write_visible(()) == bytes(8)
    assert read_visible(bytes(8), 0) == []
    with pytest.raises(ManifestError, match="the question has none"):
        read_visible(bytes(7) + b"\1", 0)


def test_a_number_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(OverflowError):
        write_visible([1 << 63])
