"""Paths as people write them, texts as their editors save them, and hints for faults of the disk.

These functions open everything that a person names in an option, a settings file or the environment.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from sonar.errors import ConfigError

MAX_TEXT_BYTES = 1 << 20
_VARIABLES = ("$HOME", "${HOME}")
_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff")
"""The marks at the beginning of a text in UTF-16, or UTF-32 in that byte order."""


def expanded(path: Path | str, field: str) -> Path:
    """Return `path` with its "~", "$HOME" or "${HOME}" at the beginning replaced by the folder.

    Other variables are not expanded: a settings file may come from a stranger. Raises ConfigError naming
    `field`.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise ConfigError(
            field, f"{text!r} is not a path: it contains a zero byte", hint="name a file or folder"
        )
    first, slash, rest = text.partition("/")
    if first in _VARIABLES:
        text = f"~{slash}{rest}"
    elif first.startswith("$"):
        hint = "write the path in full; only ~ and $HOME are looked up"
        raise ConfigError(field, f"{text} begins with the variable {first}", hint=hint)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user, or one without a home
        problem = f"{path} cannot be found: {error}"
        raise ConfigError(field, problem, hint="name it by its full path") from error


def in_full(path: Path | str, field: str) -> Path:
    """Return `path` expanded, absolute and without links. Raises ConfigError naming `field`."""
    try:
        return expanded(path, field).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        problem = f"{path} cannot be found: {error}"
        raise ConfigError(field, problem, hint="name it by its full path") from error


def read_if_there(
    path: Path | str, field: str, max_bytes: int = MAX_TEXT_BYTES, *, never_wait: bool = False
) -> bytes | None:
    """Return a file's bytes, None if there is none. Raises ConfigError naming `field`.

    A person may name a pipe; `never_wait` refuses it.
    """
    path = expanded(path, field)
    try:
        with open(path, "rb", opener=_at_once if never_wait else None) as file:
            if never_wait and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(field, f"{path} is not a file", hint="name the file itself")
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            field, f"{path} cannot be read: {error.strerror}", hint=remedy(error, path)
        ) from error
    if len(data) > max_bytes:
        raise ConfigError(field, f"{path} has more than {max_bytes} bytes", hint="is it the right file?")
    return data


def read_bytes(path: Path | str, field: str, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return a file's bytes. Raises ConfigError naming `field`."""
    data = read_if_there(path, field, max_bytes)
    if data is None:
        path = expanded(path, field)
        missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        raise ConfigError(field, f"{path} cannot be read: {missing.strerror}", hint=remedy(missing, path))
    return data


def read_text(path: Path | str, field: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return a text file's content, as `text_of`. Raises ConfigError naming `field`."""
    return text_of(read_bytes(path, field, max_bytes), field)


def text_of(data: bytes, field: str) -> str:
    """Return the text of a file in UTF-8, without a byte order mark, its lines ended by a newline.

    Raises ConfigError naming `field`, without the content: it may be a secret.
    """
    if data.startswith(_OTHER_UNICODE) or b"\0" in data:
        problem = "is not a text in UTF-8; it looks like UTF-16, which Windows calls Unicode"
        raise ConfigError(field, problem, hint="save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(field, f"is not in UTF-8, in line {line} first", hint="save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def remedy(error: OSError, path: Path) -> str:
    """Return what to do about a fault with a file or folder at `path`: a hint."""
    match error.errno:
        case errno.ENOENT if not path.parent.exists():
            return f"there is no folder {path.parent}: make it, or name another"
        case errno.ENOENT:
            return "is the path right?"
        case errno.ENOTDIR | errno.EEXIST:
            return f"{_file_above(path)} is a file, not a folder: name another path"
        case errno.EISDIR:
            return "that is a folder: name a file"
        case errno.EACCES | errno.EPERM:
            return "it is not this user's: name another place, or have its owner or its mode changed"
        case errno.EROFS:
            return "the file system is read-only: name a place that can be written to"
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk, or this user's part of it, is full: make room"
        case errno.ENAMETOOLONG:
            return "name a shorter path"
        case errno.EMFILE | errno.ENFILE:
            return "too many files are open: raise the limit (ulimit -n)"
    return "is the disk there, and does it work?"


def remedy_of_database(path: Path, told: str) -> str:
    """Return what to do about an SQLite file that cannot be used now, by what SQLite `told`: a hint.

    It says "unable to open" of nearly everything, so the disk is asked too.
    """
    if "locked" in told:
        return f"another program has {path.name} open: end that first"
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        return remedy(error, path)
    if "full" in told or disk.f_bavail == 0:
        return remedy(OSError(errno.ENOSPC, ""), path)
    if disk.f_flag & os.ST_RDONLY:
        return remedy(OSError(errno.EROFS, ""), path)
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        return remedy(OSError(errno.EACCES, ""), path)
    return remedy(OSError(errno.EIO, ""), path)


def _file_above(path: Path) -> Path:
    """Return the first part of a path that is not a folder."""
    return next((part for part in (*reversed(path.parents), path) if part.is_file()), path)


def _at_once(path: str, flags: int) -> int:
    """Open a file; if it is a pipe, do not wait for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)
