#!/usr/bin/env python3
"""Run Slither over contracts/src, and compare its findings with contracts/slither.md.

    python scripts/check_slither.py

Needs `.venv-contracts` (made by `make contracts-static`), Node and `npm install --no-save`. Prints each
finding without an explanation and each explanation without a finding, and exits 1 when there is one, or when
Slither could not analyse all of the code.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / "contracts/slither.md"
TOOLS = (".venv-contracts/bin", "bin", "node_modules/@foundry-rs/forge-linux-amd64/bin")
ROW = re.compile(r"^\| `([\w-]+)` \| (\w+) \| `([\w.]+)` \| (.*\S) \|$", re.MULTILINE)

Finding = tuple[str, str, str]
"""Detector, severity, and the name of its subject."""


def explained(text: str) -> list[Finding]:
    """The findings that contracts/slither.md has a line for. Raises ValueError where it cannot be read."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    rows = ROW.findall(text)
    if len(rows) != len(lines):
        raise ValueError(f"{EXPLAINED.name}: {len(lines) - len(rows)} lines of the table cannot be read")
    return [(detector, severity, where) for detector, severity, where, _ in rows]


def findings(report: dict[str, Any]) -> list[Finding]:
    """What a report of Slither's has found. Raises ValueError if the analysis failed."""
    if not report["success"]:
        raise ValueError(f"Slither failed: {report['error']}")
    return [
        (each["check"], each["impact"].lower(), _where(each["elements"][0]))
        for each in report["results"].get("detectors", [])
    ]


def _where(element: dict[str, Any]) -> str:
    parent = element["type_specific_fields"].get("parent", {}).get("name", "")
    return f"{parent}.{element['name']}" if parent else str(element["name"])


def differences(found: list[Finding], known: list[Finding]) -> list[str]:
    """What is found but not explained, and the other way round."""
    return [
        *(f"not explained: {' '.join(each)}" for each in sorted(set(found) - set(known))),
        *(f"not found any more: {' '.join(each)}" for each in sorted(set(known) - set(found))),
    ]


def run() -> dict[str, Any]:
    """Slither's report. Exits if it does not cover all code."""
    path = os.pathsep.join([*(str(ROOT / tool) for tool in TOOLS), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["slither", ".", "--foundry-out-directory", "contracts/out", "--json", str(report)]
        command += ["--filter-paths", "node_modules|contracts/test"]
        result = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        # It skips a function that it cannot translate, and says so only in this word.
        if "ERROR" in result.stderr or not report.exists():
            sys.exit(result.stdout + result.stderr)
        loaded: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return loaded


def main() -> int:
    """Print what is not explained."""
    found = findings(run())
    problems = differences(found, explained(EXPLAINED.read_text(encoding="utf-8")))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"Slither: {len(found)} findings, all explained in contracts/{EXPLAINED.name}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
