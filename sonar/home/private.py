"""A folder in a home for what nobody else may read: files written whole, and known by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sonar.errors import JournalBlocked, KeyFileError
from sonar.home.files import remedy
from sonar.home.keystore import write_private


class PrivateFolder:
    """Files of mode 0600 in a folder of mode 0700, which is made when it is first needed.

    Made for the process that has the home's lock; to read needs none. Methods raise JournalBlocked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, data: bytes) -> None:
        """Write a file. When this returns it is on the disk, whole, and outlives the machine's power."""
        with self._faults("written to"):
            self._path.mkdir(mode=0o700, exist_ok=True)
            write_private(self._path / name, data)
            handle = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(handle)  # the name as well
            finally:
                os.close(handle)

    def get(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        with self._faults("read"):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove all other files, those that a kill has left half-written included."""
        kept = set(names)
        with self._faults("cleared"):
            for path in self._path.iterdir() if self._path.exists() else ():
                if path.name not in kept:
                    path.unlink()

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, KeyFileError) as error:
            problem = f"the private folder {self._path} cannot be {what}: {error}"
            hint = remedy(error, self._path) if isinstance(error, OSError) else error.hint
            raise JournalBlocked(problem, hint=hint) from error
