"""The laws in English and in code are the same list, and every test that the proof names exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2] / "contracts/test"
README = (TESTS / "invariant/README.md").read_text()


def functions(folder: str) -> set[str]:
    code = "".join(path.read_text() for path in (TESTS / folder).glob("*.sol"))
    return set(re.findall(r"function (\w+)", code))


def test_every_law_is_stated_once_and_is_a_function() -> None:
    stated = re.findall(r"^\| .+ \| `(\w+)` \|$", README, re.M)
    coded = {name for name in functions("invariant") if re.match(r"law_|test_Law_", name)}
    assert len(stated) == len(set(stated))
    assert set(stated) == coded


def test_every_law_is_asked() -> None:
    code = (TESTS / "invariant/Market.t.sol").read_text()
    for law in re.findall(r"function (law_\w+)", code):
        assert re.search(rf"^ +{law}\(.*\);$", code, re.M), f"{law} is never called"


def test_every_test_that_the_proof_names_exists() -> None:
    named = set(re.findall(r"`(test(?:Fuzz)?_(?!Law_)\w+)`", README))
    assert named
    assert named <= functions("fuzz")
