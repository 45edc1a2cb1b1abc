"""The demo's conductor brings back whoever was killed, whenever that was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sonar.demo import launch
from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.processes.supervisor import Supervisor
from tests.e2e.kit import QuietView

LAST = "mine-01"


def test_the_last_one_at_work_is_started_again_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Says a line, and ends well.
    monkeypatch.setattr(launch, "party_at_work", lambda _settings, _party: ["platform"])
    supervisor = Supervisor(tmp_path / "logs")
    conductor = Conductor(Settings(tmp_path), QuietView(), supervisor)
    with supervisor:
        child = supervisor.start(LAST, ["http.server", "0", "--bind", "127.0.0.1"])
        conductor.record.pids[LAST] = child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        conductor._watch()
        assert conductor.record.restarts == {LAST: 1}
        assert conductor.record.pids[LAST] != child.pid
        assert supervisor.ended_well(besides="")
