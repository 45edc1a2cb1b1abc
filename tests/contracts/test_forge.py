"""Every Solidity test file, by name, with the native forge (the npm wrapper would hide a failure).

And what is measured of the contract, against what is committed.
"""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def built() -> None:
    """All at once: file by file, the compiler would read what they share each time."""
    run("scripts/forge", "build")


@pytest.mark.parametrize("path", FILES)
@pytest.mark.usefixtures("built")
def test_forge(path: str) -> None:
    # A path that matches nothing would pass as well.
    assert "tests passed" in run("scripts/forge", "test", "--match-path", path)


@pytest.mark.usefixtures("built")
def test_the_tables_of_the_readme_are_what_the_contract_does() -> None:
    run(sys.executable, "scripts/contract_tables.py", "--check")


def test_every_line_and_branch_of_the_contract_is_covered() -> None:
    run(sys.executable, "scripts/contract_coverage.py")


def test_there_are_contract_tests() -> None:
    assert FILES
