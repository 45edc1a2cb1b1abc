"""A party's folder on disk: keys, journal and network file, for one user and one process at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_path

from sonar.errors import ConfigError, HomeLocked, JournalBlocked, KeyFileError
from sonar.home.files import expanded, in_full, remedy
from sonar.home.keystore import write_private
from sonar.home.password import finish
from sonar.home.settings import parse_toml
from sonar.protocol.wording import other_version

FORMAT = 1
_MARK = "home.toml"
_LOCK = "lock"
MAX_PATH_BYTES = 384
"""SQLite opens no file whose path has more than 512 bytes, its temporary files included."""
_LOOK_S = 0.1
"""Longer than `Home.worker` holds the lock while it checks."""


def default_home(role: str) -> Path:
    """Return where a role ("mine", "pysonar", "chain") lives: SONAR_HOME, or a folder of the user's data.

    Raises ConfigError.
    """
    named = os.environ.get("SONAR_HOME")
    return expanded(named, "SONAR_HOME") if named else user_data() / role


def user_data() -> Path:
    """Return the folder for Sonar's homes among the user's data. Raises ConfigError."""
    try:
        return user_data_path("sonar")
    except RuntimeError as error:
        problem = "this user has no folder for data"
        raise ConfigError("home", problem, hint="set HOME, or name a folder with --home") from error


class Home:
    """A home folder of one role. `lock` must be held to change anything in it.

    `keystore` is its folder of encrypted account keys, `journal` and `network` are files.

    With `create`, makes the folder (mode 0700) and marks it with its role; without, raises ConfigError if it
    is not there. Raises ConfigError for a folder that others may write to, or that belongs to another role,
    and KeyFileError if it cannot be marked.
    """

    def __init__(self, path: Path, role: str, *, create: bool = True) -> None:
        self.path = in_full(path, "home")
        _check_length(self.path)
        self.keystore = self.path / "keystore"
        self.journal, self.network = self.path / "journal.sqlite", self.path / "network.toml"
        self.role = role
        self._lock_file: int | None = None
        try:
            self._open(create)
        except OSError as error:
            problem = f"{self.path} cannot be made or opened: {error.strerror}"
            raise ConfigError("home", problem, hint=remedy(error, self.path)) from error

    def _open(self, create: bool) -> None:
        mark = self.path / _MARK
        if not mark.exists() and not create:
            raise ConfigError(
                "home",
                f"{self.path} is not a home of {self.role}",
                hint=f"create one with `{self.role} init`, or name it with --home",
            )
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_mode()
        if mark.exists():
            self._check_mark(mark)
        else:
            write_private(mark, f'role = "{self.role}"\nformat = {FORMAT}\n'.encode())
        self.keystore.mkdir(mode=0o700, exist_ok=True)
        finish(self.path)

    def _check_mode(self) -> None:
        found = self.path.stat()
        if found.st_uid != os.getuid():
            raise ConfigError(
                "home", f"{self.path} belongs to another user", hint="name your own with --home"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError("home", f"others may write to {self.path}", hint=f"chmod 700 {self.path}")

    def _check_mark(self, mark: Path) -> None:
        try:
            fields = parse_toml(mark.read_bytes(), "home")
            role, version = fields["role"], fields["format"]
        except (OSError, ConfigError, KeyError) as error:
            raise ConfigError(
                "home", f"{mark} is damaged", hint="restore it, or name another home"
            ) from error
        if role != self.role:
            problem = f"{self.path} is a home of {role}, not of {self.role}"
            raise ConfigError("home", problem, hint="name another with --home")
        if version != FORMAT:
            problem, hint = other_version(version, FORMAT, "use the version of Sonar that made it")
            raise ConfigError("home", f"{self.path} {problem}", hint=hint)

    def lock(self) -> Home:
        """Take the home for this process, until `unlock` or its end. Use as a context.

        Raises HomeLocked, and ConfigError on a disk that cannot be written.
        """
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._take(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            problem = f"{self.path} cannot be locked: {error.strerror}"
            raise ConfigError("home", problem, hint=remedy(error, self.path)) from error
        self._lock_file = descriptor
        return self

    def _take(self, descriptor: int) -> None:
        for may_be_a_look in (True, False):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if may_be_a_look:
                    time.sleep(_LOOK_S)
                    continue
                hint = "stop it first, or name another home with --home"
                if (pid := _holder(descriptor)) == str(os.getpid()):
                    hint = "this program itself has it open: use that, or close it first"
                raise HomeLocked(f"process {pid} works in {self.path}", hint=hint) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())

    def worker(self) -> str:
        """Return the id of the process that has locked the home; empty if nobody has."""
        try:
            with (self.path / _LOCK).open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _holder(file.fileno())
        except FileNotFoundError:
            pass
        except OSError as error:
            problem = f"{self.path}/{_LOCK} cannot be read: {error.strerror}"
            raise ConfigError("home", problem, hint=remedy(error, self.path)) from error
        return ""

    def unlock(self) -> None:
        """Release the home; without a lock, do nothing."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *_: object) -> None:
        self.unlock()


def _check_length(path: Path) -> None:
    """Refuse a home whose files would have too long names to be opened. Raises ConfigError."""
    if (size := len(os.fsencode(path))) > MAX_PATH_BYTES:
        problem = f"the path {str(path)[:60]}… has {size} bytes, and a home's at most {MAX_PATH_BYTES}"
        raise ConfigError("home", problem, hint="name a shorter one")


def _holder(descriptor: int) -> str:
    """Return the process that a lock file names."""
    return os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"


class PrivateFolder:
    """Files of mode 0600 in a folder of mode 0700, which is made when it is first needed.

    Only the process that has the home's lock may write; reading needs none. Methods raise JournalBlocked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, data: bytes) -> None:
        """Write a file. When this returns, the whole file is on the disk and survives a power cut."""
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
        """Remove all other files, including those that a kill left half-written."""
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
