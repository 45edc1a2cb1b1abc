"""`sonar demo` as a user runs it: real processes on a real chain, with its figures held to the job's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from sonar.demo.report import Report
from sonar.processes import forkserver
from sonar.telling import documents
from tests.e2e.clear import clear_losses
from tests.e2e.kit import has_anvil

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SONAR = [sys.executable, "-m", "sonar"]
CLIENTS = [
    pytest.param("anvil", marks=pytest.mark.skipif(not has_anvil(), reason="Anvil is not installed")),
    "eth-tester",
]


def demo(*args: str, cwd: Path, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SONAR, "demo", *args], cwd=cwd, capture_output=True, text=True, check=False, **kwargs
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_the_demo_reaches_its_figures_and_pays_to_the_wei(client: str, tmp_path: Path) -> None:
    """As it is by default; and smaller, on the chain in Python, without capsules."""
    capsules, size = (3, 10) if client == "anvil" else (0, 4)
    options = [] if capsules else ["--no-capsules", "--mines", str(size), "--rounds", "5"]
    run = demo("--chain", client, "--home", "kept", "--json", *options, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    report = asdict(documents.read(Report, run.stdout))  # one document, nothing else

    assert report["key_bits"] == 2048
    assert report["chain"] == {"client": client, "chain_id": 31337}
    assert report["initial_loss"] == 1_000_000
    assert report["null_mse"] == pytest.approx(5_572.28, abs=0.01)
    assert min(row["figures"]["mse"] for row in report["rounds"][:5]) <= 2_620
    assert all(row["figures"]["r2"] == pytest.approx(1 - row["loss"] / 1e6) for row in report["rounds"])
    losses = [report["initial_loss"], *(r["loss"] for r in report["rounds"])]
    assert losses == pytest.approx(clear_losses(size, len(report["rounds"])), abs=1)  # the last digit

    mines = report["mines"]
    assert len({m["address"] for m in mines}) == len({m["pid"] for m in mines}) == len(mines) == size
    assert {m["rows"] for m in mines} == {400 // size}
    for row in report["rounds"]:
        assert row["cohort"] == [m["address"] for m in mines]  # the shares stand in the mines' order
        assert len(row["shares_bps"]) == size
        assert sum(row["shares_bps"]) == 10_000
        assert set(row["gas"]) == {"commit", "reveal", "settle"} | ({"fix"} if capsules else set())
        assert row["seconds"]

    assert report["paid_wei"] + report["refunded_wei"] + report["held_wei"] == report["escrow_wei"]
    assert report["held_wei"] == report["contract_balance_wei"] == 0
    earned = sum(m["fees_wei"] + m["rewards_wei"] for m in mines)
    assert earned == report["paid_wei"] == sum(r["paid_wei"] for r in report["rounds"])
    for m in mines:
        assert (
            m["withdrawn_wei"] == m["fees_wei"] + m["rewards_wei"] + m["stakes_back_wei"] + m["forfeits_wei"]
        )
    assert (tmp_path / "kept/demo.png").stat().st_size > 10_000
    check_capsules(report["capsules"], len(report["rounds"]), capsules)
    check_secrets(tmp_path / "kept", size + 1 + capsules)
    if forkserver.SUPPORTED:
        assert (tmp_path / "kept/logs/forkserver.log").read_text() == ""


def check_capsules(told: dict[str, Any] | None, rounds: int, capsules: int) -> None:
    """Two of three signed each settlement, and the report says who."""
    if not capsules:
        assert told is None
        return
    assert told is not None
    assert (told["threshold"], told["audited"]) == (2, True)
    assert len({row["address"] for row in told["rows"]}) == len(told["rows"]) == capsules
    signed = [number for row in told["rows"] for number in row["signed"]]
    assert sorted(signed) == sorted([*range(1, rounds + 1)] * 2)


def check_secrets(home: Path, parties: int) -> None:
    """Nothing that opens a key is readable by others, and no two parties share a password."""
    passwords = sorted(home.glob("*/password"))
    assert len({p.read_text() for p in passwords}) == len(passwords) == parties
    for secret in [*passwords, *home.glob("*/keystore/*.json"), *home.glob("chain/*.key")]:
        assert secret.stat().st_mode & 0o077 == 0, secret


def test_a_short_key_for_comparisons_has_to_be_asked_for(tmp_path: Path) -> None:
    args = ["--key-bits", "1024", "--insecure", "--mines", "3", "--rounds", "1", "--chain", "eth-tester"]
    run = demo(*args, "--home", "kept", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["key_bits"] == 1024


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    args = [*SONAR, "demo", "--mines", "3", "--chain", "eth-tester", "--home", str(tmp_path / "kept")]
    with (tmp_path / "err").open("w") as err:
        run = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True)
    children = wait_for_children(run.pid, 8)  # chain, scientist, three capsules, three mines
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(timeout=60) == 130
    _gone, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, alive
    assert "Traceback" not in (tmp_path / "err").read_text()


def wait_for_children(pid: int, count: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = list(psutil.Process(pid).children(recursive=True))
        if len(children) >= count:
            return children
        time.sleep(0.1)
    raise AssertionError("the demo did not start its processes")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--mines", "13"], "--mines: must be at most 12"),
        (["--mines", "1"], "--mines: must be at least 2"),
        (["--mines", "ten"], "--mines: must be a whole number"),
        (["--key-bits", "2047"], "multiple of 256"),
        (["--key-bits", "1024"], "2048 is the least"),
        (["--chain", "gethh"], "chain"),
        (["--home", "."], "not empty"),
    ],
)
def test_wrong_options_are_told_before_anything_starts(args: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    run = demo(*args, cwd=tmp_path)
    assert run.returncode == 2
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
