"""What is in the images, and what is not."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import docker
from tests.docker.kit import BASE_IMAGE, IMAGES, ROOT, free_port, is_well, wait_until

LIMIT_MB = {"sonar": 350, "mine": 350, "capsule": 350, "pysonar": 800}
LIST_MODULES = (
    "import json,importlib.util as u;"
    "print(json.dumps([m for m in %r if u.find_spec(m.split('.')[0]) and u.find_spec(m)]))"
)


@pytest.fixture(scope="module")
def client() -> docker.DockerClient:
    return docker.from_env()


def run(client: docker.DockerClient, role: str, *command: str) -> str:
    output = client.containers.run(
        IMAGES[role], list(command[1:]), entrypoint=command[0], remove=True, network_disabled=True
    )
    return str(output.decode())


@pytest.mark.parametrize("role", IMAGES)
def test_an_image_adds_no_more_than_it_may(client: docker.DockerClient, role: str) -> None:
    added_mb = (
        client.images.get(IMAGES[role]).attrs["Size"] - client.images.get(BASE_IMAGE).attrs["Size"]
    ) / 1e6
    print(f"{role} adds {added_mb:.0f} MB")
    assert 50 < added_mb <= LIMIT_MB[role]


@pytest.mark.parametrize("role", IMAGES)
def test_an_image_runs_as_nobody_in_particular_and_says_what_it_is(
    client: docker.DockerClient, role: str
) -> None:
    config = client.images.get(IMAGES[role]).attrs["Config"]
    assert config["User"] == "sonar"
    assert config["Healthcheck"]["Test"]
    for label in ("title", "description", "version", "licenses"):
        assert config["Labels"][f"org.opencontainers.image.{label}"]
    assert run(client, role, "id", "-u").strip() == "1000"


@pytest.mark.parametrize("role", IMAGES)
def test_an_image_holds_no_secret_and_no_git(client: docker.DockerClient, role: str) -> None:
    found = run(
        client, role, "find", "/opt/sonar", "/var/lib/sonar", "(", "-name", ".git", "-o", "-name", "*.key",
        "-o", "-name", "password", "-o", "-name", "token", "-o", "-path", "*/keystore/*", ")",
        "-not", "-path", "*/site-packages/*/test*/*",
    )  # fmt: skip
    assert found == ""
    attributes = client.images.get(IMAGES[role])
    dump = json.dumps([attributes.attrs["Config"]["Env"], attributes.history()]).lower()
    assert "sonar_password=" not in dump
    assert "token=" not in dump


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("mine", ["mine", "sonar.chain", "gmpy2"],
         ["pysonar", "sonar.localchain", "sonar.demo", "phe", "sklearn", "eth_tester", "pip"]),
        ("capsule", ["capsule", "sonar.chain", "gmpy2", "uvicorn"],
         ["mine", "pysonar", "sonar.localchain", "sonar.demo", "phe", "sklearn", "eth_tester", "pip"]),
        ("sonar", ["sonar.localchain", "sonar.commands"], ["mine", "pysonar", "sklearn", "pip"]),
        ("pysonar", ["pysonar", "jupyterlab", "sklearn", "matplotlib"], ["mine", "sonar.demo", "pip", "phe"]),
    ],
)  # fmt: skip
def test_a_role_has_what_it_needs_and_nothing_of_the_others(
    client: docker.DockerClient, role: str, has: list[str], lacks: list[str]
) -> None:
    script = LIST_MODULES % (has + lacks)
    assert json.loads(run(client, role, "python", "-c", script)) == has


@pytest.mark.parametrize("role", IMAGES)
def test_a_program_says_the_version_that_its_image_is_tagged_with(
    client: docker.DockerClient, role: str
) -> None:
    tagged = IMAGES[role].rpartition(":")[2]
    assert run(client, role, role, "--version") == f"{role} {tagged}\n"


@pytest.mark.parametrize("role", ["sonar", "pysonar"])
def test_an_image_runs_by_itself_as_the_docs_say(
    client: docker.DockerClient, role: str, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "operate.md").read_text().replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if line.startswith("docker run") and IMAGES[role] in line)
    name = f"sonar-test-{role}"
    line = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{free_port()}", line)
    line = re.sub(r"-v (?=\w)", f"-v {name}-", line)
    (tmp_path / "net").mkdir()
    try:
        subprocess.run([*line.replace("run", f"run -d --name {name}", 1).split()], cwd=tmp_path, check=True)
        wait_until("it to be well", 60, lambda: is_well(client.containers.get(name)))
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=False)
        for volume in client.volumes.list(filters={"name": f"{name}-"}):
            volume.remove()


@pytest.mark.parametrize("program", ["ipfs", "anvil"])
def test_only_the_network_has_a_chain(client: docker.DockerClient, program: str) -> None:
    def has(role: str) -> bool:
        return bool(run(client, role, "sh", "-c", f"command -v {program} || true"))

    assert [role for role in IMAGES if has(role)] == (list(IMAGES) if program == "ipfs" else ["sonar"])
