#!/usr/bin/env python3
"""Measure the line and branch coverage of contracts/src by its unit tests, and fail below 100%.

    python scripts/contract_coverage.py

Prints each line that never runs and each branch that is never taken, and exits 1 when there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = "contracts/src/"
TESTS = "contracts/test/unit/*"
REACHED = re.compile(r"^(DA|BRDA):(.+),(\d+|-)$")


def read(lcov: str) -> tuple[int, list[str]]:
    """How many lines and branches of the sources an lcov report has, and those that were not reached."""
    total, missed, path = 0, [], ""
    for record in lcov.splitlines():
        if record.startswith("SF:"):
            path = record.removeprefix("SF:")
        match = REACHED.match(record)
        if not match or not path.startswith(SOURCES):
            continue
        kind, place, times = match.groups()
        total += 1
        if times in ("0", "-"):
            line = place.partition(",")[0]
            missed.append(f"{path}:{line}: {'never runs' if kind == 'DA' else 'a branch is never taken'}")
    return total, missed


def main() -> int:
    """Measure, and print what is missed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "lcov.info"
        command = [
            "scripts/forge",
            "coverage",
            "--match-path",
            TESTS,
            "--report",
            "lcov",
            "--report-file",
            str(report),
        ]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode or not report.exists():
            sys.exit(run.stdout + run.stderr)
        total, missed = read(report.read_text(encoding="utf-8"))
    for line in missed:
        print(line)
    print(f"coverage of {SOURCES}: {total - len(missed)} of {total} lines and branches")
    return 1 if missed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
