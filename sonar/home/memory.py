"""How much memory scrypt needs, by design, and how much this process may still take.

A container that exceeds its limit is killed without a word, so the limit is checked first.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonar.errors import MemoryShort

MIB = 1 << 20
_TOLD_OF_MEMORY = ("error 2 while running scrypt", "memory limit exceeded")
"""The words of pycryptodome and OpenSSL for a lack of memory."""
_MARGIN_BYTES = 16 * MIB
"""For everything else that is allocated meanwhile."""
_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60


def scrypt_bytes(n: int, r: int, p: int) -> int:
    """Return the memory that scrypt takes (RFC 7914 section 5: 128 N r, and 128 r p), in bytes."""
    return 128 * r * (n + p)


@contextmanager
def reserved(need_bytes: int, what: str) -> Iterator[None]:
    """A context for work that takes `need_bytes` for `what`. Raises MemoryShort, before it or when they run
    out.
    """
    free = free_bytes()
    if free is not None and free < need_bytes + _MARGIN_BYTES:
        raise _short(need_bytes, what, f"this process may take {max(free, 0) // MIB} MiB more")
    try:
        yield
    except (MemoryError, ValueError) as error:
        if isinstance(error, ValueError) and not any(told in str(error).lower() for told in _TOLD_OF_MEMORY):
            raise
        raise _short(need_bytes, what, "this process got no more") from error


def _short(need_bytes: int, what: str, found: str) -> MemoryShort:
    return MemoryShort(f"{what} needs {need_bytes // MIB} MiB of memory, and {found}")


def free_bytes() -> int | None:
    """Return what limits leave to this process, in bytes; None if there are none, or they cannot be read."""
    found = [free for free in (_left_of_ulimit(), _left_of_container()) if free is not None]
    return min(found, default=None)


def _left_of_ulimit() -> int | None:
    """Return what `ulimit -v` leaves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return soft - pages * resource.getpagesize()


def _left_of_container(root: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return what the control groups of this process leave, swap included."""
    left = [one for one in map(_left_of_group, _groups(root, own)) if one is not None]
    return min(left, default=None)


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups that may limit memory, of versions 2 and 1."""
    try:
        lines = own.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        # In a container its own group is at the top, whatever the host calls it.
        group = top / name.lstrip("/")
        yield from (up for up in (group, *group.parents) if up.is_relative_to(top) and up.is_dir())


def _left_of_group(group: Path) -> int | None:
    limit, held = _number(group / "memory.max"), _field(group / "memory.stat", "anon ")
    swap = _number(group / "memory.swap.max")
    if limit is None:
        limit, held = _number(group / "memory.limit_in_bytes"), _field(group / "memory.stat", "total_rss ")
        both = _number(group / "memory.memsw.limit_in_bytes")
        swap = None if both is None or limit is None else both - limit
    if limit is None:
        return None
    spare = _field(Path("/proc/meminfo"), "SwapFree:", 1024)
    return limit - held + (spare if swap is None else min(swap, spare))


def _number(path: Path) -> int | None:
    """Return the number in a file; None if there is none, or it limits nothing, or it cannot be read."""
    try:
        number = int(path.read_text("ascii"))
    except (OSError, ValueError):  # "max"
        return None
    return None if number >= _NO_LIMIT else number


def _field(path: Path, name: str, unit: int = 1) -> int:
    """Return the number behind `name` in a file of the kernel, times its unit; 0 if it is not there."""
    try:
        lines = path.read_text("ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * unit for line in lines if line.startswith(name)), 0)
    except (OSError, ValueError, IndexError):
        return 0
