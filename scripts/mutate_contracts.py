#!/usr/bin/env python3
"""Break the contract in one place at a time, and expect a test to notice.

    scripts/mutate_contracts.py             # all mutants; most of an hour on two cores
    scripts/mutate_contracts.py --list      # print them
    scripts/mutate_contracts.py --only 12,40
    scripts/mutate_contracts.py --since main    # those on lines that have changed since then

Operators, comparisons and constants are changed; statements, reverts and modifiers are removed. Comments and
strings are left alone. A mutant that does not compile does not count. Survivors that no test can kill stand
in contracts/test/mutation.json with the reason; the script fails below 95% killed, or at one without it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    "Payout.sol",
    "Flags.sol",
    "SettlementHash.sol",
    "Funds.sol",
    "TrainingMarket.sol",
    "Committee.sol",
    "Succession.sol",
)
REASONS = ROOT / "contracts/test/mutation.json"
FLOOR = 0.95
#: A mutant that makes a loop endless is noticed as well. Seconds; more than all tests take on a busy machine,
#: or one that nothing kills would pass for noticed.
PATIENCE_S = 1200
#: The first build compiles everything.
FIRST_PATIENCE_S = 1800

OPERATORS = [
    (r"(?<![+])\+(?![+=])", "-"),
    (r"(?<!-)-(?![-=>])", "+"),
    (r"(?<![*/])\*(?![*/=])", "/"),
    (r"(?<![*/])/(?![*/=])", "*"),
    (r"\+=", "-="),
    (r"\+\+", "--"),
    (r"(?<![<=>])<(?![<=>])", "<="),
    (r"(?<![<=>])>(?![<=>])", ">="),
    (r"<=", "<"),
    (r">=", ">"),
    (r"==", "!="),
    (r"!=", "=="),
    (r"&&", "||"),
    (r"\|\|", "&&"),
    (r"(?<!&)&(?![&=])", "|"),
    (r"&= ~", "|= "),
    (r"\|=", "&="),
    (r"!(?=[a-zA-Z(])", ""),
    (r"\btype\(uint96\)\.max\b", "type(uint64).max"),
    (r" nonReentrant\b", ""),
]
NUMBER = re.compile(r"(?<![\w.])\d[\d_]*(?![\w.])")
STATEMENT = re.compile(r"(?<=[;{}])\s*([^;{}]+;)")
#: What is no statement that could be left out: declarations, and answers.
KEPT = re.compile(
    r"^(using|mapping|return|for|"
    r"(u?int\d*|address|bytes\d*|bool|string|[A-Z]\w*)(\[\])? \w|\((u?int|bool|address))"
)


@dataclass(frozen=True)
class Mutant:
    """One change: `old`, which stands at `start` of the source `file`, becomes `new`."""

    number: int
    file: str
    start: int
    old: str
    new: str
    line: int
    #: The line that changes as it was, and a word on the change: the name under which a reason is kept.
    text: str
    change: str

    def __str__(self) -> str:
        return f"{self.number:4} {self.file}:{self.line}: {self.text}   [{self.change}]"

    @property
    def key(self) -> tuple[str, str, str]:
        """What a reason is kept under."""
        return self.file, self.text, self.change


def blank(source: str) -> str:
    """The source with comments and strings overwritten by spaces, at the same length."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), source, flags=re.S)


def changes(code: str) -> Iterator[tuple[int, str, str, str]]:
    """(start, old, new, what is done) of every mutation of blanked code."""
    _, keyword, _ = re.split(r"^(contract |library )", code, maxsplit=1, flags=re.M)
    body = code.index(f"\n{keyword}")
    for pattern, new in OPERATORS:
        for match in re.finditer(pattern, code[body:]):
            yield body + match.start(), match[0], new, f"{match[0].strip()} -> {new or 'removed'}"
    for match in NUMBER.finditer(code, body):
        value = int(match[0].replace("_", ""))
        yield match.start(), match[0], str(value + 1), f"{match[0]} -> {value + 1}"
    for match in STATEMENT.finditer(code, body):
        head = head_of(match[1])
        if not KEPT.match(match[1]) and not in_loop_head(code, match.start(1)):
            yield match.start(1) + len(head), match[1][len(head) :], "{}" if head else "", "removed"


def head_of(statement: str) -> str:
    """The `else` and the `if (...)` in front of what is done."""
    end = len("else ") if statement.startswith("else ") else 0
    if statement.startswith("if (", end):
        depth, end = 1, end + len("if (")
        while depth:
            depth += {"(": 1, ")": -1}.get(statement[end], 0)
            end += 1
        end += 1  # the space behind it
    return statement[:end]


def in_loop_head(code: str, start: int) -> bool:
    """Whether a `for (...;` opens on the line of this place, in front of it."""
    return "for (" in code[code.rfind("\n", 0, start) + 1 : start]


def mutants() -> list[Mutant]:
    """Every mutant, in the order of the sources."""
    found = []
    for file in SOURCES:
        source = (ROOT / "contracts/src" / file).read_text()
        spots = sorted({(start, old, new, what) for start, old, new, what in changes(blank(source))})
        for start, old, new, what in spots:
            first = source.rfind("\n", 0, start) + 1
            line = source.count("\n", 0, start) + 1
            text = " ".join(source[first : max(start + len(old), source.index("\n", start))].split())
            # Several on one line are told apart by where they are in it.
            column = len(" ".join(source[first:start].split()))
            found.append((file, start, old, new, line, text, f"{what} at {column}"))
    return [Mutant(number, *mutant) for number, mutant in enumerate(found)]


