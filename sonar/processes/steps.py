"""Several commands one after the other in one process: a party that makes its home, then works in it.

    python -m sonar.processes.steps '[["mine", "init"], ["mine", "run"]]'

Each is run as `python -m` would. Between two, the process waits for a line on its standard input: its starter
may have something to do first, such as sending ether to the new account.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress


def run(steps: Sequence[Sequence[str]]) -> int:
    """Run the steps, each a module's name and its arguments; return the first exit code that is not 0."""
    for number, (module, *args) in enumerate(steps):
        if number and not sys.stdin.readline():
            return 1  # whoever started us is gone
        sys.argv[:] = [module, *args]
        _show(sys.argv)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if code:
                return code
    return 0


def _show(command: Sequence[str]) -> None:
    """Let `ps` show what is run."""
    with suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(" ".join(command))


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
