"""How far a reader must walk through the code: the files that two real runs enter, and the moves between
them.

    python scripts/walks.py [--show] [--json] [--vs FILE] [--check] [--client NAME]

The walks, each in one process, with a real chain and whoever else is needed in processes of their own:

    post    `pysonar run bounty.toml`, until the bounty is on the chain
    mine    `mine data add`, `mine join`, `mine run`: from a CSV on disk until its update is revealed

A file counts if one of its functions is called, a move if a line calls a function of another file, each
once; `scripts/walked.py` says it exactly. With the same code, two runs give the same figures. They are
compared with those of FILE, by default `scripts/walks_before.json`: of before the first move to a room for
each job. At most half of its moves and two thirds of its files are the aim; with --check the exit code tells
whether that holds. --show lists every move in order, and every file with its moves in and out. --json prints
the figures for programs, as FILE holds them; with --show, the moves too.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
BEFORE = ROOT / "scripts" / "walks_before.json"
WALKED = ROOT / "scripts" / "walked.py"
LIMITS = {"files": 2 / 3, "moves": 1 / 2}
PATIENCE_S = 120.0

BOUNTY = """\
name = "walk"
rounds = 2
cohort = 2
min_mines = 2
key_bits = 2048
commit_window_s = 600
reveal_window_s = 600
settle_window_s = 600

[holdout]
csv = "holdout.csv"
target = "y"
"""

Step = dict[str, Any]
"""`file` and `function` that were entered, from `line` of `caller`: a file, or nothing. See `walked.py`."""


@dataclass(frozen=True)
class Walk:
    """What one walk took."""

    steps: Sequence[Step]

    @property
    def moves(self) -> list[Step]:
        """The steps from file to file, in the order in which they were first taken."""
        return [step for step in self.steps if step["caller"]]

    @property
    def files(self) -> set[str]:
        """Every file of which a function was called."""
        return {step["file"] for step in self.steps}

    def figures(self) -> dict[str, int]:
        """How many."""
        return {"files": len(self.files), "moves": len(self.moves)}

    def by_file(self) -> list[tuple[str, int, int]]:
        """Each file with its moves in and out; those with most moves first."""
        into, out = Counter(m["file"] for m in self.moves), Counter(m["caller"] for m in self.moves)
        return sorted(((f, into[f], out[f]) for f in self.files), key=lambda row: (-row[1] - row[2], row[0]))


class Failed(Exception):
    """A process that the walks need did not do its part."""


class Stage:
    """A chain, a scientist and two mines with their data, all in one folder."""

    def __init__(self, folder: Path, client: str, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        # One core, so that the work of several takes the same ways on every machine.
        own = {"PYTHONPATH": str(ROOT), "SONAR_CORES": "1"}
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("SONAR_")} | own
        chain = self._start("sonar", "chain", "--home", "chain", "--client", client, "--json")
        assert chain.stdout is not None
        ready = json.loads(chain.stdout.readline() or "{}")
        if "rpc_url" not in ready:
            raise Failed(
                f"the chain did not start; see {self._log('sonar')}:\n{self._log('sonar').read_text()}"
            )
        self._url, self._contract, network = ready["rpc_url"], ready["contract"], ready["network"]
        for party, program in (("scientist", "pysonar"), ("walker", "mine"), ("other", "mine")):
            self._make_home(party, program, network)
        self.run("sonar", "fund", "scientist", "walker", "other", "--network", network)

    def walk(self, name: str, transactions: int, *commands: Sequence[str]) -> Walk:
        """Call the commands in one process until so many of its transactions are mined. Raises Failed."""
        result = self._folder / f"{name}.json"
        arguments = [part for command in commands for part in ("--", *command)][1:]
        self._run([str(WALKED), str(result), str(transactions), *arguments])
        return Walk(json.loads(result.read_text()))

    def run(self, program: str, *arguments: str) -> None:
        """Run a program to its end. Raises Failed."""
        self._run(["-m", program, *arguments])

    def start_mine(self, party: str) -> None:
        """Start a mine, and wait until it has committed. Raises Failed."""
        before = len(self.logs())
        mine = self._start("mine", "run", *self.options(party))
        until_s = time.monotonic() + PATIENCE_S
        while len(self.logs()) == before:
            if mine.poll() is not None or time.monotonic() > until_s:
                raise Failed(f"the other mine did not commit:\n{self._log('mine').read_text()}")
            time.sleep(0.2)

    def options(self, party: str) -> tuple[str, ...]:
        """What every command of a party that signs gets."""
        return "--home", party, "--password-file", f"{party}/password"

    def logs(self) -> list[Mapping[str, Any]]:
        """All that the contract has told."""
        query = {"fromBlock": "0x0", "toBlock": "latest", "address": self._contract}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}
        answer = httpx.post(self._url, json=body, timeout=PATIENCE_S, trust_env=False)
        found: list[Mapping[str, Any]] = answer.json()["result"]
        return found

    def _make_home(self, party: str, program: str, network: str) -> None:
        home = self._folder / party
        home.mkdir(mode=0o700)
        (home / "password").touch(mode=0o600)
        (home / "password").write_text("walks\n")
        self.run(program, "init", *self.options(party), "--network", network, "--dev")

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        with self._log(program).open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", program, *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program == "sonar" else log,
                stderr=log,
                text=True,
            )
        self._stack.callback(_end, process)
        return process

    def _run(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, *arguments]
        try:
            run = subprocess.run(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            told = (fault.stderr or b"").decode(errors="replace")
            raise Failed(f"{' '.join(arguments)} took more than {PATIENCE_S:g} s:\n{told}") from fault
        if run.returncode:
            raise Failed(f"{' '.join(arguments)} ended with {run.returncode}:\n{run.stdout}{run.stderr}")

    def _log(self, program: str) -> Path:
        return self._folder / f"{program}.log"


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def stage(client: str) -> Iterator[Stage]:
    """Put everything up in a new folder, and take it down again. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="walks-") as name, ExitStack() as stack:
        folder = Path(name)
        draw = random.Random(1)  # noqa: S311 - made-up data, the same each time
        for party, rows in (("holdout", 42), ("walker", 60), ("other", 60)):
            write_rows(folder / f"{party}.csv", rows, draw)
        (folder / "bounty.toml").write_text(BOUNTY)
        yield Stage(folder, client, stack)


