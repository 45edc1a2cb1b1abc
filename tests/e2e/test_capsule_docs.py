"""Every command of docs/capsules.md runs, in order, as it stands there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "capsules.md").read_text()
PORTS = re.compile(r"\b855(?=\d|\$i)")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(290)]


def free_ports(first: int = 1100) -> str:
    """The first digits of three free ports, whose last digits are 1, 2 and 3; the least that are tried."""
    for base in range(first, 3000):
        try:
            for last in (1, 2, 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 10 * base + last))
        except OSError:
            continue
        return str(base)
    raise AssertionError("no free ports")


def test_the_commands_run_as_written(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.S | re.M)
    script = PORTS.sub(free_ports(), "".join(blocks))
    assert script.count("capsule rotate") == 1
    path = f'export PATH="{Path(sys.executable).parent}:$PATH"'
    ended = "until capsule doctor --home capsule1; do sleep 0.5; done"  # the restored one serves again
    full = f"set -eu\ntrap 'kill $(jobs -p)' EXIT\n{path}\n{script}\n{ended}\n"
    run = subprocess.run(["bash", "-c", full], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert "Traceback" not in run.stderr
    assert "epoch 2 begins" in run.stdout
    assert re.search(r"round 2: R² 0\.\d+", run.stderr + run.stdout)
