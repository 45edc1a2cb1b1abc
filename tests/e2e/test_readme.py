"""Every command of the README runs, in order, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.S | re.M)


def test_the_quickstart_is_the_makefiles_targets() -> None:
    """`make demo` and `make test` are run by CI itself; what they call is tested in this folder."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    assert [line.split()[1] for line in blocks("sh")[0].split("\n") if line] == ["demo", "test"]
    assert {"demo", "test", "check", "bench", "clean"} <= set(targets)


def test_the_example_by_hand_runs_as_written(tmp_path: Path) -> None:
    (script,) = (block for block in blocks("sh") if "sonar chain" in block)
    programs = Path(sys.executable).parent
    script = script.replace('"$PWD/.venv/bin:$PATH"', f'"{programs}:$PATH"')
    (snippet,) = (block for block in blocks("python") if "connect(" in block)
    (tmp_path / "snippet.py").write_text(snippet)
    # The background jobs end with the shell; `wait` would wait for the chain for ever.
    full = f"set -eu\ntrap 'kill $(jobs -p)' EXIT\n{script}\npython snippet.py\n"
    run = subprocess.run(["bash", "-c", full], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\[0\.4517\d*, .*\]", run.stdout), run.stdout
    assert "Traceback" not in run.stderr


def test_the_example_of_statistics_runs_as_written(tmp_path: Path) -> None:
    (snippet,) = (block for block in blocks("python") if "ols(" in block)
    run = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "Description of 442 rows" in run.stdout
    assert re.search(r"^bmi +5\.6030 ", run.stdout, re.M), run.stdout
    assert float(run.stdout.split()[-1]) > 0.5


def test_every_page_that_is_linked_is_there() -> None:
    for link in re.findall(r"\]\(([a-zA-Z/_.-]+)(?:#[a-z-]+)?\)", README):
        assert (ROOT / link).exists(), link
