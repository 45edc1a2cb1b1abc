"""Processes: how they are started, watched and ended. This module is light: it is loaded before a fork."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def die_with_parent() -> None:
    """As Popen's `preexec_fn`: have the system end the child when its parent is gone, even by kill -9.

    Linux only; elsewhere it does nothing. The parent is the thread that started the child: start children
    from a thread that lasts.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
