"""Amounts of ether as people write and read them; inside the programs they are integers of wei."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

from sonar.errors import ConfigError

UNITS = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}
MAX_WEI = 2**256 - 1
_SHOWN_DIGITS = 6


def parse_wei(text: str, field: str = "amount") -> int:
    """Return `text`, such as "0.01 ether" or "5 gwei", in wei. Raises ConfigError naming `field`."""
    match = re.fullmatch(r"\s*([0-9][0-9_]{0,90})(?:\.([0-9]{1,30}))?\s*([a-zA-Z]*)\s*", text, re.ASCII)
    if match is None:
        raise ConfigError(field, f"{text[:80]!r} is not an amount", hint="write it as in 0.01 ether")
    whole, fraction, unit = match[1].replace("_", ""), match[2] or "", match[3].lower()
    if unit not in UNITS:
        problem = f"{text[:80]!r} names no unit" if not unit else f"{unit[:20]!r} is not a unit"
        raise ConfigError(field, problem, hint="the units are wei, gwei (10^9 wei) and ether (10^18 wei)")
    fraction = fraction.rstrip("0")
    if len(fraction) > UNITS[unit]:
        raise ConfigError(field, f"{text[:80]!r} is not a whole number of wei")
    amount = int(whole + fraction.ljust(UNITS[unit], "0"))
    if amount > MAX_WEI:
        raise ConfigError(field, f"{text[:80]!r} is more than 2^256 - 1 wei")
    return amount


def format_wei(amount_wei: int) -> str:
    """Return an amount for people, in the unit that suits it; a "~" tells that digits were left out."""
    size = abs(amount_wei)
    unit = "ether" if size >= 10**12 else "gwei" if size >= 10**5 else "wei"
    with localcontext(prec=100):
        exact = Decimal(amount_wei).scaleb(-UNITS[unit])
        shown = round(exact, _SHOWN_DIGITS)
    text = f"{shown:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'' if shown == exact else '~'}{text} {unit}"