def write_rows(path: Path, rows: int, draw: random.Random) -> None:
    """Write made-up rows of three columns, with a target that follows from them but for noise."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("a", "b", "c", "y"))
        for _ in range(rows):
            a, b, c = (round(draw.gauss(mean, 2.0), 3) for mean in (0, 5, -3))
            table.writerow((a, b, c, round(3 * a - b + 0.5 * c + 20 + draw.gauss(0, 1), 3)))


def take(client: str) -> dict[str, Walk]:
    """Take both walks. Raises Failed."""
    with stage(client) as here:
        post = ("pysonar", "run", "bounty.toml", "--yes", *here.options("scientist"))
        walks = {"post": here.walk("post", 1, post)}
        bounty = here.logs()[0]["topics"][1]
        prepare = [
            [
                ("mine", "data", "add", "--csv", f"{party}.csv", "--home", party),
                ("mine", "join", bounty, "--home", party),
            ]
            for party in ("other", "walker")
        ]
        for command in prepare[0]:
            here.run(*command)
        here.start_mine("other")
        work = ("mine", "run", *here.options("walker"))
        walks["mine"] = here.walk("mine", 2, *prepare[1], work)
    return walks


def compare(before: Mapping[str, Any], after: Mapping[str, Mapping[str, int]]) -> list[tuple[str, ...]]:
    """Rows of a table: walk, what, before, after, ratio, and whether that is within the limit."""
    rows: list[tuple[str, ...]] = []
    for name, figures in after.items():
        for what, limit in LIMITS.items():
            was, now = before[name][what], figures[what]
            verdict = "holds" if now <= limit * was else f"more than {int(limit * was)}"
            rows.append((name, what, str(was), str(now), f"{now / was:.2f}", verdict))
    return rows


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show(name: str, walk: Walk) -> None:
    """Print every move in order, then every file with its moves."""
    print(f"\n{name}: moves, in the order in which they were first made\n")
    moves = [(f"{m['caller']}:{m['line']}", f"{m['file']}  {m['function']}") for m in walk.moves]
    _print(("from", "to"), moves)
    print(f"\n{name}: files, and the moves into and out of them\n")
    _print(("file", "in", "out"), [(f, str(i), str(o)) for f, i, o in walk.by_file()])


def main(arguments: Sequence[str]) -> int:
    """Take the walks and print what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--show", action="store_true", help="list every move, and every file with its moves")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--vs", type=Path, default=BEFORE, metavar="FILE", help="figures to compare with")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit does not hold")
    parser.add_argument("--client", default="auto", help="the chain: anvil, eth-tester, or auto")
    asked = parser.parse_args(arguments)
    before = json.loads(asked.vs.read_text())["walks"]
    try:
        walks = take(asked.client)
    except Failed as fault:
        print(f"the walks could not be taken: {fault}", file=sys.stderr)
        return 2
    figures = {name: walk.figures() for name, walk in walks.items()}
    compared = compare(before, figures)
    if asked.json:
        moves = {"moves": {name: walk.moves for name, walk in walks.items()}} if asked.show else {}
        print(json.dumps({"walks": figures, **moves}, indent=1))
    else:
        for name, walk in walks.items() if asked.show else ():
            show(name, walk)
        _print(("walk", "what", "before", "now", "ratio", "limit"), compared)
    return int(asked.check and any(row[-1] != "holds" for row in compared))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
