"""Amounts are exact, and a wrong one is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.amounts import format_wei, parse_wei
from sonar.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0.01 ether", 10**16),
        ("1 ETH", 10**18),
        ("5 gwei", 5 * 10**9),
        ("100 wei", 100),
        ("1_000 wei", 1000),
        ("  2.50ether ", 25 * 10**17),
        ("0.000000000000000001 ether", 1),
        ("7.000 wei", 7),
        ("0 ether", 0),
    ],
)
def test_people_write_amounts(text: str, wei: int) -> None:
    assert parse_wei(text) == wei


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not an amount"),
        ("ether", "not an amount"),
        ("-1 ether", "not an amount"),
        ("1e3 wei", "not an amount"),
        ("1.ether", "not an amount"),
        ("1,5 ether", "not an amount"),
        ("٣ ether", "not an amount"),
        ("5", "names no unit"),
        ("5 dollars", "not a unit"),
        ("0.5 wei", "not a whole number of wei"),
        ("0.0000000000000000001 ether", "not a whole number of wei"),
        ("9" * 78 + " wei", "more than 2"),
        ("1" * 10_000, "not an amount"),
    ],
)
def test_what_is_no_amount_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_wei(text, "--stake")
    assert caught.value.field == "--stake"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 wei"),
        (99_999, "99999 wei"),
        (5 * 10**9, "5 gwei"),
        (10**16, "0.01 ether"),
        (10**24, "1000000 ether"),
        (123_456_789_012_345_678, "~0.123457 ether"),
        (-(10**18), "-1 ether"),
    ],
)
def test_people_read_amounts(wei: int, text: str) -> None:
    assert format_wei(wei) == text


@given(st.integers(0, 10**40))
def test_what_is_shown_without_a_tilde_is_exact(wei: int) -> None:
    text = format_wei(wei)
    if not text.startswith("~"):
        assert parse_wei(text) == wei
    else:
        shown = parse_wei(text.removeprefix("~"))
        assert abs(shown - wei) <= 10**12 // 2
