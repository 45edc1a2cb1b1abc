"""Text for people: counts, and what a terminal, a pipe or an old locale can show."""

from __future__ import annotations

import codecs
import os
import textwrap
import time
from typing import IO

RED, GREEN, DIM = "31", "32", "2"
LEGIBLE = "sonar-legible"
"""The error handler for streams that cannot encode the text: it writes the nearest ASCII."""
_PLAIN = {"…": "...", "²": "2", "→": "->", "×": "x", "–": "-", "—": "-", "−": "-", "·": "."}
_PLAIN |= dict.fromkeys("‘’", "'") | dict.fromkeys("“”", '"')


def count(number: int, one: str, many: str = "") -> str:
    """Return a count with the right form of the word: "1 mine", "3 mines"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """Return a duration in the largest unit that it fills twice: "90 s", "12 min", "36 h", "7 days"."""
    for unit, size_s in (("day", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size_s or seconds == size_s:
            amount = f"{seconds / size_s:.1f}".removesuffix(".0")
            return f"{amount} {unit}{'s' if unit == 'day' and amount != '1' else ''}"
    return f"{seconds:.0f} s"


def clock(at_s: float) -> str:
    """Return a time for people, by this machine's clock: with the date unless that is today's."""
    then = time.localtime(at_s)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", then)


def short(hex_text: str) -> str:
    """Return an address or another long hex text as its first and last digits: "0x1234…abcd"."""
    return hex_text if len(hex_text) <= 12 else f"{hex_text[:6]}…{hex_text[-4:]}"


def legible(text: str, encoding: str) -> str:
    """Return `text` as a stream of this encoding can show it."""
    return text.encode(encoding, LEGIBLE).decode(encoding)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each, "?") for each in lost), error.end


codecs.register_error(LEGIBLE, _nearest)


def filled(text: str, width: int | None, indent: int) -> str:
    """Return `text` in lines of `width`, the second and later ones of a paragraph indented; None: as it is.

    Words are never broken: an id that is cannot be copied.
    """
    if width is None:
        return text
    return "\n".join(
        textwrap.fill(
            line,
            max(width, indent + 20),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        )
        for line in text.split("\n")
    )


def width_of(stream: IO[str] | None) -> int | None:
    """Return how many columns a stream's terminal has; None if it is not a terminal."""
    if stream is None or stream.closed or not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # it has no descriptor, or none of a terminal
        return None


def painted(text: str, colour: str, stream: IO[str] | None) -> str:
    """Return `text` in a colour, if `stream` is a terminal whose user wants colours."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    shown = stream is not None and not stream.closed and stream.isatty() and not plain
    return f"\033[{colour}m{text}\033[0m" if colour and shown else text


def printable(text: str) -> str:
    """Return `text` without characters that could control a terminal; a newline stays."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
