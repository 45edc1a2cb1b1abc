"""How long to wait for a process: as long as it lives and makes progress, however busy the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

STILL_MAX_S = 60.0
"""How long an awaited process may go without any processor time."""
_CPU_FIELDS = slice(11, 15)
"""utime, stime, cutime and cstime of proc(5), counted from the field after the name."""


def cpu_s(pid: int) -> float | None:
    """Return the processor time that a process and its ended children have used; None if nobody can tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    ticks = text.rpartition(")")[2].split()[_CPU_FIELDS]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class Movement:
    """How long ago a process last used processor time, as far as it was looked at."""

    def __init__(self, pid: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pid, self._monotonic = pid, monotonic
        self._seen, self._moved_s = cpu_s(pid), monotonic()

    def still_s(self) -> float:
        """Return the seconds since it was last seen to have moved; 0 where the system does not tell."""
        now = cpu_s(self._pid)
        if now is None or now != self._seen:
            self._seen, self._moved_s = now, self._monotonic()
        return self._monotonic() - self._moved_s
