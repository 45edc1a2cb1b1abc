#!/usr/bin/env python3
"""All deep checks of the contract, one after another, and a summary at the end.

    scripts/check_contracts_deep.py                      # all of it
    scripts/check_contracts_deep.py fuzz invariants      # some of it

`make contracts-deep` sets up what it needs. Each step's output goes to contracts/cache/deep/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "contracts/cache/deep"
FORGE = next(iter(sorted(ROOT.glob("node_modules/@foundry-rs/forge-*/bin"))), ROOT)

#: Name, profile of foundry.toml, command, and how the lines begin that say what was done.
STEPS: dict[str, tuple[str, list[str], tuple[str, ...]]] = {
    "fuzz": (
        "deep",
        ["scripts/forge", "test", "--match-path", "contracts/test/fuzz/*"],
        ("[PASS]", "[FAIL", "Ran "),
    ),
    "invariants": (
        "deep",
        ["scripts/forge", "test", "--match-path", "contracts/test/invariant/*", "-vv"],
        ("[PASS]", "[FAIL", "Ran ", "  "),
    ),
    "halmos": (
        "halmos",
        [".venv-contracts/bin/halmos", "--forge-build-out", "contracts/cache/halmos/out", "--no-status"],
        ("Symbolic test result",),
    ),
    "slither": ("default", ["make", "--no-print-directory", "contracts-static"], ("slither",)),
    "mutation": ("default", [sys.executable, "-u", "scripts/mutate_contracts.py"], ("mutation", "  ")),
}


def step(name: str) -> tuple[bool, str]:
    """Runs one step; whether it passed, and the lines that say what it did."""
    profile, command, telling = STEPS[name]
    environment = os.environ | {
        "FOUNDRY_PROFILE": profile,
        "PATH": os.pathsep.join([str(FORGE), str(ROOT / "bin"), os.environ["PATH"]]),
    }
    log = LOGS / f"{name}.log"
    with log.open("w") as output:
        code = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    lines = [
        line
        for line in log.read_text().splitlines()
        if line.startswith(telling) and "Bound result" not in line
    ]
    return code == 0, "\n".join(f"    {line}" for line in lines)


def main() -> int:
    """Runs the chosen steps; 0 if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []], help="all of them if none is named")
    names = parser.parse_args().steps or list(STEPS)
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = True
    for name in names:
        started = time.monotonic()
        print(f"{name} ... (contracts/cache/deep/{name}.log)", flush=True)
        ok, lines = step(name)
        print(
            f"{lines}\n{name}: {'passed' if ok else 'FAILED'} in {time.monotonic() - started:.0f} s",
            flush=True,
        )
        passed &= ok
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
