"""A network whose store is IPFS, as its parties start it: the chain's service, a mine, and what they tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from sonar.home.settings import NetworkConfig
from sonar.store.choose import describe_node
from tests.kubo_kit import eventually, needs_kubo, swarm_key

pytestmark = [needs_kubo, pytest.mark.e2e]

ENVIRONMENT = {**os.environ, "SONAR_PASSWORD": "secret of the keystore"}


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *argv], env=ENVIRONMENT, text=True, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def told(*argv: str) -> tuple[int, dict[str, Any]]:
    """Run a command with --json; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *argv, "--json"], env=ENVIRONMENT, capture_output=True, timeout=60, check=False
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def checks(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in answer["checks"]}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("net") / "chain"
    with running(
        "sonar", "chain", "--home", str(home), "--client", "eth-tester", "--store-kind", "kubo", "--json"
    ) as chain:
        ready = json.loads(line_of(chain))
        assert ready["bootstrap"] == list(NetworkConfig.load(home / "network.toml").store.bootstrap)
        yield home / "network.toml"


@pytest.fixture(scope="module")
def home(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mine") / "home"
    code, _ = told(
        "mine", "init", "--home", str(home), "--network", str(network), "--dev", "--example", "diabetes"
    )
    assert code == 0
    return home


def test_a_mine_runs_its_own_node_and_shows_it(home: Path) -> None:
    _, before = told("mine", "status", "--home", str(home))
    assert before["ipfs"] == {"peer_id": "", "running": False, "own": True, "peers": 0, "version": ""}
    with running("mine", "run", "--home", str(home), "--join-all", "--json") as process:
        assert "works on" in line_of(process)
        _, status = told("mine", "status", "--home", str(home))
        assert status["ipfs"]["running"]
        assert status["ipfs"]["peer_id"].startswith("12D3Koo")
        eventually(lambda: told("mine", "status", "--home", str(home))[1]["ipfs"]["peers"] == 1)
        _, answer = told("mine", "doctor", "--home", str(home))  # beside the one that runs
        found = checks(answer)
        assert {name for name, check in found.items() if not check["ok"]} <= {"balance", "bounties"}
        assert found["ipfs"]["found"].startswith("Kubo 0.")
        assert found["swarm"]["found"] == f"{status['ipfs']['peer_id']}, 1 of 1 bootstrap peers answer"
        (daemon,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert not daemon.is_running()
    assert not told("mine", "status", "--home", str(home))[1]["ipfs"]["running"]


def test_doctor_says_what_a_wrong_or_missing_key_does(home: Path, tmp_path: Path) -> None:
    key = tmp_path / "swarm.key"
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setitem(ENVIRONMENT, "SONAR_SWARM_KEY_FILE", str(key))
        code, answer = told("mine", "doctor", "--home", str(home))
        assert code == 1
        assert "swarm.key cannot be read" in checks(answer)["swarm key"]["found"]
        assert checks(answer)["store"]["ok"] is None
        key.write_bytes(swarm_key())
        key.chmod(0o600)
        code, answer = told("mine", "doctor", "--home", str(home))
        assert code == 1
        assert checks(answer)["store"]["ok"]
        assert "no connection to the peer" in checks(answer)["swarm"]["found"]
        assert "swarm key" in checks(answer)["swarm"]["hint"]


def test_a_second_peer_joins_by_the_key_and_the_address(network: Path, tmp_path: Path) -> None:
    key = tmp_path / "peer" / "swarm.key"
    key.parent.mkdir(mode=0o700)
    key.write_bytes((network.parent / "swarm.key").read_bytes())
    key.chmod(0o600)
    (first,) = NetworkConfig.load(network).store.bootstrap
    with running("sonar", "peer", "--home", str(key.parent), "--bootstrap", first, "--json") as process:
        ready = json.loads(line_of(process))
        assert ready["bootstrap"] != [first]
        assert ready["bootstrap"][0].startswith("/ip4/127.0.0.1/tcp/")
        config = NetworkConfig.load(network).store
        eventually(lambda: describe_node(config, key.parent)["peers"] >= 1)


def test_without_the_program_a_mine_says_what_to_install(home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(ENVIRONMENT, "SONAR_IPFS", raising=False)
        patch.setitem(ENVIRONMENT, "PATH", "")
        code, answer = told("mine", "run", "--home", str(home))
    assert code == 1
    assert "Kubo" in answer["error"]
    assert "install Kubo" in answer["hint"]
