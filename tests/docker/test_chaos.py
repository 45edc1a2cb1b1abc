"""Things die while a campaign runs; it ends as if nothing had happened."""

from __future__ import annotations

import time

import pytest

from tests.docker.kit import KILL_ALL, Project
from tests.e2e.clear import rounded_losses

pytestmark = pytest.mark.timeout(900)
ROUNDS = 16  # each death takes one round or two, more where the engine is slow to kill
KILL_IPFS = """
import contextlib, os, pathlib, signal
names = {}
for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
    with contextlib.suppress(OSError):  # a health check that has just ended
        names[int(path.parent.name)] = path.read_text().strip()
killed = [pid for pid, name in names.items() if name == "ipfs"]
for pid in killed:
    os.kill(pid, signal.SIGKILL)
print(len(killed))
"""


def test_capsules_that_die_in_mid_round_hold_up_nobody_for_good() -> None:
    """One is killed between the choice of the set and its sum, one for good; for a while one is left."""
    with Project("sonar-test-capsules", MINES=3, ROUNDS=8) as project:
        project.run("up", "-d")
        project.wait_for_told("round 1: fixCohort mined")
        first, second, third = (project.one(f"capsule-{n}") for n in (1, 2, 3))
        first.exec_run(KILL_ALL)
        project.wait_for_one_more_round()
        project.wait_for_restart(first)

        second.kill()  # by its operator: it is not started again
        third.kill()
        project.wait_for_told("1 of 3 capsules told")  # too few: it says so, and waits
        third.start()
        assert project.wait_for_demo() == 0, project.logs("demo")[-3000:]
        losses = rounded_losses(3, 8)[1:]
        told = {number: (f"{1 - loss / 1e6:.4f}", 3) for number, loss in enumerate(losses, 1)}
        assert project.rounds() == told


def test_a_campaign_survives_whatever_dies() -> None:
    with Project("sonar-test-chaos", ROUNDS=ROUNDS) as project:
        project.run("up", "-d")
        project.wait_for_round(1)

        mines = project.containers("mine")
        for mine in mines[:3]:
            mine.exec_run(KILL_ALL)
        project.wait_for_one_more_round()
        for mine in mines[:3]:
            project.wait_for_restart(mine)

        capsule = project.one("capsule-2")
        capsule.exec_run(KILL_ALL)
        project.wait_for_one_more_round()
        project.wait_for_restart(capsule)

        chain = project.one("sonar")
        chain.pause()
        time.sleep(20)
        chain.unpause()
        project.wait_for_one_more_round()

        chain.exec_run(KILL_ALL)
        project.wait_for_one_more_round()
        project.wait_for_restart(chain)

        assert mines[4].exec_run(["python", "-c", KILL_IPFS]).output.strip() == b"1"
        project.wait_for_one_more_round()

        project.one("demo").exec_run(KILL_ALL)
        assert project.wait_for_demo() == 137
        project.one("demo").start()
        project.wait_for_one_more_round()

        project.run("restart")
        assert project.wait_for_demo() == 0, project.logs("demo")[-3000:]
        losses = rounded_losses(10, ROUNDS)[1:]
        told = {number: (f"{1 - loss / 1e6:.4f}", 10) for number, loss in enumerate(losses, 1)}
        assert project.rounds() == told
