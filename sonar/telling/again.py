"""Commands in hints, as they must be typed: with the home that the running command was given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_OPTION = "--home"
_given: tuple[re.Pattern[str], str] | None = None
"""What the running command line was given: which commands take its home, and the option."""


def remember_home(program: str, args: Sequence[str] = ()) -> None:
    """Take the home from a command line; without one, hints stay as they are.

    Each command of `mine` and `pysonar` works in a home of that program; those of `sonar` have a home each.
    """
    global _given
    home = _home_in(args)
    command = re.escape(f"sonar {args[0]}") if program == "sonar" and args else rf"{program} [a-z-]+"
    _given = (re.compile(rf"`({command}(?: [^`]*)?)`"), f"{_OPTION} {shlex.quote(home)}") if home else None


def _home_in(args: Sequence[str]) -> str:
    home = ""
    for place, arg in enumerate(args):
        if arg == "--":
            break
        if arg == _OPTION:
            home = "".join(args[place + 1 : place + 2])
        elif arg.startswith(f"{_OPTION}="):
            home = arg.removeprefix(f"{_OPTION}=")
    return home


def with_home(text: str) -> str:
    """Return a text with the home in each command of this program that it names in backquotes."""
    if _given is None:
        return text
    commands, option = _given

    def completed(found: re.Match[str]) -> str:
        whole = found[1].split()
        return found[0] if {_OPTION, "--help"} & set(whole) else f"`{found[1]} {option}`"

    return commands.sub(completed, text)
