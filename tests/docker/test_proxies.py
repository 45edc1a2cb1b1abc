"""Docker puts the proxies of ~/.docker/config.json into every container; none leads to its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.docker.kit import Project, wait_until

pytestmark = pytest.mark.timeout(240)
NOBODY = "http://192.0.2.1:3128"
SERVICES = ("sonar", "capsule-1", "capsule-2", "capsule-3", "mine")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def state(container: Container) -> str:
    return str(container.attrs["State"]["Health"]["Status"])


def test_a_network_works_where_docker_sets_proxies(tmp_path: Path) -> None:
    proxies = "{ " + ", ".join(f"{name}: '{NOBODY}'" for name in NAMES) + " }"
    file = tmp_path / "proxies.yml"
    lines = [f"  {name}: {{ environment: {proxies} }}" for name in SERVICES]
    file.write_text("\n".join(["services:", *lines, ""]))
    with Project("sonar-test-proxies", "docker-compose.yml", str(file), MINES=1) as project:
        project.run("up", "-d", "sonar", "mine")
        wait_until("the mine to work", 90, lambda: "waiting for a bounty" in project.logs("mine"))
        wait_until("all to be well", 60, lambda: {"healthy"} == {state(one) for one in project.containers()})
        for one in project.containers():
            assert {f"{name}={NOBODY}" for name in NAMES} <= set(one.attrs["Config"]["Env"])
