"""What a mine has in its home beside the journal: blindings, drafts of updates, and the sums of its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mine.work.pool import Pool
from mine.work.publisher import Drafts
from mine.work.trainer import Sums
from sonar.errors import JournalError
from sonar.home.folder import PrivateFolder


@dataclass(frozen=True)
class Workshop:
    """All of it is private. With a stake at risk, only the drafts must not be lost."""

    pool: Pool
    drafts: Drafts
    sums: Sums

    @classmethod
    def at(cls, home: Path, renewed: Callable[[JournalError], None] | None = None) -> Workshop:
        """Return what is in this home. `renewed`: see `Pool`. Raises JournalError."""
        return cls(Pool(home / "pool.sqlite", renewed=renewed), drafts_at(home), sums_at(home))


def drafts_at(home: Path) -> Drafts:
    """Return the drafts in this home."""
    return Drafts(PrivateFolder(home / "drafts"))


def sums_at(home: Path) -> Sums:
    """Return the sums in this home."""
    return Sums(PrivateFolder(home / "sums"))
