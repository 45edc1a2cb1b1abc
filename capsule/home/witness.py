"""What remembers, outside of the home, how far the ledger has come: so that a restored one is noticed.

A ledger from a backup has forgotten what was told since, and would tell more than the budget. Nothing inside
the home can notice that, as it all comes from the same backup. So the ledger's newest mark, a hash over all
its answers, is also kept where backups don't reach: in the memory of this machine, until it is switched off.
It is written after the answer is recorded and before it leaves.

After a crash the mark is the ledger's last or the one before, and nothing is lost. Where it is neither, or
nothing is remembered (after a reboot, or on another machine), the capsule cannot know, and refuses what it
may have told before: `Ledger.blind_until_s`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sonar.errors import JournalBlocked
from sonar.home.files import remedy
from sonar.home.folder import PrivateFolder

VARIABLE = "SONAR_WITNESS"
"""Names the folder, for systems that have their memory elsewhere."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made there is private


def folder() -> Path:
    """Return where witnesses are: a private folder in memory, else among the temporary files."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"sonar-capsule-{os.getuid()}"


class Witness:
    """The newest mark of the ledger called `name`. Raises JournalBlocked."""

    def __init__(self, name: str) -> None:
        self._path, self._name = folder(), name
        self._folder = PrivateFolder(self._path)

    def read(self) -> bytes | None:
        """Return the mark, None where none is remembered."""
        self._check_owner()
        return self._folder.get(self._name)

    def write(self, mark: bytes) -> None:
        """Remember a mark."""
        self._check_owner()
        self._folder.put(self._name, mark)

    def _check_owner(self) -> None:
        """Somebody else could have made the folder, to write there what suits him."""
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            problem = f"the folder {self._path} cannot be read: {error.strerror}"
            raise JournalBlocked(problem, hint=remedy(error, self._path)) from error
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise JournalBlocked(
                f"others may write to the folder {self._path}",
                hint=f"remove it, or name another with {VARIABLE}",
            )
