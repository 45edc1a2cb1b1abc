"""Amounts are exact, and a wrong one is refused by name."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ConfigError
from sonar.protocol.ids import Address
from sonar.telling.amounts import (
    IN_ETHER,
    Unit,
    format_amount,
    format_wei,
    in_column,
    is_symbol,
    parse_amount,
    parse_wei,
)


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
        (0, "0 ether"),
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


TOKEN = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
USDC = Unit(TOKEN, "USDC", 6)


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("12.5 USDC", USDC, 12_500_000),
        ("1_000 usdc", USDC, 10**9),
        ("7 units", USDC, 7),
        ("7 units", Unit(TOKEN), 7),
        ("2 B.T-C", Unit(TOKEN, "B.T-C", 0), 2),
        ("1 ether", IN_ETHER, 10**18),
    ],
)
def test_people_write_amounts_of_tokens(text: str, unit: Unit, amount: int) -> None:
    assert parse_amount(text, unit) == amount


@pytest.mark.parametrize(
    ("text", "unit", "problem", "hint"),
    [
        ("1 ether", USDC, "'ether' is not a unit", "USDC (10^6 units) and units (the token's smallest)"),
        ("1 USDC", Unit(TOKEN), "'USDC' is not a unit", "units (the token's smallest)"),
        ("1 USDC", IN_ETHER, "'USDC' is not a unit", "wei, gwei (10^9 wei) and ether (10^18 wei)"),
        ("0.0000001 USDC", USDC, "not a whole number of units", ""),
        ("0.5 units", USDC, "not a whole number of units", ""),
        ("5", USDC, "names no unit", "USDC"),
    ],
)
def test_an_amount_in_another_unit_is_refused(text: str, unit: Unit, problem: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="reward") as caught:
        parse_amount(text, unit, "reward")
    assert problem in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (12_500_000, USDC, "12.5 USDC 0xA0b8…eB48"),
        (1, Unit(TOKEN, "TINY", 18), "~0 TINY 0xA0b8…eB48"),
        (12_500_000, Unit(TOKEN), "12500000 units of 0xA0b8…eB48"),
        (10**18, IN_ETHER, "1 ether"),
    ],
)
def test_people_read_amounts_of_tokens_with_the_address(amount: int, unit: Unit, text: str) -> None:
    assert format_amount(amount, unit) == text


@pytest.mark.parametrize(
    ("amounts", "unit", "name", "told"),
    [
        ([10**18 // 3, 0, 5 * 10**18, 1, -1], IN_ETHER, "ether", "0.333333 0 5.000000 <0.000001 >-0.000001"),
        ([5 * 10**16, 0], IN_ETHER, "ether", "0.05 0"),
        ([1_234 * 10**18], IN_ETHER, "ether", "1,234"),
        ([879_509_332_000, 1_900_000_000_000], IN_ETHER, "gwei", "879.51 1,900.00"),
        ([5], IN_ETHER, "wei", "5"),
        ([0, 0], IN_ETHER, "ether", "0 0"),
        ([12_500_000, 1], USDC, "USDC", "12.500000 0.000001"),
        ([1, 0], Unit(TOKEN, "TINY", 18), "TINY", "<0.000001 0"),
        ([12_500_000, 1], Unit(TOKEN), "units", "12,500,000 1"),
        ([7], Unit(TOKEN, "WHOLE", 0), "WHOLE", "7"),
        ([], IN_ETHER, "ether", ""),
    ],
)
def test_a_column_of_amounts_is_in_one_unit(amounts: list[int], unit: Unit, name: str, told: str) -> None:
    assert in_column(amounts, unit) == (name, told.split())


@given(st.lists(st.integers(-(10**30), 10**30), max_size=6), st.sampled_from([IN_ETHER, USDC, Unit(TOKEN)]))
def test_a_cell_of_a_column_is_its_amount_rounded(amounts: list[int], unit: Unit) -> None:
    name, cells = in_column(amounts, unit)
    decimals = {"ether": 18, "gwei": 9, "wei": 0, "USDC": 6, "units": 0}[name]
    assert len({len(cell.partition(".")[2]) for cell in cells if cell != "0"}) <= 1
    for amount, cell in zip(amounts, cells, strict=True):
        assert (cell == "0") == (amount == 0)  # something is never told as nothing
        number = Decimal(cell.lstrip("<>").replace(",", ""))
        last = Decimal(1).scaleb(-len(cell.partition(".")[2]))
        with localcontext(prec=100):
            assert abs(number - Decimal(amount).scaleb(-decimals)) <= last


@pytest.mark.parametrize(
    ("symbol", "fine"),
    [
        ("USDC", True),
        ("B.T-C", True),
        ("a", True),
        ("", False),
        ("ether", False),
        ("ETH", False),
        ("units", False),
        ("US DC", False),
        ("USD\u0421", False),  # a Cyrillic letter that looks like C
        ("A" * 17, False),
        ("\x1b[0m", False),
    ],
)
def test_a_symbol_cannot_pass_for_something_else(symbol: str, fine: bool) -> None:
    assert is_symbol(symbol) is fine
