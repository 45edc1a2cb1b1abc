"""Processes are started whole: an interrupt that comes meanwhile is neither lost nor leaves one behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sonar import processes
from sonar.errors import ClientMissing
from sonar.processes import Supervisor

# What is raised in a hook of fork's is swallowed: without care, the Ctrl-C of this script would be.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import psutil
from sonar.processes import Supervisor
def terminate(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, terminate)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(int(sys.argv[2])))
supervisor = Supervisor(Path(sys.argv[1]))
try:
    supervisor.start("sleeper", "http.server", ["0", "--bind", "127.0.0.1"])
except KeyboardInterrupt:
    print("interrupted", len(psutil.Process().children()))
    supervisor.stop()
    print("then", len(psutil.Process().children()))
"""


@pytest.mark.parametrize("number", [2, 15], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_in_the_middle_of_a_fork_is_not_lost(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(number)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["interrupted 1", "then 0"], done.stderr


def test_a_program_that_is_not_installed_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "find_spec", lambda module: None)
    with pytest.raises(ClientMissing, match="`mine` is not installed") as caught:
        Supervisor(tmp_path).start("mine-01", "mine", ["run"])
    assert caught.value.hint == "pip install sonar-network-mine"
