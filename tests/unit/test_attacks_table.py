"""ARCHITECTURE's table of attacks: each row names tests, and each is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
WHO = ["scientist", "mine", "capsule", "outsider"]
NAME = re.compile(r"`([\w.]+)::(\w+)`")


def section() -> str:
    _, _, after = (
        (REPOSITORY / "ARCHITECTURE.md")
        .read_text()
        .partition("\n## Attacks on capsules, audits, noise and keys\n")
    )
    return after.partition("\n## ")[0]


def rows() -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in section().splitlines() if line.startswith("| ")]
    assert lines[0] == ["who", "what they try", "what stops it, or what it costs", "test"]
    return lines[1:]


@cache
def names_in(name: str) -> frozenset[str]:
    """The tests in the one file of this name; those of a Solidity file as `forge` finds them."""
    solidity = name.endswith(".t.sol")
    folder, pattern = ("contracts/test/unit", name) if solidity else ("tests", f"{name}.py")
    (path,) = (REPOSITORY / folder).rglob(pattern)
    if solidity:
        return frozenset(re.findall(r"function (test\w+)\(", path.read_text()))
    tree = ast.parse(path.read_text())
    return frozenset(
        each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    )


def test_the_table_has_a_row_for_each_attack() -> None:
    """Who tries it, what, what stops it, and a test; those of one party together."""
    table = rows()
    assert {len(row) for row in table} == {4}
    order = [WHO.index(who) for who, *_ in table]
    assert order == sorted(order)
    assert set(order) == set(range(len(WHO)))
    tried = [(who, what) for who, what, *_ in table]
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAME.findall(section()))))
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name in names_in(file)


def test_each_row_names_tests_and_nothing_else() -> None:
    for *_, named in rows():
        assert NAME.findall(named)
        assert not NAME.sub("", named).strip(" ")


CONTROLS = {"test_a_functional_that_differs_tells_which", "test_a_cover_that_makes_no_sense_is_refused"}
"""What an attack gives where nothing stops it, and covers that are no attack."""
ATTACKS = ("asked_too_much", "coalitions", "distinguisher", "false_complaints", "hostile_covers")


@pytest.mark.parametrize("file", ATTACKS)
def test_no_attack_on_capsules_is_left_out_of_the_table(file: str) -> None:
    """Of the files that hold nothing else."""
    named = {name for which, name in NAME.findall(section()) if which == f"test_{file}"}
    missing = names_in(f"test_{file}") - named - CONTROLS
    assert not missing
