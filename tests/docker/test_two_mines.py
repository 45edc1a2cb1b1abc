"""A small network: who reads what through the swarm, and what containers say when something is wrong."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from functools import partial

import pytest
from docker.models.containers import Container

from sonar.localchain.statefile import STATE_FILE
from tests.docker.kit import IMAGES, KILL_ALL, Project, is_well, wait_until

pytestmark = pytest.mark.timeout(300)

STORE = """
import sys
from pathlib import Path
from sonar.protocol.ids import Cid
from sonar.store.kubo.store import KuboStore
from sonar.store.kubo.repo import Repo
repo = Repo(Path(Path("/tmp/slot").read_text().strip()) / "ipfs")
store = KuboStore(repo.api_url())
"""
PUT = STORE + "print(store.put(bytes.fromhex(sys.argv[1])), repo.peer_id())"
GET = (
    STORE
    + """
cid = Cid.parse(sys.argv[1])
print(store.has(cid), store.get(cid, 1000).hex())
"""
)
HEALTH = "import runpy; ask = runpy.run_path('/opt/sonar/lib/health.py')['ask']"
OUTSIDER = """
import os
import subprocess
import sys
from pathlib import Path
from sonar.errors import SonarError
from sonar.protocol.ids import Cid
from sonar.store.kubo.store import KuboStore
from sonar.store.kubo.daemon import KuboNode
from sonar.store.kubo.repo import Swarm
key, peer, cid = sys.argv[1:]
with KuboNode(Path("/tmp/outsider/ipfs"), Swarm(Path(key).read_bytes(), (peer,))) as node:
    try:
        node.connect(peer)
        print("connected")
    except SonarError:
        print("shut out")
    try:
        print(KuboStore(node.api_url, get_timeout_s=5).get(Cid.parse(cid), 1000).hex())
    except SonarError as error:
        print(type(error).__name__)
    own = {"SONAR_HOME": "/tmp/outsider", "SONAR_NETWORK": "/net/network.toml"}
    health = [sys.executable, "/opt/sonar/lib/health.py", "ipfs"]
    print(subprocess.run(health, env=os.environ | own, capture_output=True, text=True).stdout or "well")
