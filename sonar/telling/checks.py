"""What the doctors have in common: checks one after the other, each told as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sonar.errors import SonarError
from sonar.telling.again import with_home
from sonar.telling.documents import document
from sonar.telling.tables import print_text

Planned = tuple[str, Callable[[], str], tuple[str, ...]]
"""A check: its name, what returns what it found or raises a SonarError, and the checks that it needs."""
_MARKS = {True: "ok  ", False: "FAIL", None: "-   "}


@document
class Check:
    """One finding. `ok` is None for a check that could not be made because an earlier one failed."""

    name: str
    ok: bool | None
    found: str
    hint: str = ""


@document
class Examination:
    """What a doctor found."""

    ok: bool
    checks: list[Check]


def made(checks: Iterable[Planned]) -> Iterator[Check]:
    """Make the checks in their order; one that needs a failed one is not made."""
    failed: set[str] = set()
    for name, check, needs in checks:
        if missing := [need for need in needs if need in failed]:
            failed.add(name)
            yield Check(name, None, f"not checked: {missing[0]} must work first")
            continue
        try:
            yield Check(name, True, check())
        except SonarError as error:
            failed.add(name)
            yield Check(name, False, str(error), with_home(error.hint))


def examination(checks: Iterable[Check], *, tell: bool) -> Examination:
    """Return what all checks found; `tell`: print each for people as it comes."""
    findings = []
    for check in checks:
        findings.append(check)
        if tell:
            print_text(f"{_MARKS[check.ok]}  {check.name:<9} {check.found}", indent=16)
            if check.hint:
                print_text(f"{'':<16}{check.hint}", indent=16)
    return Examination(all(check.ok for check in findings), findings)
