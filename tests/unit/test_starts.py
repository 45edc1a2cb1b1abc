"""What programs load when they start: by the list of modules, since time depends on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mine.cli import main
from tests.unit.network_file import write_network

# Each takes 20 ms or more to load, or stands for what does.
HEAVY = {
    "asyncio",
    "cffi",
    "eth_abi",
    "eth_account",
    "eth_utils",
    "gmpy2",
    "httpcore",
    "httpx",
    "matplotlib",
    "numpy",
    "py_ecc",
    "rlp",
    "stamina",
    "trio",
}
RUN = """
import importlib, json, sys
program, *sys.argv[1:] = sys.argv[1:]
code = importlib.import_module(f"{program}.__main__").main()
sys.stdout.flush()
print(json.dumps([code, [name for name, module in sys.modules.items() if module]]), file=sys.stderr)
"""


def loaded_by(program: str, *arguments: str) -> set[str]:
    """The modules that a program has loaded at its end, which must be a good one."""
    run = subprocess.run(
        [sys.executable, "-c", RUN, program, *arguments], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(run.stderr.splitlines()[-1])
    assert code == 0, run.stderr
    return set(modules)


@pytest.mark.parametrize("program", ["mine", "pysonar", "capsule", "sonar"])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_and_version_load_nothing_heavy(program: str, arguments: list[str]) -> None:
    assert loaded_by(program, *arguments) & HEAVY == set()


@pytest.mark.parametrize("program", ["mine", "pysonar", "capsule"])
def test_help_makes_no_documents(program: str) -> None:
    assert "pydantic" not in loaded_by(program, "--help")


def test_status_loads_no_arithmetic_and_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the chain, and needs what that takes: no data, ciphertext or keystore, nor an ABI but ours."""
    network = write_network(tmp_path)
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home = ["--home", str(tmp_path / "home")]
    assert main(["init", *home, "--network", str(network), "--dev"]) == 0
    needed = {"asyncio", "httpcore", "httpx", "stamina", "gmpy2"}  # whose logarithms budgets are told by
    needless = {*HEAVY, "pygments", "sonar.paillier.public"} - needed
    assert loaded_by("mine", "status", *home) & needless == set()


@pytest.mark.parametrize("module", ["sonar.loads", "mine.loads", "pysonar.loads"])
def test_what_is_loaded_ahead_is_there(module: str) -> None:
    """A fork server goes on without a module that it cannot load, and its programs would be slow to start."""
    script = f"import runpy, sys; runpy.run_module({module!r}); print(len(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 500
