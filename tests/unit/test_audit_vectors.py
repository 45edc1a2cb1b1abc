"""The committed vectors of audits are what this code makes, and what the words say in other code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sonar.families.quadratic.optimisers.registry import read
from sonar.manifests.audit import SettlementAnswer, SettlementRequest
from sonar.protocol.record import Manifest
from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]
SCRIPT = load_script("make_vectors_audits")
COMMITTED = (ROOT / "tests" / "vectors" / "audits.json").read_text(encoding="utf-8")
CASES = json.loads(COMMITTED)


def test_the_committed_file_is_what_the_code_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert SCRIPT.render() == COMMITTED
    assert SCRIPT.main(["--check"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("case", CASES["lots"], ids=lambda case: f"{case['purpose']}-{case['round']}")
def test_draws_by_the_words_alone(case: dict[str, object]) -> None:
    """As sonar/protocol/specs/audits.md says it, in other code."""
    purpose, reveals = str(case["purpose"]).encode(), dict(case["reveals"])  # type: ignore[call-overload]
    hashed = b"sonar lots 1" + bytes([len(purpose)]) + purpose + bytes.fromhex(str(case["bounty"]))
    hashed += bytes([case["round"]])  # type: ignore[list-item]
    for mine in sorted(reveals, key=str.lower):
        hashed += bytes.fromhex(mine[2:]) + bytes.fromhex(reveals[mine])
    seed, number = hashlib.sha256(hashed).digest(), 0
    for bits, wanted in dict(case["bits"]).items():  # type: ignore[call-overload]
        wide = ""
        while len(wide) < int(bits):
            drawn = hashlib.sha256(seed + number.to_bytes(8, "big")).digest()
            wide, number = wide + f"{int.from_bytes(drawn, 'big'):0256b}", number + 1
        assert int(wide[: int(bits)], 2) == int(wanted, 16)


def test_settings_and_bodies_are_read_back() -> None:
    for case in CASES["settings"]:
        data = case["settings"].encode()
        assert hashlib.sha256(data).hexdigest() == case["digest"]
        assert read(data)[0] in ("r2", "log_loss")
    kinds: dict[str, type[Manifest]] = {
        "settlement": SettlementRequest,
        "settlement-answer": SettlementAnswer,
    }
    for case in CASES["bodies"]:
        data = bytes.fromhex(case["bytes"])
        assert kinds[case["kind"]].from_bytes(data).to_bytes() == data
