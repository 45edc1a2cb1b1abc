"""Run a command that installs packages, and show its progress.

    python scripts/installing.py WHAT COMMAND...

Tells the package that the command is at, how many came before, and the time: in one line that is written over
on a terminal, elsewhere in a line every few seconds. What the command itself says is shown if it fails, and
its exit code is ours. The standard library alone: nothing is installed yet.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from typing import IO

AT = re.compile(
    r"(?:Collecting|Requirement already satisfied:) ([\w.\[\]-]+)"  # pip
    r"|npm http (?:fetch GET \d+|cache) \S*?((?:@[\w.-]+/)?[\w.-]+?)(?:-[\d.]+\.tgz)?(?:@\S+)? "
)
LAST = re.compile(r"(?:Installing collected packages|Building editable)")
LOOK_S = 0.2
LINE_S = 5.0
"""Between lines where there is no terminal: logs of CI are read by people too."""


class Watched:
    """What a command has said so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.packages: dict[str, None] = {}
        self.installing = False

    def read(self, output: IO[str]) -> None:
        """Take what the command says, to its end."""
        for line in output:
            self.lines.append(line)
            if found := AT.search(line):
                self.packages[found[1] or found[2]] = None
            self.installing = self.installing or LAST.search(line) is not None

    def told(self) -> str:
        """Where the command is."""
        if self.installing:
            return f"{len(self.packages)} packages are here; writing them"
        return f"{len(self.packages)}: {[*self.packages][-1]}" if self.packages else "looking up"


def follow(process: subprocess.Popen[str], watched: Watched, what: str, screen: IO[str]) -> int:
    """Show where a command is until it ends. Returns its exit code."""
    began = told = time.monotonic()
    terminal = screen.isatty()
    screen.write("" if terminal else f"{what} ...\n")
    while True:
        try:
            code = process.wait(LOOK_S)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        line = f"{what} ... {now - began:.0f} s  {watched.told()}"
        if terminal:
            screen.write(f"\r\033[K{line[:79]}")
        elif now - told >= LINE_S:
            told = now
            screen.write(f"{line}\n")
        screen.flush()
    took = f"{what}: {len(watched.packages)} packages, {time.monotonic() - began:.0f} s\n"
    screen.write(("\r\033[K" if terminal else "") + (took if code == 0 else f"{what}: failed\n"))
    screen.flush()
    return code


def main(what: str, *command: str) -> int:
    """Run a command and follow it."""
    watched = Watched()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=watched.read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            code = follow(process, watched, what, sys.stderr)
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            process.terminate()
            return 130
        reader.join()
    if code != 0:
        sys.stderr.writelines(watched.lines[-40:])
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
