"""A development network on this machine, as a process that is started by name and ended with the session."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sonar.errors import ChainUnavailable

_STOP_S = 10.0


class EmbeddedNetwork:
    """`sonar chain` in `folder`: a chain, its contract and a store. `network_file` is for all who take part.

    Raises ChainUnavailable if it does not start.
    """

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "sonar", "chain", "--home", str(folder), "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        try:
            ready = json.loads(self._process.stdout.readline() or "{}")
        except ValueError:
            ready = {}
        if "network" not in ready:
            self.stop()
            told = ready.get("error", "it said nothing")
            raise ChainUnavailable(f"the embedded chain did not start: {told}", hint=ready.get("hint", ""))
        self.network_file = Path(ready["network"])

    def stop(self) -> None:
        """End it. May be called twice."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
