"""A compose project under test, and what can be seen of it through the Docker SDK."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.models.containers import Container

import docker

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {name: f"sonar-network/{name}:0.1.0" for name in ("sonar", "mine", "capsule", "pysonar")}
BASE_IMAGE = "python:3.11-slim-bookworm"
MIB = 1 << 20
PATIENCE_S = 180
"""For what takes seconds on a quiet machine: a dozen containers that start on a busy one take a minute."""
ROUND = re.compile(
    r"round (\d+): R² (-?[\d.]+), MSE [\d,.]+(?: \(the best is [^)]+\))?, (\d+) of \d+ accepted"
)
KILL_ALL = ["sh", "-c", "kill -9 -1"]
"""Run in a container: everything but its init, which then ends too."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, within_s: float, check: Callable[[], Any]) -> Any:
    """Return the first true answer of `check`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if answer := check():
            return answer
        time.sleep(0.3)
    raise AssertionError(f"waited {within_s:.0f} s for {what}")


class Project:
    """A compose project of its own name, ports and volumes. Leaving it removes everything."""

    def __init__(self, name: str, *files: str, **variables: str | int) -> None:
        self.name, self.files = name, files or ("docker-compose.yml",)
        self.client = docker.from_env()
        ports = {
            "JUPYTER_PORT": free_port(),
            "SONAR_CHAIN_PORT": free_port(),
            "SONAR_SWARM_PORT": free_port(),
        }
        self.variables = {key: str(value) for key, value in {**ports, **variables}.items()}

    def __enter__(self) -> Project:
        self._down()
        return self

    def __exit__(self, *_: object) -> None:
        self._down()

    def _down(self) -> None:
        """Remove everything. An engine can lose count of a killed container's place in a network, and then
        keeps that network, empty, until it is restarted: that alone is no fault of ours."""
        done = self.run("down", "-v", "--remove-orphans", check=False)
        if done.returncode == 0:
            return
        label = {"label": f"com.docker.compose.project={self.name}"}
        assert "has active endpoints" in done.stderr, done.stderr[-2000:]
        assert not self.containers()
        assert not self.volumes()
        assert not any(one.containers for one in self.client.networks.list(filters=label, greedy=True))

    def _command(self, *args: str, profile: str = "demo") -> list[str]:
        files = [part for file in self.files for part in ("-f", str(ROOT / file))]
        return ["docker", "compose", "-p", self.name, *files, "--profile", profile, *args]

    def run(
        self, *args: str, check: bool = True, timeout_s: float = 300, profile: str = "demo"
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self._command(*args, profile=profile),
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"compose {args}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
        return done

    def start(self, *args: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            return subprocess.Popen(
                self._command(*args), env=os.environ | self.variables, stdout=file, stderr=file
            )

    def containers(self, service: str | None = None) -> list[Container]:
        labels = [f"com.docker.compose.project={self.name}"]
        labels += [f"com.docker.compose.service={service}"] if service else []
        # `ignore_removed`: one that goes away between the listing and the look is not there.
        return list(self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True))

    def one(self, service: str) -> Container:
        (found,) = self.containers(service)
        return found

    def logs(self, service: str) -> str:
        return "".join(found.logs().decode(errors="replace") for found in self.containers(service))

    def told_at(self, service: str, words: str) -> float:
        """Return when the service said `words` first, in seconds since 1970."""
        lines = self.one(service).logs(timestamps=True).decode(errors="replace").splitlines()
        said = next((line for line in lines if words in line), None)
        assert said, lines[-20:]
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", said.split()[0])).timestamp()

    def rounds(self) -> dict[int, tuple[str, int]]:
        """Per settled round: R² as it is told, and how many updates were accepted."""
        found = ROUND.findall(self.logs("demo"))
        return {int(number): (r2, int(accepted)) for number, r2, accepted in found}

    def wait_for_round(self, number: int, within_s: float = PATIENCE_S) -> None:
        def settled() -> bool:
            running = self._runs("demo")  # asked first: what it said last is in the log by then
            found = number in self.rounds()
            assert found or running, f"the campaign ended before round {number}: {self.logs('demo')[-3000:]}"
            return found

        wait_until(f"round {number} to be settled", within_s, settled)

    def wait_for_one_more_round(self) -> None:
        """Wait for a round after all that are settled now."""
        self.wait_for_round(max(self.rounds(), default=0) + 1)

    def wait_for_told(self, words: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the campaign has said these words."""
        wait_until(f"{words!r}", within_s, lambda: words in self.logs("demo"))

    def wait_for_restart(self, container: Container, within_s: float = PATIENCE_S) -> None:
        """Wait until a container that was killed has been started by its policy, once.

        Others may have settled a round without it before the engine came to that.
        """

        def started() -> int:
            container.reload()
            return int(container.attrs["RestartCount"]) if self._is_up(container) else 0

        assert wait_until(f"{container.name} to be started again", within_s, started) == 1

    def _is_up(self, container: Container) -> bool:
        return bool(container.attrs["State"]["Running"])

    def _runs(self, service: str) -> bool:
        return all(self._is_up(one) for one in self.containers(service))

    def wait_for_demo(self, within_s: float = 2 * PATIENCE_S) -> int:
        return int(self.one("demo").wait(timeout=within_s)["StatusCode"])

    def volumes(self) -> list[Any]:
        return list(self.client.volumes.list(filters={"label": f"com.docker.compose.project={self.name}"}))

    def in_volumes(self, service: str, script: str) -> Any:
        """Run Python in a new container of a service, and return what it printed as JSON."""
        done = self.run("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", service, "-c", script)
        return json.loads(done.stdout.strip().splitlines()[-1])

    @cached_property
    def jupyter(self) -> str:
        """JupyterLab's link, as it was printed."""
        found = re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+/lab\?token=\S+)", self.logs("pysonar"))
        assert found, self.logs("pysonar")
        return found[1]


def is_well(container: Container) -> bool:
    """Tell whether the container's health was good at the last look."""
    return bool(container.attrs["State"].get("Health", {}).get("Status") == "healthy")


def memory_bytes(container: Container) -> int:
    """What the container uses, as `docker stats` counts it."""
    stats = container.stats(stream=False, one_shot=True)["memory_stats"]
    detail = stats.get("stats", {})
    return int(stats.get("usage", 0)) - int(detail.get("total_inactive_file", detail.get("inactive_file", 0)))
