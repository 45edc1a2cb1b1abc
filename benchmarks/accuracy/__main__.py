"""`python -m benchmarks.accuracy`, or `make accuracy`: figures of ours beside the pooled libraries'.

Exits with 1 if a figure does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, TextIO

from rich.console import Console

from benchmarks.accuracy.registry import FIGURES
from sonar.telling.tables import print_table


def main(arguments: Sequence[str]) -> int:
    """Run the figures, then print a table, or one JSON document and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer splits and rows, where it takes long")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--only", action="append", choices=[*FIGURES], help="this figure; may be repeated")
    options = parser.parse_args(arguments)
    output = sys.stdout
    with redirect_stdout(sys.stderr):  # what libraries print
        found = {name: _found(name, options.quick) for name in options.only or FIGURES}
    if options.json:
        print(json.dumps(found, indent=1, allow_nan=False), file=output)
    else:
        _show(output, found)
    return 0 if all(figure["holds"] for figure in found.values()) else 1


def _found(name: str, quick: bool) -> dict[str, Any]:
    start = time.monotonic()
    try:
        found = FIGURES[name](quick).to_dict()
    except ModuleNotFoundError as error:
        raise SystemExit(f"{name}: {error.name} is not installed here; run: make accuracy") from error
    found["seconds"] = round(time.monotonic() - start, 1)
    holds = "holds" if found["holds"] else "DOES NOT HOLD"
    Console(stderr=True, highlight=False).print(f"{name}: {holds}, {found['seconds']} s", markup=False)
    return found


def _show(file: TextIO, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the number of each figure that is least near, and whatever does not hold."""
    headings = ["figure", "number", "ours", "pooled", "off", "limit", "holds"]
    rows = [
        [
            name,
            one["what"],
            *(_told(one[field]) for field in ("ours", "pooled", "off", "limit")),
            "yes" if one["holds"] else "NO",
        ]
        for name, figure in found.items()
        for one in figure["compared"]
        if not one["holds"] or (one["what"], one["ours"]) == (figure["worst"], figure["ours"])
    ]
    print_table(headings, rows, right=headings[2:6], file=file)
    for name, figure in found.items():
        told = f"{name}: {figure['what']}; {len(figure['compared'])} compared with {figure['peer']}"
        Console(file=file, highlight=False).print(told, markup=False, soft_wrap=True)


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