"""
FALSE_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + secrets.token_hex(32) + "\n"


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with Project("sonar-test-two", MINES=2) as started:
        started.run("up", "-d", "--scale", "mine=3", "sonar", "mine")
        wait_until("two mines to be well", 90, lambda: len(well(started)) == 2)
        yield started


def well(project: Project) -> list[Container]:
    """The mines whose health is good."""
    return [mine for mine in project.containers("mine") if is_well(mine)]


def run_python(container: Container, script: str, *args: str) -> list[str]:
    code, output = container.exec_run(["python", "-c", script, *args])
    assert code == 0, output.decode()
    return [str(word) for word in output.decode().split()]


def test_more_containers_than_mines_say_so(project: Project) -> None:
    wait_until("the third to say so", 60, lambda: "all 2 slots are taken" in project.logs("mine"))


def test_of_another_number_of_mines_a_slot_has_its_part_alone(project: Project) -> None:
    """It trained on the old part besides, which was in the parts of others by then."""
    for mines in (3, 4):  # the first two slots are taken; --help ends the mine when its slot is ready
        project.run("run", "--rm", "--no-deps", "-T", "-e", f"MINES={mines}", "mine", "--help")
    listed = well(project)[0].exec_run(
        ["mine", "data", "list", "--home", "/var/lib/sonar/mines/mine-03", "--json"]
    )
    assert [one["source"] for one in json.loads(listed.output)] == ["diabetes:3/4"]


def test_a_blob_of_one_mine_is_read_by_the_other_through_the_swarm(project: Project) -> None:
    one, other = well(project)
    data = secrets.token_hex(500)
    cid, _ = run_python(one, PUT, data)
    assert run_python(other, GET, cid) == ["False", data]
    assert run_python(other, GET, cid) == ["True", data]


@pytest.mark.parametrize("has_key", [True, False], ids=["with the swarm key", "without"])
def test_who_has_no_swarm_key_reads_nothing(project: Project, has_key: bool) -> None:
    one = well(project)[0]
    data = secrets.token_hex(500)
    cid, peer_id = run_python(one, PUT, data)
    networks = one.attrs["NetworkSettings"]["Networks"]
    ((network, settings),) = networks.items()
    peer = f"/ip4/{settings['IPAddress']}/tcp/4001/p2p/{peer_id}"
    key = "/net/swarm.key" if has_key else "/tmp/false.key"
    prepare = "" if has_key else f'from pathlib import Path; Path("{key}").write_text({FALSE_KEY!r})\n'
    told = project.client.containers.run(
        IMAGES["mine"],
        ["-c", prepare + OUTSIDER, key, peer, cid],
        entrypoint="python",
        network=network,
        volumes={f"{project.name}_network": {"bind": "/net", "mode": "ro"}},
        remove=True,
        stderr=False,
    )
    connects, reads, health = told.decode().splitlines()[:3]
    assert (connects, reads) == (("connected", data) if has_key else ("shut out", "BlobNotFound"))
    assert (health == "well") is has_key
    assert has_key or "is the swarm key the network's?" in health


@pytest.mark.parametrize(
    ("field", "says"),
    [("code_hash", "holds another contract"), ("contract", "no contract at"), ("chain_id", "not 1")],
)
def test_health_says_what_is_wrong_with_the_chain(project: Project, field: str, says: str) -> None:
    wrong = {"code_hash": '"0x' + "1" * 64 + '"', "contract": '"0x' + "1" * 40 + '"', "chain_id": "1"}[field]
    script = f"""sed 's/^{field} = .*/{field} = {wrong}/' "$SONAR_NETWORK" >/tmp/wrong.toml
    SONAR_NETWORK=/tmp/wrong.toml python /opt/sonar/lib/health.py chain"""
    code, output = well(project)[0].exec_run(["sh", "-c", script])
    assert code == 1
    assert says in output.decode()


def test_health_says_that_the_disk_is_full(project: Project) -> None:
    one = project.client.containers.run(
        IMAGES["mine"],
        ["/opt/sonar/lib/health.py", "disk"],
        entrypoint="python",
        environment={"SONAR_HOME": "/full"},
        tmpfs={"/full": "size=1m"},
        detach=True,
    )
    try:
        assert one.wait(timeout=30)["StatusCode"] == 1
        assert "KiB are free at /full" in one.logs().decode()
    finally:
        one.remove()


@pytest.mark.parametrize(
    ("image", "folder", "program"),
    [("mine", "mines", "mine-slot"), ("pysonar", "home", "notebook-server")],
)
def test_a_start_on_a_full_disk_says_so(project: Project, image: str, folder: str, program: str) -> None:
    path = f"/var/lib/sonar/{folder}"
    one = project.client.containers.run(
        IMAGES[image],
        ["-c", f"head -c 1M /dev/zero >{path}/full; exec {program}"],
        entrypoint="sh",
        tmpfs={path: "size=100k,uid=1000"},
        detach=True,
    )
    try:
        assert one.wait(timeout=30)["StatusCode"] == 1
        told = one.logs().decode()
        assert "error: /var/lib/sonar/" in told
        assert "is the disk full" in told
        assert "Traceback" not in told
    finally:
        one.remove()


def test_after_a_demo_that_was_run_a_plain_down_leaves_nothing() -> None:
    """It left the demo's volume, since it does not look at what a profile has."""
    with Project("sonar-test-run", MINES=2, ROUNDS=1) as project:
        done = project.run("run", "--rm", "-T", "demo", profile="none")
        assert "closed (last round)" in done.stdout
        project.run("down", "-v", profile="none")
        assert not project.containers()
        assert not project.volumes()


def test_mines_take_over_the_network_that_begins_anew(project: Project) -> None:
    """A chain that has lost its state has nothing to go on from, and deploys another contract."""
    before = {one.id: one.attrs["RestartCount"] for one in well(project)}
    project.one("sonar").exec_run(["sh", "-c", f"rm $SONAR_HOME/{STATE_FILE} && {KILL_ALL[-1]}"])
    wait_until(
        "both mines to start again",
        60,
        lambda: all(one.attrs["RestartCount"] > before[one.id] for one in well(project) if one.id in before),
    )
    both = "grep ^contract $SONAR_NETWORK $(cat /tmp/slot)/network.toml | cut -d: -f2 | uniq | wc -l"
    wait_until("two mines to be well", 60, lambda: len(well(project)) == 2)
    assert [one.exec_run(["sh", "-c", both]).output.strip() for one in well(project)] == [b"1", b"1"]


def test_the_log_says_that_a_clock_is_wrong(project: Project) -> None:
    """Last, since nothing here is well with it."""
    ahead = f"{HEALTH}; ask('http://127.0.0.1:8545', 'evm_increaseTime', 3600)"
    run_python(project.one("sonar"), ahead)

    def told(service: str) -> bool:
        return "ahead of this clock" in project.logs(service)

    for service in ("sonar", "mine"):
        wait_until("it to be said", 90, partial(told, service))
