"""What is wrong with a cell of a CSV file, to the person whose file it is: what it looks like, what to write.

Only its owner sees a cell's text. Python reads "1_0" as ten; nobody else does, so it is not a number here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Set
from enum import Enum
from typing import NamedTuple

_SHOWN = 40
EXACT = 1 << 53
"""Beyond it, a 64-bit float cannot hold every whole number."""
_LONGEST = 64
"""No number, date or the like is longer; longer cells are not examined."""


class Kind(Enum):
    """What a cell holds: a number, next to one, nothing, or something else."""

    NUMBER = "number"
    NEARLY = "nearly"
    MISSING = "missing"
    OTHER = "other"


class Found(NamedTuple):
    """A cell's kind; unless it is a number, what is wrong with it, and what to do."""

    kind: Kind
    problem: str = ""
    hint: str = ""


_MISSING = frozenset(
    [
        *("", "-", "--", "\N{EN DASH}", "\N{EM DASH}", "?", ".", "..", "*", "\\n"),
        *("na", "n/a", "#n/a", "nan", "<na>", "n.a.", "k.a.", "nd", "n.d."),
        *("null", "(null)", "none", "nil", "missing", "unknown"),
        *("#null!", "#value!", "#ref!", "#div/0!", "#name?", "#num!"),
    ]
)
_WORDS = {
    "true": "false",
    "yes": "no",
    "y": "n",
    "t": "f",
    "on": "off",
    "ja": "nein",
    "oui": "non",
    "si": "no",
    "wahr": "falsch",
    "vrai": "faux",
    "male": "female",
    "m": "f",
    "positive": "negative",
    "pos": "neg",
}
_TWO = frozenset(_WORDS) | frozenset(_WORDS.values())
_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez)[a-zä]*\.?"
_GAP = "[ '\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"
_FILL = "fill it in, or drop the row: a model needs a number in every cell"


def _shape(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern, re.IGNORECASE).fullmatch


class _Shape(NamedTuple):
    """A way to write something that is not a plain number: how it is matched, and what people call it."""

    matches: Callable[[str], re.Match[str] | None]
    kind: Kind
    is_what: str
    hint: str


_SHAPES = (
    _Shape(
        _shape(r"[+-]?\d{1,3}(?:(?:,\d{3})+(?:\.\d+)?|(?:\.\d{3}){2,}(?:,\d+)?|\.\d{3},\d+)"),
        Kind.NEARLY,
        "has marks between its thousands",
        "write digits and a decimal point only, as 1234567.5",
    ),
    _Shape(
        _shape(rf"[+-]?\d{{1,3}}(?:{_GAP}\d{{3}})+(?:[.,]\d+)?"),
        Kind.NEARLY,
        "has marks between its thousands",
        "write digits and a decimal point only, as 1234567.5",
    ),
    _Shape(
        _shape(r"[+-]?(?:\d+,\d*|,\d+)(?:e[+-]?\d+)?"),
        Kind.NEARLY,
        "has a decimal comma",
        "write a decimal point: 0.5, not 0,5",
    ),
    _Shape(
        _shape(r"[+-]?[\d.,]+\s*[%‰]"),
        Kind.NEARLY,
        "has a percent sign",
        "write the number alone, in the unit that the bounty has: 12, or 0.12",
    ),
    _Shape(
        _shape(r"[<>≤≥=~≈]+\s*[\d.,]+.*"),
        Kind.NEARLY,
        "is a limit or an estimate",
        "write one number, or drop the row",
    ),
    _Shape(
        _shape(r"[\u2212\u2013\u2014]\s*[\d.,]+|\([\d.,]+\)|[\d.,]+-"),
        Kind.NEARLY,
        "has a minus of another kind",
        "write the minus of the keyboard before the number: -5",
    ),
    _Shape(
        _shape(r"'.*\d.*"), Kind.NEARLY, "begins with a spreadsheet's mark for text", "write the number alone"
    ),
    _Shape(_shape(r"0[xob][0-9a-f]+"), Kind.NEARLY, "is not in decimal digits", "write it in decimal digits"),
    _Shape(_shape(r"[+-]?\d[\d_]*_\d[\d_.]*"), Kind.NEARLY, "has underscores", "write digits only"),
    _Shape(
        _shape(
            r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: .*)?"
            rf"|\d{{1,2}}[-. ]+{_MONTH}(?:[-. ]+\d{{2,4}})?|{_MONTH} \d{{1,2}},? \d{{4}}"
        ),
        Kind.OTHER,
        "is a date",
        "write a number, as years of age or days since an event",
    ),
    _Shape(
        _shape(r"\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?"),
        Kind.OTHER,
        "is a time",
        "write a number of hours, or of seconds",
    ),
    _Shape(
        _shape(rf"{_PLAIN}\s*(?:-|–|\.\.|to|bis|/|±|\+/-)\s*{_PLAIN}"),
        Kind.NEARLY,
        "is two numbers",
        "write one number",
    ),
    _Shape(_shape(rf"{_PLAIN}[+-]\S*[ij]"), Kind.NEARLY, "is a complex number", "write one real number"),
    _Shape(_shape(r"=.*"), Kind.OTHER, "is a formula", "save the values, not the formulas"),
    _Shape(
        _shape(rf"{_PLAIN}\s*(?:[^\W\d_]|[°µ])[^\d]{{0,15}}"),
        Kind.NEARLY,
        "has a unit",
        "write the number alone, in the unit that the bounty has",
    ),
)


