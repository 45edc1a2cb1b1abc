#!/usr/bin/env python3
"""Write the measured tables of contracts/README.md, or check them against the contracts.

    scripts/contract_tables.py            measure; write contracts/snapshots and the tables
    scripts/contract_tables.py --check    measure aside; exit 1 if the committed tables say something else

Tables are measured by contracts/test/tables, in forge's own snapshot files: what every call comes to in
every status, and gas. Gas may be off by `TOLERANCE`, outcomes by nothing, the README's text by nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from eth_utils.abi import function_signature_to_4byte_selector

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "contracts/README.md"
SNAPSHOTS = ROOT / "contracts/snapshots"
ARTIFACT = ROOT / "sonar/chain/contract/artifacts/TrainingMarket.json"
TESTS = "contracts/test/tables/*"
TOLERANCE = 0.01
"""Part of a gas figure; a cold read of storage more is beyond it in every call but those of whole cohorts."""

CALLS = ("postBounty", "commit", "reveal", "fixCohort", "settle", "expire", "close", "withdraw")
STATUSES = ("None", "Commit", "Reveal", "Settle", "Failed", "Overdue", "Closed")
"""In the order of the contract's enum `Status`."""

Snapshots = dict[str, dict[str, int]]
"""By group and name: gas; or the new status plus one, or the selector of the error."""


def read(folder: Path) -> Snapshots:
    """All snapshot files of a folder."""
    return {
        path.stem: {name: int(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
        for path in sorted(folder.glob("*.json"))
    }


def measure(folder: Path) -> None:
    """Run the tests that measure, and have forge write what they found into `folder`."""
    environment = os.environ | {"FORGE_SNAPSHOT_EMIT": "true", "FOUNDRY_SNAPSHOTS": str(folder)}
    command = ["scripts/forge", "test", "--match-path", TESTS]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)


def differences(committed: Snapshots, measured: Snapshots) -> list[str]:
    """What was measured and is not what is committed, one line each."""
    found = []
    for group in sorted(committed.keys() | measured.keys()):
        old, new = committed.get(group, {}), measured.get(group, {})
        allowed = TOLERANCE if group.startswith("gas") else 0.0
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            if was is None or now is None or abs(now - was) > allowed * was:
                found.append(f"{group}: {name}: committed {was}, measured {now}")
    return found


def gas_table(ether: dict[str, int], token: dict[str, int]) -> str:
    """One line per call; a call that costs the same in both assets says so once."""
    lines = ["| call | in ether | in a token |", "|---|---:|---:|"]
    for name, gas in sorted(ether.items(), key=lambda item: (_position(item[0]), item[1])):
        other = "the same" if token[name] == gas else f"{token[name]:,}"
        shown = re.sub(r"^[a-zA-Z]+", lambda call: f"`{call[0]}`", name)
        lines.append(f"| {shown} | {gas:,} | {other} |")
    return "\n".join(lines)


def plain_gas_table(gas: dict[str, int]) -> str:
    """One line per call of a contract that moves no money."""
    lines = ["| call | gas |", "|---|---:|"]
    for name, units in sorted(gas.items(), key=lambda item: item[1]):
        shown = re.sub(r"^[a-zA-Z]+", lambda call: f"`{call[0]}`", name)
        lines.append(f"| {shown} | {units:,} |")
    return "\n".join(lines)


def calls_table(outcomes: dict[str, int], errors: dict[int, str]) -> str:
    """One line per status, one column per call."""
    states = sorted({name.split(" / ")[0] for name in outcomes}, key=_status)
    lines = [
        "| status | " + " | ".join(f"`{call}`" for call in CALLS) + " |",
        "|---" * (len(CALLS) + 1) + "|",
    ]
    for state in states:
        cells = [_cell(state, call, outcomes[f"{state} / {call}"], errors) for call in CALLS]
        lines.append(f"| {state} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(state: str, call: str, outcome: int, errors: dict[int, str]) -> str:
    if outcome > len(STATUSES):
        return f"`{errors[outcome]}`"
    after = STATUSES[outcome - 1]
    if call == "withdraw":
        return "**sent**"
    return "**taken**" if after == state.partition(",")[0] else f"**{after}**"


def _position(name: str) -> int:
    return CALLS.index(re.split(r"\W", name)[0])


def _status(state: str) -> tuple[int, bool]:
    status, _, detail = state.partition(",")
    return STATUSES.index(status), not detail


def error_names() -> dict[int, str]:
    """Every error of the contract by its selector."""
    abi = json.loads(ARTIFACT.read_text(encoding="utf-8"))["abi"]
    names = {}
    for entry in abi:
        if entry["type"] == "error":
            types = ",".join(each["type"] for each in entry["inputs"])
            selector = function_signature_to_4byte_selector(f"{entry['name']}({types})")
            names[int.from_bytes(selector, "big")] = entry["name"]
    return names


def with_tables(text: str, snapshots: Snapshots) -> str:
    """The README with its tables made anew. Raises ValueError if a place for one is missing."""
    tables = {
        "calls": calls_table(snapshots["calls"], error_names()),
        "gas": gas_table(snapshots["gas-ether"], snapshots["gas-token"]),
        "succession": plain_gas_table(snapshots["gas-succession"]),
    }
    for name, table in tables.items():
        place = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
        text, times = re.subn(place, rf"\g<1>{table}\n\g<2>", text, flags=re.DOTALL)
        if times != 1:
            raise ValueError(f"{README.name} has {times} places for the table of {name}")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the tables are outdated"
    )
    text = README.read_text(encoding="utf-8")
    if not parser.parse_args(arguments).check:
        measure(SNAPSHOTS)
        README.write_text(with_tables(text, read(SNAPSHOTS)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))
        found = differences(read(SNAPSHOTS), read(Path(folder)))
    if with_tables(text, read(SNAPSHOTS)) != text:
        found.append("contracts/README.md: a table is not that of contracts/snapshots")
    for line in found:
        print(line)
    if found:
        print("run scripts/contract_tables.py, look at what changed, and commit it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
