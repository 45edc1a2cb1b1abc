"""What a mine has in its home beside the journal: blindings, drafts of updates, and the sums of its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mine.privacy.ledger import Ledger
from mine.privacy.policy import LEDGER
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
    def at(
        cls,
        home: Path,
        renewed: Callable[[JournalError], None] | None = None,
        ledger: Path | None = None,
    ) -> Workshop:
        """Return what is in this home. `renewed`: as in `Pool`; `ledger`: as in `sums_at`.

        Raises JournalError.
        """
        return cls(Pool(home / "pool.sqlite", renewed=renewed), drafts_at(home), sums_at(home, ledger))


def drafts_at(home: Path) -> Drafts:
    """Return the drafts in this home."""
    return Drafts(PrivateFolder(home / "drafts"))


def sums_at(home: Path, ledger: Path | None = None) -> Sums:
    """Return the sums in this home, and the ledger of what was released of them: its own, or that named."""
    return Sums(PrivateFolder(home / "sums"), Ledger(ledger or home / LEDGER))