def look_at(cell: str) -> Found:
    """Return what a cell holds. It is a number if Python reads it as a finite one, without underscores."""
    text = cell.strip()
    if not text:
        return Found(Kind.MISSING, "is empty; a number is expected", _FILL)
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    if text.lower() in _MISSING:
        return Found(Kind.MISSING, f"{shown} stands for a missing value; a number is expected", _FILL)
    try:
        value = float("" if "_" in text else text)
    except ValueError:
        return _no_number(text, shown)
    if math.isfinite(value):
        return Found(Kind.NUMBER) if abs(value) < EXACT else _exact(text, shown, value)
    limit = "a number between -1.8e308 and 1.8e308 is expected"
    return Found(Kind.NEARLY, f"{shown} is not finite; {limit}", "correct it, or drop the row")


def encoding_of(words: Set[str]) -> str:
    """Return how a column of these words, in lower case, becomes numbers; "" unless they are yes and no."""
    pairs = ((one, zero) for one, zero in _WORDS.items() if words <= {one, zero})
    one, zero = next(pairs, ("", "")) if words else ("", "")
    return one and f"write 1 for {one!r} and 0 for {zero!r}, or as the bounty says"


def _exact(text: str, shown: str, value: float) -> Found:
    """Whole numbers of many digits are identifiers, and rounding would make two of them one."""
    digits = text.lstrip("+-")
    if not digits.isdecimal() or (len(digits) <= _LONGEST and int(text) == int(value)):
        return Found(Kind.NUMBER)
    problem = f"{shown} has more digits than a number here holds; up to 2^53 is expected"
    return Found(Kind.NEARLY, problem, "if it only names the row, leave the column out")


def _no_number(text: str, shown: str) -> Found:
    for shape in _SHAPES if len(text) <= _LONGEST else ():
        if shape.matches(text):
            problem = f"{shown} is not a number: it {shape.is_what}"
            return Found(shape.kind, problem, shape.hint)
    if any(unicodedata.category(char) == "Sc" for char in text) and any(map(str.isdigit, text)):
        problem = f"{shown} is not a number: it has a currency's sign"
        return Found(Kind.NEARLY, problem, "write the number alone")
    if text.lower() in _TWO:
        problem = f"{shown} is not a number; 0 or 1 is expected"
        return Found(Kind.OTHER, problem, "write 1 for one of the two words and 0 for the other")
    problem = f"{shown} is not a number"
    return Found(Kind.OTHER, problem, "write a number, for example a column of 0 and 1 for each kind")
