"""Command line: `python -m benchmarks [--quick] [--json] [--only NAME]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from benchmarks.measures import GROUPS, MEASURES, run
from sonar.telling.tables import print_table

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("gmpy2", "numpy", "phe", "sf-heu", "pypaillier", "fate-utils", "tenseal")


def main(arguments: list[str]) -> int:
    """Run the measures, then print a table and draw a plot, or print one JSON document and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="5 rounds instead of 15, slow peers on samples: minutes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*MEASURES, *GROUPS],
        help="this measure, or group of them; may be repeated",
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for the document and a plot of it"
    )
    options = parser.parse_args(arguments)
    rounds = 5 if options.quick else 15
    ours = _take_standard_output()
    progress = Console(stderr=True)
    found: dict[str, dict[str, Any]] = {}
    for name in chosen(options.only or [*MEASURES]):
        start = time.monotonic()
        found[name] = run(name, rounds, options.quick)
        progress.print(f"{name}: {time.monotonic() - start:.0f} s")
    document = {"machine": machine(), **found}
    if options.json:
        print(json.dumps(document, indent=1), file=ours)
    else:
        show(ours, found)
    ours.flush()
    save(document, options.results, progress)
    return 0


def chosen(names: Sequence[str]) -> list[str]:
    """Return each measure that is named once, alone or by its group."""
    return list(dict.fromkeys(one for name in names for one in GROUPS.get(name, (name,))))


def machine() -> dict[str, Any]:
    """The machine on which the figures were measured."""
    cpus = [line.split(":")[1].strip() for line in _cpu_info() if line.startswith("model name")]
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def show(file: TextIO, found: dict[str, dict[str, Any]]) -> None:
    """Print the medians and ratios as one table, and how they were measured."""
    headings = ["measure", "contender", "median", "ratio", "with pool"]  # 80 columns hold them
    rows = [
        [
            measure,
            name,
            _amount(result["medians"].get(name), "MiB" if "MiB" in name else result["unit"]),
            _times(result["ratio"].get(name)),
            _times(result.get("ratio_with_pool_entry", {}).get(name)),
        ]
        for measure, result in found.items()
        for name in dict.fromkeys([*result["medians"], *result["ratio"]])
    ]
    if rows:
        print_table(headings, rows, right=headings[2:], file=file)
    _show_figures(file, found)
    console = Console(file=file, highlight=False)
    for measure, result in found.items():
        missing = (f"{peer} is missing" for peer in result.get("missing", ()))
        told = "; ".join(text for text in (result.get("note"), *missing) if text)
        if told:
            console.print(f"{measure}: {told}", markup=False)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), markup=False)


def _show_figures(file: TextIO, found: dict[str, dict[str, Any]]) -> None:
    """Print the figures that have limits, as a table."""
    headings = ["measure", "figure", "value", "limit", "holds"]
    rows = [
        [
            measure,
            name,
            f"{figure['value']:.3f}",
            "" if figure["limit"] is None else f"{figure['limit']:g}",
            "" if figure["limit"] is None else "yes" if figure["holds"] else "NO",
        ]
        for measure, result in found.items()
        for name, figure in result.get("figures", {}).items()
    ]
    if rows:
        print_table(headings, rows, right=headings[2:4], file=file)


def save(document: dict[str, Any], folder: Path, progress: Console) -> None:
    """Keep the document and a plot of it in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmarks.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    try:
        from benchmarks.plot import draw
    except ImportError:
        progress.print(f"kept in {path}; matplotlib is missing, so there is no plot")
        return
    progress.print(f"kept in {path} and {draw(document, folder)}")


def _take_standard_output() -> TextIO:
    """Keep standard output for our own text: what libraries print goes to standard error."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return ours


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit != "s":
        return f"{value:.2f} {unit}"
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:,.1f} s"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} x" if value < 10 else f"{value:,.1f} x"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
