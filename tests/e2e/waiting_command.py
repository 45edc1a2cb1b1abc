"""Runs a capsule's command the moment it is told to: `python -m tests.e2e.waiting_command N HOME WORD...`.

Loads everything, prints "ready", and waits for a line. With N > 0 it is killed with SIGKILL before the Nth
change of a file in the home. While somebody else has the home, it tries again.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import capsule.loads  # noqa: F401
from capsule.cli import main
from sonar.errors import HomeLocked
from sonar.home.folder import Home
from tests.killing_kit import die_at


def _main(number: int, home: str, args: list[str]) -> int:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(400):
        try:
            if "--account" in args:
                Home(Path(home), "capsule", create=False).lock().unlock()
            break
        except HomeLocked:  # until the capsule that was killed is gone
            time.sleep(0.005)
    if number:
        die_at(number, home)
    return main([*args, "--home", home])


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
