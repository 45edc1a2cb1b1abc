"""Column names: which ones mean the same, and how to show two that only look the same.

A letter with an accent can be one character or two (Unicode's forms NFC and NFD: macOS, databases and Excel
differ), and blanks around a name cannot be seen. So names are taken in one plain form.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

from sonar.errors import DataError

_SHOWN = 20


def plain_name(name: str) -> str:
    """Return the form that all spellings of a name share: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def plain_names(names: Iterable[object]) -> tuple[str, ...]:
    """Return the plain form of each name."""
    return tuple(plain_name(str(name)) for name in names)


def spelled(name: str) -> str:
    """Return a name in quotes, with code points if its letters could be mistaken for others."""
    return repr(name) if name.isascii() else f"{name!r} (that is {name!a})"


def index_of(name: str, columns: Sequence[str]) -> int:
    """Return where a column stands, whichever way its name is spelled. Raises DataError."""
    plain = plain_names(columns)
    if plain_name(name) not in plain:  # who asks may have mistyped it, or means another file
        near = alike(name, columns)
        hint = f"did you mean {near!r}? Or rename it in the data" if near else "add it, or name one of these"
        raise DataError(f"column {name!r}", missing_column(name, columns).problem, hint=hint)
    return plain.index(plain_name(name))


def missing_column(name: str, columns: Sequence[str]) -> DataError:
    """Return the error for a missing column."""
    there = ", ".join(map(repr, columns[:_SHOWN])) + (", …" if len(columns) > _SHOWN else "")
    near = alike(name, columns)
    if near is None:
        return DataError(
            f"column {name!r}", f"is missing; there are: {there}", hint="rename or add the column"
        )
    problem = f"is missing; there is {spelled(near)}, and {spelled(name)} is asked for"
    return DataError(f"column {name!r}", problem, hint=f"is it the same? Then rename it to {name!r}")


def alike(name: str, columns: Sequence[str]) -> str | None:
    """Return the column with the most similar name, if it differs little: in case, blanks or a letter."""
    by_look = {_look(column): column for column in reversed(columns)}
    if _look(name) in by_look:
        return by_look[_look(name)]
    close = difflib.get_close_matches(name, columns, n=1, cutoff=0.8)
    return close[0] if close else None


def _look(name: str) -> str:
    """Return a name without what is invisible in it or often written differently."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in folded if char.isalnum())


def twice(names: Sequence[str]) -> str | None:
    """Return the first of these plain names that occurs twice, if any."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
