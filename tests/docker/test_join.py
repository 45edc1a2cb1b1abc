"""The worked example of docs/operate.md: a mine in a compose project of its own joins another's network."""

from __future__ import annotations

import os
import re
import shutil
from ipaddress import IPv4Address
from pathlib import Path

import pytest

import docker
from tests.docker.kit import IMAGES, Project, free_port, wait_until

pytestmark = pytest.mark.timeout(400)
NETWORK = "/var/lib/sonar/network"
CONTAINER_USER = 1000


def address_of_this_machine() -> str:
    """An address that containers of any network reach this machine at, and nobody outside it."""
    routes = docker.from_env().containers.run(
        IMAGES["mine"], ["/proc/net/route"], entrypoint="cat", remove=True
    )
    gateway = next(row.split()[2] for row in routes.decode().splitlines() if row.split()[1] == "00000000")
    return str(IPv4Address(int.from_bytes(bytes.fromhex(gateway), "little")))


@pytest.mark.skipif(os.geteuid() != 0, reason="hands files to the containers' user, which takes root")
def test_a_mine_of_another_project_joins_and_is_paid(tmp_path: Path) -> None:
    host = address_of_this_machine()
    ports = {f"{who}_SWARM_PORT": free_port() for who in ("SONAR", "PYSONAR", "DEMO")}
    files = ("docker-compose.yml", "compose.open.yml")
    joined = tmp_path / "network"
    joined.mkdir()
    with (
        Project("sonar-test-home", *files, SONAR_HOST=host, MINES=3, COHORT=4, ROUNDS=3, **ports) as home,
        Project("sonar-test-away", "compose.mines.yml", MINES=1, SONAR_NETWORK_DIR=str(joined)) as away,
    ):
        home.run("up", "-d", "sonar", "mine")
        for name in ("network.toml", "swarm.key"):
            home.run("cp", f"sonar:{NETWORK}/{name}", str(joined))
        text = (joined / "network.toml").read_text()
        (joined / "network.toml").write_text(re.sub(r"\n\[faucet\]\n.*", "", text, flags=re.DOTALL))
        for path in (joined, *joined.iterdir()):
            shutil.chown(path, CONTAINER_USER, CONTAINER_USER)

        away.run("up", "-d")
        asks = wait_until(
            "the joiner to ask", 60, lambda: re.search(r"sonar fund (0x\w+)", away.logs("mine"))
        )
        home.run("exec", "-T", "sonar", "sonar", "fund", asks[1], "--amount", "2 ether")
        wait_until("the joiner to work", 60, lambda: "waiting for a bounty" in away.logs("mine"))

        home.run("up", "-d", "--no-recreate", "demo")
        assert home.wait_for_demo() == 0
        assert [accepted for _, accepted in home.rounds().values()] == [4, 4, 4]
        assert asks[1] in home.in_volumes("demo", PAID)
        networks = [
            set(one.attrs["NetworkSettings"]["Networks"]) for one in (home.one("sonar"), away.one("mine"))
        ]
        assert not networks[0] & networks[1]


PAID = """
import json, subprocess
told = subprocess.run(["pysonar", "status", "--json"], capture_output=True, text=True).stdout
print(json.dumps(told))
"""
