"""`docker compose --profile demo up --exit-code-from demo`, watched while it runs and looked over after."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.kit import MIB, Project, is_well, memory_bytes
from tests.e2e.clear import rounded_losses

pytestmark = pytest.mark.timeout(400)
MINES = 10
SECRETS = """
import json, os, pathlib
root = pathlib.Path("/var/lib/sonar")
names = ("password", "token", "swarm.key", "faucet.key")
files = [p for p in root.rglob("*") if p.name in names or p.parent.name == "keystore"]
def peer(slot):
    config = slot / "ipfs/config"
    return json.loads(config.read_text())["Identity"]["PeerID"] if config.exists() else None
slots = sorted((root / "mines").glob("mine-*")) if (root / "mines").exists() else []
print(json.dumps({
    "open": [str(p) for p in files if p.stat().st_mode & 0o077],
    "values": [p.read_text().strip() for p in files if p.suffix != ".json"],
    "addresses": [p.stem for p in files if p.parent.name == "keystore"],
    "peers": [peer(slot) for slot in slots],
    "slots": len(slots),
}))
"""


@dataclass
class Watched:
    """One run of the documented command."""

    project: Project
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    code: int = -1
    total_s: float = 0.0
    first_round_s: float = 0.0
    peak_bytes: int = 0
    mine_peak_bytes: int = 0
    inspected: list[dict[str, Any]] = field(default_factory=list)
    top: list[dict[str, Any]] = field(default_factory=list)
    jupyter: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    log = tmp_path_factory.mktemp("demo") / "compose.log"
    with Project("sonar-test-demo", MINES=MINES) as project:
        watched = Watched(project)
        _watch(watched, log)
        yield watched


def _watch(watched: Watched, log: Path) -> None:
    """Run the command, and look at the containers as soon as all of them are there."""
    project, start, start_s = watched.project, time.monotonic(), time.time()
    process = project.start("up", "--exit-code-from", "demo", log=log)
    try:
        while process.poll() is None:
            assert time.monotonic() - start < 300, log.read_text()[-3000:]
            running = [one for one in project.containers() if one.status == "running"]
            used = {one.id: memory_bytes(one) for one in running}
            mines = [used[one.id] for one in running if one.labels["com.docker.compose.service"] == "mine"]
            watched.peak_bytes = max(watched.peak_bytes, sum(used.values()))
            watched.mine_peak_bytes = max(watched.mine_peak_bytes, *mines, 0)
            if not watched.top and len(running) >= MINES + 5 and is_well(project.one("pysonar")):
                watched.top = [one.top(ps_args="-eo pid,uid,comm") for one in running]
                watched.jupyter = _knock(project)
            time.sleep(2)
    finally:
        process.terminate()
        watched.code = process.wait(60)
    watched.inspected = [one.attrs for one in project.containers()]
    watched.first_round_s = project.told_at("demo", "round 1: R²") - start_s
    watched.total_s = project.told_at("demo", "bounty diabetes is closed") - start_s
    print(
        f"\nfirst round settled after {watched.first_round_s:.0f} s, all over after {watched.total_s:.0f} s; "
        f"peak {watched.peak_bytes / MIB:.0f} MiB over all, {watched.mine_peak_bytes / MIB:.0f} MiB a mine"
    )


def _knock(project: Project) -> dict[str, int]:
    token = project.jupyter.partition("token=")[2]
    url = f"{project.jupyter.partition('/lab')[0]}/api/contents"
    headers = {
        "right": {"authorization": f"token {token}"},
        "wrong": {"authorization": f"token {'x' * len(token)}"},
        "none": {},
    }
    # Each by itself: a client that was let in once gets a cookie.
    return {name: httpx.get(url, headers=header).status_code for name, header in headers.items()}


def test_it_ends_with_the_campaigns_own_status(run: Watched) -> None:
    assert run.code == 0
    assert "bounty diabetes is closed" in run.project.logs("demo")


def test_losses_are_those_of_the_demo(run: Watched) -> None:
    found = run.project.rounds()
    told = [(f"{1 - loss / 1e6:.4f}", 10) for loss in rounded_losses(10, 7)[1:]]
    assert [found[number] for number in sorted(found)] == told
    assert float(max(found.values())[0]) >= 0.5298


def test_it_is_quick_enough(run: Watched) -> None:
    if run.load_before > (os.cpu_count() or 1):
        pytest.skip(f"the machine was busy: load {run.load_before:.0f} before the start; figures are printed")
    assert run.first_round_s <= 60
    assert run.total_s <= 120


def test_it_is_small_enough(run: Watched) -> None:
    assert run.peak_bytes <= 3 * 1024 * MIB
    assert run.mine_peak_bytes <= 200 * MIB


def test_every_mine_is_somebody_else(run: Watched) -> None:
    found = run.project.in_volumes("mine", SECRETS)
    assert found["slots"] == len(set(found["addresses"])) == MINES
    assert len(set(found["peers"])) == MINES
    assert None not in found["peers"]


def test_only_localhost_is_listened_on(run: Watched) -> None:
    bound = [
        (one["Config"]["Labels"]["com.docker.compose.service"], binding["HostIp"])
        for one in run.inspected
        for bindings in (one["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    assert {service for service, _ in bound} == {"sonar", "pysonar"}
    assert {ip for _, ip in bound} == {"127.0.0.1"}


def test_containers_may_do_little(run: Watched) -> None:
    assert len(run.inspected) == MINES + 6
    for one in run.inspected:
        host = one["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert not host["Privileged"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    uids = {row[1] for top in run.top for row in top["Processes"]}
    assert uids == {"1000"}


def test_secrets_are_in_the_volumes_alone(run: Watched) -> None:
    found = [run.project.in_volumes(service, SECRETS) for service in ("mine", "pysonar", "demo", "capsule-1")]
    assert [one["open"] for one in found] == [[]] * 4
    secrets = {value for one in found for value in one["values"]}
    assert len(secrets) >= MINES + 6
    for one in run.inspected:
        dump = repr((one["Config"], one["Args"], one["Path"]))
        assert not [secret for secret in secrets if secret in dump]


def test_jupyter_opens_with_the_printed_link_only(run: Watched) -> None:
    assert run.jupyter == {"right": 200, "wrong": 403, "none": 403}
    told = run.project.logs("pysonar")
    assert "a wrong token was refused" in told
    assert told.count("/lab?token=") == 1, "Jupyter's own link, which has no token, is not told"


def test_nothing_is_left(run: Watched) -> None:
    project = run.project
    project.run("down", "-v")  # with the profile, as is documented
    label = {"label": f"com.docker.compose.project={project.name}"}
    client = project.client
    assert not project.containers()
    assert not client.volumes.list(filters=label)
    assert not client.networks.list(filters=label)
