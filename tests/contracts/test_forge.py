"""Every Solidity test file, by name, with the native forge (the npm wrapper would hide a failure).

And what is measured of the contract, against what is committed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "contracts/test").rglob("*.t.sol")
    if re.search(r"function (test|invariant)", path.read_text())  # the rest is what they share
)


def missing() -> str:
    """What this machine lacks for the contract tests, or nothing."""
    if not shutil.which("node"):
        return "Node.js"
    forge = subprocess.run(["scripts/forge", "--version"], cwd=ROOT, capture_output=True, check=False)
    return "" if forge.returncode == 0 else "Foundry"


MISSING = missing()


pytestmark = [
    pytest.mark.skipif(
        bool(MISSING), reason=f"contract tests need {MISSING}: install it and run `make test` again"
    ),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("forge"),  # they share a build cache
]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


Results = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Results:
    """By file: what forge says of each test. In one run: file by file, each would be compiled again."""
    chosen = (getattr(item, "callspec", None) for item in request.session.items)
    paths = sorted({call.params["path"] for call in chosen if call and call.params.get("path") in FILES})
    some = ["--match-path", "{" + ",".join(paths) + "}"] if 0 < len(paths) < len(FILES) else []
    command = ["scripts/forge", "test", "--json", *some]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    found: Results = {}
    for suite, told in json.loads(done.stdout).items():
        path, _, contract = suite.partition(":")
        for name, result in told["test_results"].items():
            reason = "" if result["status"] == "Success" else f": {result['reason']}"
            found.setdefault(path, {})[f"{contract}.{name}"] = result["status"] + reason
    return found


@pytest.mark.parametrize("path", FILES)
def test_forge(path: str, results: Results) -> None:
    assert results.get(path), "forge ran none of its tests"
    assert set(results[path].values()) == {"Success"}, results[path]


@pytest.mark.usefixtures("results")
def test_the_tables_of_the_readme_are_what_the_contract_does() -> None:
    run(sys.executable, "scripts/contract_tables.py", "--check")


def test_every_line_and_branch_of_the_contract_is_covered() -> None:
    run(sys.executable, "scripts/contract_coverage.py")


def test_there_are_contract_tests() -> None:
    assert FILES
