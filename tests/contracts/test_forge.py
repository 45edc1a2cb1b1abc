"""Every Solidity test file, by name, with the native forge (the npm wrapper would hide a failure)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "contracts/test").rglob("*.t.sol")
    if re.search(r"function (test|invariant|check)", path.read_text())  # the rest is what they share
)
MISSING = (
    "Node.js" if not shutil.which("node") else "node_modules" if not (ROOT / "node_modules").is_dir() else ""
)


@pytest.mark.skipif(
    bool(MISSING), reason=f"contract tests need {MISSING}: install it and run `make test` again"
)
@pytest.mark.parametrize("path", FILES)
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("forge")  # they share a build cache
def test_forge(path: str) -> None:
    run = subprocess.run(
        ["scripts/forge", "test", "--match-path", path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # A path that matches nothing would pass as well.
    assert "tests passed" in run.stdout, run.stdout + run.stderr


def test_there_are_contract_tests() -> None:
    assert FILES
