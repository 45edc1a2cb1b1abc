"""What is wrong with a record, in words: the one way in which the library's errors are told."""

from __future__ import annotations

from pydantic import ValidationError

from sonar.protocol.url import hide_secrets, without_secrets

MAX_SHOWN = 200


def printable(text: str) -> str:
    """Return hostile text fit for a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def first_fault(error: ValidationError, name: str, *, show: bool = False) -> tuple[str, str]:
    """Return the first wrong field of the record `name`, by its path, and what is wrong with it.

    `show`: say the wrong value too, as for what a person has written by hand; of others it may be hostile.
    """
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part)[:64] for part in first["loc"]) or name
    given = _shown(path, first["input"]) if show else f"a value of type {type(first['input']).__name__}"
    problem = f"{first['msg'].removeprefix('Value error, ')[:MAX_SHOWN]} (got {given})"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        problem = f"unknown field in {name}"
    elif first["type"] in ("missing", "missing_argument"):
        problem = f"missing in {name}"
    return printable(path), printable(problem)


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
    """Return a wrong value for a message, cut short; of an address what is not secret."""
    if isinstance(given, str) and path.endswith("url"):
        return repr(without_secrets(given))
    return hide_secrets(repr(given))[:60]
