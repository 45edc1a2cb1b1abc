"""Amounts of money as people write and read them; inside the programs they are integers of smallest units.

The smallest unit of ether is the wei. A token has a unit of its own: how many digits it has and what it is
called comes from the token (`sonar.chain.contract.token`) or from `bounty.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from sonar.errors import ConfigError
from sonar.frozen import frozen
from sonar.protocol.ids import ETHER, Address
from sonar.telling.text import short

UNITS = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}
SMALLEST = "units"
"""What the smallest units of a token are called."""
MAX_WEI = 2**256 - 1
MAX_DECIMALS = 36
_SHOWN_DIGITS = 6
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.$+_-]{0,15}", re.ASCII)


@frozen
class Unit:
    """The unit in which amounts of an asset are shown: without a symbol or decimals, its smallest."""

    asset: Address = ETHER
    symbol: str = ""
    decimals: int | None = None

    @property
    def known(self) -> bool:
        """Whether amounts can be shown in the asset's own unit."""
        return self.asset == ETHER or (bool(self.symbol) and self.decimals is not None)

    @property
    def name(self) -> str:
        """The asset's name for people. A symbol is a claim, so a token's address stands beside it."""
        if self.asset == ETHER:
            return "ether"
        address = short(self.asset)
        return f"{self.symbol} {address}" if self.known else f"{SMALLEST} of {address}"


IN_ETHER = Unit()


def is_symbol(text: str) -> bool:
    """Tell whether `text` can serve as a token's symbol: short, ASCII, and no unit of ether's."""
    return _SYMBOL.fullmatch(text) is not None and text.lower() not in {*UNITS, SMALLEST}


def parse_wei(text: str, field: str = "amount") -> int:
    """Return `text`, such as "0.01 ether" or "5 gwei", in wei. Raises ConfigError naming `field`."""
    return _parse(text, field, UNITS, "0.01 ether", "wei, gwei (10^9 wei) and ether (10^18 wei)", "wei")


def parse_amount(text: str, unit: Unit, field: str = "amount") -> int:
    """Return `text` in smallest units: "12.5 USDC", or "12500000 units". Raises ConfigError."""
    if unit.asset == ETHER:
        return parse_wei(text, field)
    units = {SMALLEST: 0}
    told = f"{SMALLEST} (the token's smallest)"
    if unit.known:
        assert unit.decimals is not None
        units[unit.symbol.lower()] = unit.decimals
        told = f"{unit.symbol} (10^{unit.decimals} {SMALLEST}) and {told}"
    return _parse(text, field, units, f"10 {unit.symbol or SMALLEST}", told, SMALLEST)


def format_wei(amount_wei: int) -> str:
    """Return an amount for people, in a suitable unit; a "~" means that digits were left out."""
    size = abs(amount_wei)
    name = "ether" if size >= 10**12 or not size else "gwei" if size >= 10**5 else "wei"
    return f"{_shown(amount_wei, UNITS[name])} {name}"


def in_column(amounts: Sequence[int], unit: Unit) -> tuple[str, list[str]]:
    """Return the name of the one unit that suits all these amounts, and each in it, for a table's column.

    All have as many digits after the point, at most six, and two of gwei. "<0.000001" is more than nothing.
    """
    name, decimals, most = unit.symbol, unit.decimals or 0, _SHOWN_DIGITS
    if unit.asset == ETHER:
        size = max(map(abs, amounts), default=0)
        name = "ether" if size >= 10**14 or not size else "gwei" if size >= 10**7 else "wei"
        decimals, most = UNITS[name], 2 if name == "gwei" else most
    elif not unit.known:
        name, decimals = SMALLEST, 0
    with localcontext(prec=100):
        exact = [Decimal(amount).scaleb(-decimals) for amount in amounts]
        digits = max((_digits(each, min(most, decimals)) for each in exact), default=0)
        return name, [_cell(each, digits) for each in exact]


def _digits(exact: Decimal, most: int) -> int:
    """How many digits after the point an amount needs, if no more than `most`."""
    exponent = round(exact, most).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return most if exact and not round(exact, most) else max(-exponent, 0)


def _cell(exact: Decimal, digits: int) -> str:
    """An amount with this many digits after the point; less than one of the last digit is not shown as 0."""
    if not exact:
        return "0"
    shown = f"{exact:,.{digits}f}"
    if round(exact, digits):
        return shown
    return f"{'<' if exact > 0 else '>-'}{Decimal(1).scaleb(-digits):f}"


def format_amount(amount: int, unit: Unit) -> str:
    """Return an amount of an asset for people: "12.5 USDC 0xA0b8…eB48"."""
    if unit.asset == ETHER:
        return format_wei(amount)
    return f"{_shown(amount, unit.decimals or 0) if unit.known else amount} {unit.name}"


def _parse(text: str, field: str, units: Mapping[str, int], example: str, told: str, smallest: str) -> int:
    match = re.fullmatch(
        r"\s*([0-9][0-9_]{0,90})(?:\.([0-9]{1,40}))?\s*([a-zA-Z][a-zA-Z0-9.$+_-]*)?\s*", text, re.ASCII
    )
    if match is None:
        raise ConfigError(field, f"{text[:80]!r} is not an amount", hint=f"write it as in {example}")
    whole, fraction, name = match[1].replace("_", ""), match[2] or "", (match[3] or "").lower()
    if name not in units:
        problem = f"{text[:80]!r} names no unit" if not name else f"{match[3][:20]!r} is not a unit"
        raise ConfigError(field, problem, hint=f"the units are {told}")
    fraction = fraction.rstrip("0")
    if len(fraction) > units[name]:
        raise ConfigError(field, f"{text[:80]!r} is not a whole number of {smallest}")
    amount = int(whole + fraction.ljust(units[name], "0"))
    if amount > MAX_WEI:
        raise ConfigError(field, f"{text[:80]!r} is more than 2^256 - 1 {smallest}")
    return amount


def _shown(amount: int, decimals: int) -> str:
    with localcontext(prec=100):
        exact = Decimal(amount).scaleb(-decimals)
        shown = round(exact, _SHOWN_DIGITS)
    text = f"{shown:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'' if shown == exact else '~'}{text}"
