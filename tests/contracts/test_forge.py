"""Every Solidity test file, by name, with the native forge (the npm wrapper would hide a failure)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "contracts/test").rglob("*.t.sol"))
MISSING = (
    "Node.js" if not shutil.which("node") else "node_modules" if not (ROOT / "node_modules").is_dir() else ""
)


@pytest.mark.skipif(
    bool(MISSING), reason=f"contract tests need {MISSING}: install it and run `make test` again"
)
@pytest.mark.parametrize("path", FILES)
@pytest.mark.timeout(600)
def test_forge(path: str) -> None:
    run = subprocess.run(
        ["scripts/forge", "test", "--match-path", path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # A path that matches nothing would pass as well.
    assert "tests passed" in run.stdout, run.stdout + run.stderr


def test_there_are_contract_tests() -> None:
    assert FILES
