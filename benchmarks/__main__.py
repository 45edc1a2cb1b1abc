"""Command line: `python -m benchmarks [--quick] [--json]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import FEATURES, ROWS
from benchmarks.race import Race, race_update

SIZES = (2048, 3072)


def main(arguments: list[str]) -> int:
    """Run the races and print a table, or one JSON document and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15; about half a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    rounds = 5 if options.quick else 15
    progress = Console(stderr=True)
    races = []
    for bits in SIZES:
        progress.print(f"one mine's update at {bits} bits, {rounds} interleaved rounds ...")
        races.append(race_update(bits, rounds))
    if options.json:
        print(
            json.dumps({"machine": machine(), **{race.measure: race.to_json() for race in races}}, indent=1)
        )
    else:
        show(Console(), races)
    return 0


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpus = [line.split(":")[1].strip() for line in _cpu_info() if line.startswith("model name")]
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("gmpy2", "phe", "numpy")},
    }


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def show(console: Console, races: list[Race]) -> None:
    """Print the medians and ratios as one table."""
    table = Table(title=f"One mine's update: {FEATURES} weights, {ROWS} rows, publish included; medians")
    for column in ("measure", "contender"):
        table.add_column(column, no_wrap=True)
    for column in ("ms", "ratio", "with pool entry"):
        table.add_column(column, justify="right", no_wrap=True)
    for race in races:
        result = race.to_json()
        table.add_row(race.measure, "sonar", f"{result['sonar_ms']:.2f}", "", "")
        table.add_row("", "  its pool entry", f"{result['pool_entry_ms']:.2f}", "", "")
        for name, milliseconds in result["peers_ms"].items():
            ratio, with_pool = result["ratio"][name], result["ratio_with_pool_entry"][name]
            table.add_row("", name, f"{milliseconds:.1f}", f"{ratio:.1f} x", f"{with_pool:.1f} x")
        table.add_section()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