class Workshop:
    """A copy of the contract and its tests in a folder of its own, to be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("contracts", "bin", "scripts"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("out", "cache", "halmos")
            )
        shutil.copytree(ROOT / "tests/vectors", folder / "tests/vectors")
        shutil.copy(ROOT / "foundry.toml", folder)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        # Without the optimiser no gas figure holds; and gas must not be what kills a mutant.
        for gas in (folder / "contracts/test").rglob("*Gas*.t.sol"):
            gas.unlink()
        # Loading the compiler only to ask for its version takes as long as compiling a mutant.
        version = subprocess.run(
            [ROOT / "bin/solc", "--version"], capture_output=True, text=True, check=True
        ).stdout
        shortcut = f'#!/bin/sh\n[ "$1" != --version ] || exec echo "{version}"\nexec {ROOT}/bin/solc "$@"\n'
        (folder / "bin/solc").write_text(shortcut)

    def test(self, patience_s: int = PATIENCE_S) -> str:
        """'survived', 'killed' or 'stillborn'."""
        environment = os.environ | {"FOUNDRY_PROFILE": "mutate"}
        command = ["scripts/forge", "test", "--fail-fast"]
        try:
            run = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=patience_s
            )
        except subprocess.TimeoutExpired:
            return "killed"
        said = run.stdout + run.stderr
        if run.returncode == 0:
            return "survived"
        if "Compiler run failed" in said:
            return "stillborn"
        if "[FAIL" in said:
            return "killed"
        raise SystemExit(f"forge did not run:\n{said}")

    def verdict(self, mutant: Mutant) -> str:
        """The fate of one mutant; the source is restored afterwards."""
        path = self.folder / "contracts/src" / mutant.file
        source = path.read_text()
        end = mutant.start + len(mutant.old)
        # Strings and comments inside what is replaced go with it.
        path.write_text(source[: mutant.start] + mutant.new + source[end:])
        try:
            return self.test()
        finally:
            path.write_text(source)


def changed_since(revision: str) -> set[tuple[str, int]]:
    """The lines of the sources, by file and number, that were added or changed since a revision of git."""
    command = ["git", "diff", "--unified=0", "--no-prefix", revision, "--", "contracts/src"]
    return added_lines(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def added_lines(diff: str) -> set[tuple[str, int]]:
    """The lines, by file and number, that a diff without context adds."""
    lines: set[tuple[str, int]] = set()
    file = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            file = Path(line[4:]).name
        elif hunk := re.match(r"@@ .* \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            lines |= {(file, number) for number in range(first, first + count)}
    return lines


def run(chosen: list[Mutant], workers: int) -> dict[str, list[Mutant]]:
    """Every mutant's fate."""
    fates: dict[str, list[Mutant]] = {"killed": [], "survived": [], "stillborn": []}
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        free: SimpleQueue[Workshop] = SimpleQueue()
        for number in range(workers):
            shop = Workshop(Path(temporary) / str(number))
            if (fate := shop.test(FIRST_PATIENCE_S)) != "survived":
                raise SystemExit(f"the tests must pass before anything is broken; they did not: {fate}")
            free.put(shop)

        def judge(mutant: Mutant) -> tuple[str, Mutant]:
            shop = free.get()
            try:
                return shop.verdict(mutant), mutant
            finally:
                free.put(shop)

        with ThreadPoolExecutor(workers) as pool:
            for fate, mutant in pool.map(judge, chosen):
                fates[fate].append(mutant)
                print(f"{fate:9} {mutant}", flush=True)
    return fates


def report(fates: dict[str, list[Mutant]], whole: bool) -> int:
    """Prints the sum; 1 if too many survive, or one without a reason."""
    reasons = {(r["file"], r["text"], r["change"]): r["reason"] for r in json.loads(REASONS.read_text())}
    survived = fates["survived"]
    total = len(fates["killed"]) + len(survived)
    unexplained = [mutant for mutant in survived if mutant.key not in reasons]
    stale = set(reasons) - {mutant.key for mutant in survived} if whole else set()
    rate = len(fates["killed"]) / total if total else 1.0
    print(f"mutation: {len(fates['killed'])} of {total} compiling mutants killed ({rate:.1%}); ", end="")
    print(f"{len(survived)} survive, {len(unexplained)} of them without a reason in {REASONS.name}")
    for mutant in unexplained:
        print(f"  no reason: {json.dumps(dict(zip(('file', 'text', 'change'), mutant.key, strict=True)))}")
    for key in sorted(stale):
        print(f"  a reason for what does not survive: {key}")
    return int(rate < FLOOR or bool(unexplained or stale))


def main() -> int:
    """Judges the chosen mutants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    parser.add_argument("--only", help="numbers of mutants, as --list shows them, with commas between")
    parser.add_argument(
        "--since", metavar="REVISION", help="only those on lines that have changed since then"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = mutants()
    if options.only:
        numbers = {int(number) for number in options.only.split(",")}
        chosen = [mutant for mutant in chosen if mutant.number in numbers]
    if options.since:
        lines = changed_since(options.since)
        chosen = [mutant for mutant in chosen if (mutant.file, mutant.line) in lines]
    if options.list:
        print(*chosen, sep="\n")
        return 0
    return report(run(chosen, options.workers), whole=not (options.only or options.since))


if __name__ == "__main__":
    sys.exit(main())
