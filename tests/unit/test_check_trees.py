"""The contract's trees, tests and interface agree, and the check finds each way in which they could not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


SCRIPT = load_script("check_trees")
CLOSE = SCRIPT.UNIT / "close.tree"
CLOSE_TESTS = SCRIPT.UNIT / "Close.t.sol"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what is checked, in which a test changes one thing."""
    shutil.copytree(ROOT / SCRIPT.UNIT, tmp_path / SCRIPT.UNIT)
    (tmp_path / "contracts/src").mkdir()
    for path in (SCRIPT.INTERFACE, SCRIPT.ERRORS):
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def test_this_repository_agrees() -> None:
    assert SCRIPT.check(ROOT) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "found"),
    [
        (CLOSE_TESTS, "test_GivenItIsALaterRound", "test_Else", "has no test_GivenItIsALaterRound"),
        (CLOSE_TESTS, "test_GivenItIsALaterRound", "test_Else", "no condition for test_Else"),
        (CLOSE, "given it is a later round", "given it is not", "has no test_GivenItIsNot"),
        (CLOSE, "when the asset is a token", "given it is a later round", "two conditions are tested by"),
        (CLOSE, "it should revert with CommitsExist", "it should revert", "no leaf names CommitsExist"),
        (CLOSE, "emit BountyClosed", "emit something", "no leaf names BountyClosed"),
        (CLOSE, "with CommitsExist", "with CommitsExist or NoRounds", "does not name NoRounds"),
        (CLOSE, "it should revert with CommitsExist", "it reverts", "starts with none of"),
        (CLOSE, "│   └── it should revert with CommitsExist\n", "", "nothing happens below"),
        (CLOSE, "├── given the bounty is unknown", "given the bounty is unknown", "is no branch"),
        (CLOSE, "├── given the bounty is unknown", "│   ├── given the bounty is unknown", "too deep"),
        (SCRIPT.ERRORS, "error NoRounds(", "error Unheard(", "names Unheard"),
        (SCRIPT.INTERFACE, "function close(", "function shut(", "shut.tree is missing"),
    ],
)
def test_finds(copy: Path, path: Path, old: str, new: str, found: str) -> None:
    text = (copy / path).read_text()
    assert old in text
    (copy / path).write_text(text.replace(old, new))
    assert any(found in offence for offence in SCRIPT.check(copy)), SCRIPT.check(copy)


def test_finds_a_tree_without_tests(copy: Path) -> None:
    (copy / CLOSE_TESTS).unlink()
    assert any("Close.t.sol is missing" in offence for offence in SCRIPT.check(copy))


def test_finds_tests_without_a_tree(copy: Path) -> None:
    (copy / SCRIPT.UNIT / "Stray.t.sol").write_text("function test_Something() public {}")
    assert any("Stray.t.sol has no tree" in offence for offence in SCRIPT.check(copy))


def test_a_test_is_named_after_its_condition() -> None:
    text = "T\n├── when a proof is given\n│   └── it should revert\n└── given it is so\n    └── it should go"
    assert [each.test for each in SCRIPT.read_tree(text)] == [
        "test_RevertWhen_AProofIsGiven",
        "test_GivenItIsSo",
    ]
