"""Another password for a home: for all of its encrypted files, or for none.

Theory of operation. The files under the new password are written into the folder `password.new`, all of them,
and put on the disk. Renaming it to `password.ready` is the instant at which the new password counts: until
then nothing but a folder that nobody reads has changed. Whoever opens the home from then on first moves the
files to their places (`finish`). Each is moved whole and only once, so that may be interrupted, repeated, and
done by two processes at once.

What is encrypted under keys that lie in these files, as a capsule's keys for envelopes are, stays as it is.
Copies of the home that were made before open with the old password for ever.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sonar.errors import ConfigError, KeyFileError, UsageError
from sonar.home.files import remedy
from sonar.home.keystore import BESIDE, write_private
from sonar.telling.documents import PasswordChanged

Reseal = Callable[[Path, str, str], bytes]
"""Returns a file under a new password, the third argument. Raises KeyFileError if the second opens it not."""
_NEW, _READY = "password.new", "password.ready"


def change(home: Path, files: Mapping[Path, Reseal], old: str, new: str) -> list[Path]:
    """Give all `files` below `home` a new password, and return those that had the old one.

    None had it if the new password is theirs already, as after a command that was killed. The file
    `password` beside them is changed too, if it holds the old one. The home's lock must be held.

    Raises UsageError if the passwords are the same, and KeyFileError for a file that opens with neither or
    cannot be written: then nothing is changed.
    """
    if old == new:
        raise UsageError("the new password is the old one", hint="choose another; nothing was changed")
    if not files:
        raise KeyFileError(f"{home} has no encrypted file", hint="is it the right home?")
    contents = {path: _resealed(path, reseal, old, new) for path, reseal in files.items()}
    changed = {path: content for path, content in contents.items() if content is not None}
    if changed:
        beside = home / BESIDE
        extra = {beside: f"{new}\n".encode()} if _holds(beside, old) else {}
        _stage(home, changed | extra)
        finish(home)
    return list(changed)


def _resealed(path: Path, reseal: Reseal, old: str, new: str) -> bytes | None:
    """Return a file under the new password, None if it is."""
    try:
        return reseal(path, old, new)
    except KeyFileError as fault:
        try:
            reseal(path, new, new)
        except KeyFileError:
            raise fault from None
        return None


def _holds(path: Path, password: str) -> bool:
    try:
        return path.read_text().rstrip("\r\n") == password
    except (OSError, ValueError):
        return False


def _stage(home: Path, contents: Mapping[Path, bytes]) -> None:
    """Write the files into a folder, and name it ready. Raises KeyFileError."""
    new = home / _NEW
    try:
        shutil.rmtree(new, ignore_errors=True)  # of a command that was killed
        new.mkdir(mode=0o700)
        for path, content in contents.items():
            place = new / path.relative_to(home)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(place, content)
        for folder in (new, *(one for one in new.rglob("*") if one.is_dir())):
            _sync(folder)
        new.rename(home / _READY)
        _sync(home)
    except OSError as error:
        problem = f"{new} cannot be written: {error.strerror}"
        raise KeyFileError(problem, hint=f"{remedy(error, new)}; the old password counts") from error


def finish(home: Path) -> None:
    """Move the files of a change that was decided to their places. Safe to call at any time, by anybody.

    Raises ConfigError for a disk that cannot be written.
    """
    ready = home / _READY
    if not ready.is_dir():
        return
    try:
        for path in sorted(ready.rglob("*")):
            if path.is_file():
                place = home / path.relative_to(ready)
                with suppress(FileNotFoundError):  # another process has moved it
                    path.replace(place)
                _sync(place.parent)
        shutil.rmtree(ready, ignore_errors=True)
    except OSError as error:
        problem = f"a change of the password cannot be completed in {home}: {error.strerror}"
        raise ConfigError("home", problem, hint=remedy(error, ready)) from error


def told(document: PasswordChanged) -> str:
    """Return which files have another password now, for people."""
    if not document.files:
        return f"{document.home} has the new password already"
    count = f"{len(document.files)} file{'s' if len(document.files) != 1 else ''}"
    return (
        f"the new password opens {document.home} from now on: {count}.\n"
        "Copies that were made before open with the old one. Put the new one where programs read it."
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
