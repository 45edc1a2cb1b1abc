"""Frozen dataclasses that are quick to make behave as the library's own."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.frozen import frozen


@frozen
class Ours:
    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Theirs:
    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)


@frozen
class More(Ours):
    d: float = field(default=1.0, compare=False, repr=False)


@dataclass(frozen=True)
class TheirMore(Theirs):
    d: float = field(default=1.0, compare=False, repr=False)


VALUES = st.tuples(st.integers(0, 2), st.sampled_from("bc"), st.lists(st.integers(0, 1), max_size=1))


@pytest.mark.parametrize(("ours", "theirs"), [(Ours, Theirs), (More, TheirMore)])
@given(one=VALUES, other=VALUES)
def test_they_compare_and_show_themselves_as_the_library_s(
    ours: Any, theirs: Any, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    assert (ours(*one) == ours(*other)) == (theirs(*one) == theirs(*other))
    assert repr(ours(*one)).partition("(")[2] == repr(theirs(*one)).partition("(")[2]
    assert repr(ours(*one)).startswith(ours.__qualname__)
    assert asdict(ours(*one)) == asdict(theirs(*one))


def test_what_is_equal_has_one_hash_and_another_class_is_never_equal() -> None:
    @frozen
    class Key:
        a: int
        d: float = field(default=1.0, compare=False)

    assert len({Key(1), Key(1, 2.0), Key(2)}) == 2
    assert Ours(1) != More(1)
    theirs: Any = Theirs(1)
    assert Ours(1) != theirs
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours(1))  # for its list, as with the library's


def test_nothing_can_be_changed_but_in_a_copy() -> None:
    one = More(1)
    with pytest.raises(FrozenInstanceError):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.d
    assert replace(one, a=2) == More(2)
    assert [each.name for each in fields(More)] == ["a", "b", "c", "d"]


def test_a_method_of_its_own_stays() -> None:
    @frozen
    class Named:
        a: int

        def __repr__(self) -> str:
            return f"<{self.a}>"

    assert repr(Named(3)) == "<3>"
