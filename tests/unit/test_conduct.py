"""The demo's conductor brings back whoever was killed, whenever that was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sonar.demo import launch
from sonar.demo.conduct import Conductor
from sonar.demo.launch import Settings
from sonar.processes.supervisor import Child, ProcessFailed, Supervisor
from tests.e2e.kit import QuietView

LAST = "mine-01"


def test_the_last_one_at_work_is_started_again_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Says a line, and ends well.
    monkeypatch.setattr(launch, "party_at_work", lambda *_: ["platform"])
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
        assert supervisor.ended_well(besides=[])


def test_one_that_is_killed_before_it_is_ready_is_started_again_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start_party(_: Settings, supervisor: Supervisor, party: str) -> Child:
        started.append(party)
        return supervisor.start(party, ["http.server", "0", "--bind", "127.0.0.1"])

    monkeypatch.setattr(launch, "start_party", start_party)
    supervisor = Supervisor(tmp_path / "logs")
    conductor = Conductor(Settings(tmp_path), QuietView(), supervisor)
    with supervisor:
        first = start_party(Settings(tmp_path), supervisor, LAST)
        os.kill(first.pid, signal.SIGKILL)
        first.process.wait()
        assert conductor._revive()
        assert started == [LAST, LAST]
        assert supervisor.child(LAST).process.poll() is None
        assert conductor.record.restarts == {LAST: 1}
        assert not conductor._revive()


def test_one_that_ends_with_an_error_ends_the_demo_with_what_it_told(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    conductor = Conductor(Settings(tmp_path), QuietView(), supervisor)
    with supervisor:
        child = supervisor.start(LAST, ["mine", "status", "--home", str(tmp_path / "none"), "--json"])
        assert child.process.wait() == 2
        with pytest.raises(ProcessFailed, match=r"mine-01 ended with exit code 2: .*none") as failure:
            conductor._revive()
    assert str(tmp_path / "logs" / "mine-01.log") in failure.value.hint
