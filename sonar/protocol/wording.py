"""What is wrong with a record, in words: all of the library's errors become messages here."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from sonar.protocol.url import hide_secrets, without_secrets

MAX_SHOWN = 200
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def printable(text: str) -> str:
    """Return hostile text fit for a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the hint for an unknown name: the one that is likely meant, or all known ones.

    `prefix`: what stands before them, such as "holdout.".
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {prefix}{close[0]}?"
    return f"known are {', '.join(prefix + one for one in names)}"


def first_fault(
    error: ValidationError, name: str, *, show: bool = False, given: object = None
) -> tuple[str, str]:
    """Return the path of the first wrong field of the record `name`, and what is wrong with it.

    `show`: show the wrong value too, if a person wrote it by hand; other values may be hostile.
    `given`: what was validated; the path is then as it stands there, without the library's own steps.
    """
    faults = error.errors(include_url=False)
    # A record of another kind has other fields: its kind says more. For a misspelt name, "unknown" says more
    # than that the right one is missing.
    kinds = [each for each in faults if each["loc"] == ("kind",) and each["type"] == "literal_error"]
    first = next((each for each in (*kinds, *faults) if each in kinds or each["type"] in _UNKNOWN), faults[0])
    kind = first["type"]
    is_missing = kind in ("missing", "missing_argument")
    parts = first["loc"] if given is None else _as_written(first["loc"], given, is_missing=is_missing)
    path = ".".join(str(part)[:64] for part in parts) or name
    if kind in _UNKNOWN:
        return printable(path), printable(f"unknown field in {name}")
    if is_missing:
        return printable(path), printable(f"missing in {name}")
    told = _SAID.get(kind)
    problem = told(first.get("ctx", {})) if told else first["msg"].removeprefix("Value error, ")
    shown = _shown(path, first["input"]) if show else f"a value of type {type(first['input']).__name__}"
    return printable(path), printable(f"{problem[:MAX_SHOWN]} (got {shown})")


def _as_written(loc: tuple[int | str, ...], given: Any, *, is_missing: bool) -> list[int | str]:
    """Return a path without the kinds of unions, which the library puts between the fields."""
    parts: list[int | str] = []
    for place, part in enumerate(loc):
        if _has(given, part):
            parts.append(part)
            given = given[part]
        elif is_missing and place == len(loc) - 1 and isinstance(given, Mapping):
            parts.append(part)
    return parts


def _has(given: Any, part: int | str) -> bool:
    if isinstance(given, Mapping):
        return part in given
    return isinstance(given, list | tuple) and isinstance(part, int) and part < len(given)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _below(limit: Any) -> str:
    """Say the largest whole number below a limit, or that limit."""
    if isinstance(limit, int):
        return f"must be at most {_number(limit - 1)}"
    return f"must be less than {limit:g}" if math.isfinite(limit) else "must be finite"


def _always(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _context: text


def _length(what: str, key: str, least: bool) -> Callable[[Mapping[str, Any]], str]:
    """`what` in the plural."""
    singular = {"entries": "entry"}.get(what, what.removesuffix("s"))
    bound = "at least" if least else "at most"
    return lambda found: f"must have {bound} {_number(found[key])} {singular if found[key] == 1 else what}"


_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    **dict.fromkeys(
        ("int_type", "int_from_float", "int_parsing", "int_parsing_size"), _always("must be a whole number")
    ),
    **dict.fromkeys(("float_type", "float_parsing"), _always("must be a number")),
    "finite_number": _always("must be a finite number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), _always("must be true or false")),
    "string_type": _always("must be a text, in quotes"),
    "bytes_type": _always("must be bytes"),
    **dict.fromkeys(("list_type", "tuple_type", "iterable_type"), _always("must be a list")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _always("must be a table")),
    "greater_than": lambda found: f"must be more than {_number(found['gt'])}",
    "greater_than_equal": lambda found: f"must be at least {_number(found['ge'])}",
    "less_than": lambda found: _below(found["lt"]),
    "less_than_equal": lambda found: f"must be at most {_number(found['le'])}",
    "multiple_of": lambda found: f"must be a multiple of {_number(found['multiple_of'])}",
    "literal_error": lambda found: f"must be {found['expected']}",
    "string_too_short": _length("characters", "min_length", True),
    "string_too_long": _length("characters", "max_length", False),
    "bytes_too_short": _length("bytes", "min_length", True),
    "bytes_too_long": _length("bytes", "max_length", False),
    "too_short": _length("entries", "min_length", True),
    "too_long": _length("entries", "max_length", False),
    "union_tag_invalid": lambda found: f"must have a kind of {found['expected_tags']}",
    "union_tag_not_found": _always("must have a kind"),
}


def other_version(found: object, ours: int, if_older: str) -> tuple[str, str]:
    """Return what is wrong with a file or message of version `found`, and what to do.

    `if_older` is what to do with one that an older Sonar wrote.
    """
    if type(found) is not int or found < 0:
        return (
            f"has no version that Sonar writes (got {printable(repr(found))[:40]})",
            "is it the right file?",
        )
    if found > ours:
        hint = "update Sonar on this machine to the version that wrote it, or a later one"
        return f"has version {found}, from a newer Sonar than this one, which reads version {ours}", hint
    return f"has version {found}, from an older Sonar; this one reads version {ours}", if_older


def _shown(path: str, given: object) -> str:
    """Return a wrong value for a message, cut short; an address without its secrets."""
    if isinstance(given, str) and path.endswith("url"):
        return repr(without_secrets(given))
    return hide_secrets(in_toml(given))[:60]


def in_toml(given: object, depth: int = 3) -> str:
    """Return a value of a TOML file as people write it there: true, not Python's True."""
    if isinstance(given, bool):
        return str(given).lower()
    if hasattr(given, "isoformat"):  # a date or a time
        return str(given.isoformat())
    if isinstance(given, list) and depth:
        return f"[{', '.join(in_toml(each, depth - 1) for each in given)}]"
    if isinstance(given, dict) and depth and given:
        return f"{{ {', '.join(f'{key} = {in_toml(each, depth - 1)}' for key, each in given.items())} }}"
    return repr(given)
