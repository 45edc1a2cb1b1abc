"""Collects what was found of one round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sonar.errors import BlobNotFound, BlobTooLarge, DigestMismatch, RemoteError, SonarError, StoreUnavailable
from sonar.protocol.ids import Address, Cid
from sonar.protocol.record import Manifest
from sonar.telling.verdicts import Finding, Kind, RoundVerified

M = TypeVar("M", bound=Manifest)


@dataclass(frozen=True)
class Read:
    """Bytes from the store, or why there are none; `other` if what is there has another digest."""

    data: bytes | None = None
    missing: str = ""
    other: str = ""


Get = Callable[[Cid, int], bytes]
"""A store's `get`."""


def read(get: Get, cid: Cid, most: int) -> Read:
    """Return what a store has under a name, at most `most` bytes of it."""
    try:
        return Read(get(cid, most))
    except (DigestMismatch, BlobTooLarge) as fault:
        return Read(other=str(fault))
    except (BlobNotFound, StoreUnavailable) as fault:
        return Read(missing=f"{cid} cannot be read: {fault}")


class Findings:
    """What was found of round `round`; 0 is the bounty as it was posted."""

    def __init__(self, round: int) -> None:
        self.round, self.signed_by = round, list[Address]()
        self._held: Counter[str] = Counter()
        self._found: list[Finding] = []

    def holds(self, group: str, times: int = 1) -> None:
        """Count checks of a group that hold."""
        self._held[group] += times

    def false(self, group: str, field: str, expected: Any, found: Any) -> None:
        """Tell that something is false."""
        self._add("false", group, field, found, expected)

    def unknown(self, group: str, field: str, why: str) -> None:
        """Tell that something could not be checked."""
        self._add("unknown", group, field, why)

    def note(self, group: str, field: str, what: str) -> None:
        """Tell what is no fault of the round's."""
        self._add("note", group, field, what)

    def same(self, group: str, field: str, expected: Any, found: Any) -> bool:
        """Check that two values are equal, and tell whether they are."""
        if expected == found:
            self.holds(group)
            return True
        self.false(group, field, expected, found)
        return False

    def sound(self, group: str, field: str, fault: str, expected: str) -> bool:
        """Check that there is no fault, and tell whether there is none."""
        if fault:
            self.false(group, field, expected, fault)
        else:
            self.holds(group)
        return not fault

    def read(self, group: str, field: str, read: Read) -> bytes | None:
        """Return what was read; what the store does not have, or has altered, is a finding."""
        if read.other:
            self.false(group, field, "the bytes that the chain names", read.other)
        elif read.data is None:
            self.unknown(group, field, read.missing)
        return read.data

    def manifest(self, kind: type[M], group: str, field: str, read: Read) -> M | None:
        """Return the manifest that was read; None, and a finding, where there is no sound one."""
        data = self.read(group, field, read)
        try:
            return None if data is None else kind.from_bytes(data)
        except RemoteError as fault:
            self.false(group, field, "a sound manifest", fault)
            return None

    def told(self, ended: str) -> RoundVerified:
        """Return all that was found."""
        return RoundVerified(self.round, ended, dict(self._held), list(self._found), self.signed_by)

    def _add(self, kind: Kind, group: str, field: str, found: Any, expected: Any = "") -> None:
        self._found.append(Finding(kind, group, field, shown(expected), shown(found)))


def shown(value: Any) -> str:
    """Return a value as a finding says it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, SonarError):
        return str(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(shown, value)) or "nothing"
    return "none" if value is None else str(value)
