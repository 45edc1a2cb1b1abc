"""Processes: started whole, by fork or by themselves, waited for while they move, and ended every one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sonar.errors import ClientMissing, SonarError, WaitTimeout
from sonar.home.parties import ready
from sonar.processes import forkserver, patience, supervisor
from sonar.processes.patience import Movement, cpu_s
from sonar.processes.supervisor import ProcessFailed, Supervisor
from sonar.telling.documents import ChainReady, PartyReady, write

# What is raised in a hook of fork's is swallowed: without care, the Ctrl-C of this script would be.
INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
import psutil
from sonar.processes.supervisor import Supervisor
def terminate(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, terminate)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(int(sys.argv[2])))
supervisor = Supervisor(Path(sys.argv[1]))
try:
    supervisor.start("sleeper", ["http.server", "0", "--bind", "127.0.0.1"])
except KeyboardInterrupt:
    print("interrupted", len(psutil.Process().children()))
    supervisor.stop()
    print("then", len(psutil.Process().children()))
"""
# A program: tells what it is, waits for a line if it is asked to, and ends with the code that it is given.
PROGRAM = """
import json, os, sys, time
import told_loaded as loaded
told = {"pid": os.getpid(), "argv": sys.argv[1:], "env": os.environ.get("GIVEN"), "loaded_by": loaded.PID}
print(json.dumps(told), flush=True)
print("to the log", file=sys.stderr)
if sys.argv[1] == "sleep":
    time.sleep(600)
if sys.argv[1] == "spin":
    while True:
        pass
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(params=["forked", "by themselves"])
def started(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    """A supervisor whose programs find `PROGRAM` as `told_program`."""
    if request.param == "forked" and not forkserver.SUPPORTED:
        pytest.skip("programs are forked on Linux only")
    (tmp_path / "told_program.py").write_text(PROGRAM)
    (tmp_path / "told_loaded.py").write_text("import os\nPID = os.getpid()\n")
    (tmp_path / "told_loads.py").write_text("import told_loaded\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with Supervisor(tmp_path / "logs") as found:
        if request.param == "forked":
            found.load("told_loads")
        yield found


def told(supervisor: Supervisor, within_s: float = 60) -> dict[str, object]:
    line = supervisor.next_line(within_s)
    assert line is not None
    assert line.text is not None
    found: dict[str, object] = json.loads(line.text)
    return found


def ended(child: supervisor.Child) -> int:
    return child.process.wait(60)


@pytest.mark.parametrize("number", [2, 15], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_in_the_middle_of_a_fork_is_not_lost(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), str(number)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["interrupted 1", "then 0"], done.stderr


def test_a_program_that_is_not_installed_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "find_spec", lambda module: None)
    with pytest.raises(ClientMissing, match="`mine` is not installed") as caught:
        Supervisor(tmp_path).start("mine-01", ["mine", "run"])
    assert caught.value.hint == "pip install sonar-network-mine"


def test_a_program_has_arguments_output_log_and_exit_code_of_its_own(started: Supervisor) -> None:
    children = [started.start(f"p{i}", ["told_program", str(i)], env={"GIVEN": f"{i}"}) for i in range(3)]
    assert [ended(child) for child in children] == [0, 1, 2]
    lines: dict[str, dict[str, object]] = {}
    while len(lines) < 3:
        if (line := started.next_line(60)) is not None and line.text is not None:
            lines[line.party] = json.loads(line.text)
    loaded_by = {line.pop("loaded_by") for line in lines.values()}
    pids = [child.pid for child in children]
    assert lines == {f"p{i}": {"pid": pids[i], "argv": [str(i)], "env": f"{i}"} for i in range(3)}
    assert len(set(pids)) == 3
    forked = started._forks is not None
    assert len(loaded_by) == (1 if forked else 3)  # one process has loaded what they all need
    assert loaded_by.isdisjoint(pids) == forked
    assert all("to the log" in child.log.read_text() for child in children)
    assert {child.party for child in started.ended_badly()} == {"p1", "p2"}
    with pytest.raises(ProcessFailed, match="p1 ended with exit code 1") as failure:
        started.require_healthy()
    assert str(children[1].log) in failure.value.hint


def test_between_two_steps_a_process_waits_until_it_may_go_on(started: Supervisor) -> None:
    child = started.start("p", ["told_program", "0", "first"], ["told_program", "7", "second"])
    assert told(started)["argv"] == ["0", "first"]
    assert started.next_line(0.3) is None
    assert child.process.poll() is None
    child.go_on()
    second = told(started)
    assert (second["argv"], second["pid"]) == (["7", "second"], child.pid)
    assert ended(child) == 7


def test_a_step_that_fails_is_the_last(started: Supervisor) -> None:
    child = started.start("p", ["told_program", "3"], ["told_program", "0"])
    assert ended(child) == 3
    child.go_on()  # nobody hears it, and nobody minds


def test_a_quiet_step_tells_its_log(started: Supervisor) -> None:
    child = started.start("p", ["told_program", "0"], ["told_program", "0", "quietly"])
    told(started)
    child.go_on(quiet=True)
    assert ended(child) == 0
    line = started.next_line(60)
    assert line is not None
    assert line.text is None  # the stream's end
    assert '"quietly"' in child.log.read_text()


def test_a_killed_program_shows_its_signal(started: Supervisor) -> None:
    child = started.start("p", ["told_program", "sleep"])
    told(started)
    os.kill(child.pid, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL


def test_leaving_ends_all_of_them(started: Supervisor) -> None:
    children = [started.start(f"p{i}", ["told_program", "sleep"]) for i in range(3)]
    for _ in children:
        told(started)
    started.stop()
    assert all(child.process.poll() == -signal.SIGTERM for child in children)
    assert not any(runs(child.pid) for child in children)


@pytest.mark.skipif(not forkserver.SUPPORTED, reason="programs are forked on Linux only")
def test_whoever_kills_the_server_ends_its_programs_and_the_next_start_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Supervisor(tmp_path) as found:
        found.load("json")
        child = found.start("p", ["http.server", "0", "--bind", "127.0.0.1"])
        server = psutil.Process(child.pid).parent()
        assert server is not None
        assert server.pid != os.getpid()
        server.kill()
        assert ended(child) == -signal.SIGTERM
        wait_until(lambda: not runs(child.pid))
        again = found.start("p", ["platform"])
        assert ended(again) == 0


@pytest.mark.skipif(not forkserver.SUPPORTED, reason="programs are forked on Linux only")
def test_forked_programs_end_with_whoever_asked_for_them_even_by_kill(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from sonar.processes.supervisor import Supervisor\n"
        "found = Supervisor(Path(sys.argv[1])); found.load('json')\n"
        "child = found.start('p', ['http.server', '0', '--bind', '127.0.0.1'])\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    asking = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout is not None
    pid = int(asking.stdout.readline())
    asking.kill()
    asking.wait()
    asking.stdout.close()
    wait_until(lambda: not runs(pid))


def runs(pid: int) -> bool:
    """Tell whether a process lives. One that has ended stays in the table until its parent asks for its code,
    and the first process of a container, who inherits it, may never ask."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.05)


