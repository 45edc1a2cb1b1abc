#!/usr/bin/env python3
"""Compare the contract's specification, trees and tests.

    python scripts/check_trees.py [ROOT]

Tests follow the Branching Tree Technique (https://github.com/alexfertel/bulloak): beside `Commit.t.sol` lies
`commit.tree`, whose branches are conditions ("when ..." what the caller does, "given ..." what was there
before) and whose leaves say what happens ("it should ..."). A condition with leaves is one test, named after
it: `test_WhenTheProofIsRight`, or `test_RevertWhen_...` if the leaf is a revert. One line is printed for each

- condition without its test, test without its condition, or condition of the same name twice;
- call of the interface without a tree, tree without a test file, and test file without a tree;
- error or event that the interface names for a call and the call's tree does not;
- error that the tree names and the interface does not, or that no call names at all,

and exits 1 when there is one. It reads files and runs nothing.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

UNIT = Path("contracts/test/unit")
INTERFACE = Path("contracts/src/ITrainingMarket.sol")
ERRORS = Path("contracts/src/Errors.sol")

LINE = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<text>.+)$")
TEST = re.compile(r"function (test\w*)\(")
ERROR = re.compile(r"error (\w+)\(")
CALL = re.compile(r"((?: *///.*\n)+) *function (\w+)\(([^;]*);")
SECTION = re.compile(r"^(?:Emits|Reverts):(.*?)(?=^(?:[A-Z]\w+:|@)|\Z)", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`([A-Z]\w+)[`(]")


@dataclass
class Condition:
    """One branch: its text, what it says happens, and how many conditions lie directly below it."""

    text: str
    leaves: list[str] = field(default_factory=list)
    branches: int = 0

    @property
    def test(self) -> str:
        """The name of its test."""
        words = re.findall(r"\w+", self.text)
        first, rest = words[0].capitalize(), "".join(word[0].upper() + word[1:] for word in words[1:])
        reverts = any(leaf.startswith("it should revert") for leaf in self.leaves)
        return f"test_Revert{first}_{rest}" if reverts else f"test_{first}{rest}"


def read_tree(text: str) -> list[Condition]:
    """The conditions of a tree that have leaves, downwards. Raises ValueError where it cannot be read."""
    path: list[Condition] = []
    found: list[Condition] = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        match = LINE.match(line)
        if not match or len(match["indent"]) % 4:
            raise ValueError(f"line {number} is no branch: {line!r}")
        depth, words = len(match["indent"]) // 4, match["text"]
        if depth > len(path):
            raise ValueError(f"line {number} is too deep: {line!r}")
        del path[depth:]
        if words.startswith("it should "):
            if not path:
                raise ValueError(f"line {number} has no condition above it: {line!r}")
            path[-1].leaves.append(words)
            continue
        if not words.startswith(("when ", "given ")):
            raise ValueError(f'line {number} starts with none of "when", "given", "it should": {line!r}')
        if path:
            path[-1].branches += 1
        path.append(Condition(words))
        found.append(path[-1])
    empty = [each.text for each in found if not each.leaves and not each.branches]
    if empty:
        raise ValueError(f"nothing happens below {empty}")
    return [each for each in found if each.leaves]


def check(root: Path) -> list[str]:
    """All offences below `root`."""
    calls = dict(_calls((root / INTERFACE).read_text(encoding="utf-8")))
    errors = set(ERROR.findall((root / ERRORS).read_text(encoding="utf-8")))
    trees = {path.stem: path for path in sorted((root / UNIT).glob("*.tree"))}
    offences = [f"{UNIT}: {name}.tree is missing, for the call" for name in sorted(calls.keys() - trees)]
    tests = {_tests_of(tree).name for tree in trees.values()}
    alone = sorted(path.name for path in (root / UNIT).glob("*.t.sol") if path.name not in tests)
    offences += [f"{UNIT}: {name} has no tree" for name in alone]
    unnamed = errors - {name for names in calls.values() for name in names}
    offences += [f"{ERRORS}: no call in {INTERFACE} names {name}" for name in sorted(unnamed)]
    for name, path in trees.items():
        offences += [f"{path.relative_to(root)}: {each}" for each in _offences(path, calls.get(name), errors)]
    return offences


def _offences(tree: Path, named: set[str] | None, errors: set[str]) -> Iterator[str]:
    """What is wrong with one tree; `named` are errors and events of the call, None if it belongs to none."""
    text = tree.read_text(encoding="utf-8")
    try:
        conditions = read_tree(text)
    except ValueError as fault:
        yield str(fault)
        return
    yield from _against_tests(tree, conditions)
    if named is not None:
        words = set(re.findall(r"\w+", text))
        yield from (f"no leaf names {name}" for name in sorted(named - words))
        yield from (f"the interface does not name {name}" for name in sorted(words & errors - named))


def _calls(interface: str) -> Iterator[tuple[str, set[str]]]:
    """Each call that changes something, with the errors and events that its comment names."""
    for comment, name, rest in CALL.findall(interface):
        if re.search(r"\b(view|pure)\b", rest):
            continue
        words = re.sub(r"^ *///(?: @dev)? ?", "", comment, flags=re.MULTILINE)
        yield name, {each for section in SECTION.findall(words) for each in NAME.findall(section)}


def _tests_of(tree: Path) -> Path:
    return tree.with_name(tree.stem[0].upper() + tree.stem[1:] + ".t.sol")


def _against_tests(tree: Path, conditions: list[Condition]) -> Iterator[str]:
    tests = _tests_of(tree)
    if not tests.exists():
        yield f"{tests.name} is missing"
        return
    wanted = [each.test for each in conditions]
    there = TEST.findall(tests.read_text(encoding="utf-8"))
    yield from (
        f"two conditions are tested by {name}" for name, times in Counter(wanted).items() if times > 1
    )
    yield from (f"{tests.name} has no {name}" for name in wanted if name not in there)
    yield from (f"no condition for {name} of {tests.name}" for name in there if name not in wanted)


def main(arguments: list[str]) -> int:
    """Print the offences."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    offences = check(root)
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
