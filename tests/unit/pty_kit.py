"""A terminal of a given width, and what it was sent."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios


class FakeTerminal:
    """A pseudo-terminal. Programs write to the descriptor `theirs`."""

    def __init__(self, columns: int) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def lines(self) -> list[str]:
        """What was written so far, without colours."""
        shown = b""
        while select.select([self._ours], [], [], 0.2)[0]:
            shown += os.read(self._ours, 10_000)
        return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).replace("\r\n", "\n").splitlines()