# ---- patience


def test_a_process_that_works_moves_and_one_that_sleeps_does_not(started: Supervisor) -> None:
    sleeps, spins = (started.start(what, ["told_program", what]) for what in ("sleep", "spin"))
    for _ in range(2):
        told(started)
    still, moving = Movement(sleeps.pid), Movement(spins.pid)
    wait_until(lambda: still.still_s() > 1)
    assert moving.still_s() < still.still_s()
    assert cpu_s(spins.pid) is None or moving.still_s() == 0 or moving.still_s() < 1


def test_where_nobody_tells_a_process_moves() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    now = 0.0
    movement = Movement(gone.pid, lambda: now)
    now = 1e6
    assert movement.still_s() == 0


def test_a_process_that_hangs_is_named_with_its_log(
    started: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = started.start("mine-03", ["told_program", "sleep"])
    told(started)
    monkeypatch.setattr(supervisor, "STILL_MAX_S", 0.5)
    wait_until(lambda: child.movement.still_s() > 0.5)
    with pytest.raises(
        WaitTimeout, match="mine-03 has done nothing for 1 s, and is not ready:\nto the log"
    ) as late:
        started.require_movement(["mine-03"])
    assert str(child.log) in late.value.hint


def test_while_parties_start_it_is_told_how_many_are_ready(
    started: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonar.home.parties.TELL_EACH_S", 0.1)
    document = write(PartyReady("0x" + "0" * 40, "home", "network", "next"))  # type: ignore[arg-type]
    parties = [f"mine-{i}" for i in range(6)]
    for party in parties:
        started.start(party, ["told_program", "sleep"])
    started.lines.put(supervisor.Line("mine-2", document))
    notes: list[str] = []
    looked = 0

    def look() -> None:
        nonlocal looked
        looked += 1
        if notes:
            for party in parties:
                started.lines.put(supervisor.Line(party, document))

    found = [party for party, _ in ready(started, PartyReady, parties, notes.append, look)]
    assert found[0] == "mine-2"
    assert sorted(found) == parties
    assert notes[0] == "1 of 6 are ready; waiting for mine-0, mine-1, mine-3 and 2 more"
    others = []
    while (line := started.next_line(0)) is not None:
        others.append(line.text)
    assert others.count(document) >= 1  # what was told besides is there for who reads on


def test_a_party_that_ends_before_it_is_ready_is_not_waited_for(started: Supervisor) -> None:
    started.start("chain", ["told_program", "5"])
    with pytest.raises(SonarError, match="chain ended with exit code 5"):
        list(ready(started, ChainReady, ["chain"], lambda _: None, started.require_healthy))


def test_whoever_goes_on_after_sigterm_is_killed_when_time_is_up(
    started: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_WITHIN_S", 0.5)
    (Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]) / "told_deaf.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('{}', flush=True)\nwhile True: pass\n"
    )
    child = started.start("p", ["told_deaf"])
    told(started)
    started.stop()
    assert child.process.poll() == -signal.SIGKILL
    assert patience.cpu_s(child.pid) is None
