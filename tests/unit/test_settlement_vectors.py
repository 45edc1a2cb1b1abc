"""What a settler signs is the same by eth-account, which makes the vectors, and by our own few lines.

The contract is held to the same file by contracts/test/vectors.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from sonar.protocol.ids import BountyId, Digest, parse_address
from sonar.protocol.seal import settlement_digest

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "tests/vectors/settlements.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
SCRIPT = ROOT / "scripts/make_vectors_settlements.py"


def test_the_script_makes_the_file() -> None:
    assert runpy.run_path(str(SCRIPT))["vectors"]() == VECTORS


def test_the_check_notices_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    assert main(["--check"]) == 0
    main.__globals__["PATH"] = tmp_path / "settlements.json"
    assert main(["--check"]) == 1
    assert "settlements.json is not what the script makes" in capsys.readouterr().out
    assert main([]) == 0
    assert main(["--check"]) == 0


@pytest.mark.parametrize("case", VECTORS["settlements"])
def test_our_digest_is_that_of_the_file(case: dict[str, Any]) -> None:
    digest = settlement_digest(
        case["chain_id"],
        parse_address(case["contract"]),
        BountyId(bytes.fromhex(case["bounty"])),
        case["round"],
        Digest(bytes.fromhex(case["new_model_digest"])),
        int(case["new_loss"]),
        [(parse_address(award["mine"]), award["share_bps"]) for award in case["awards"]],
        Digest(bytes.fromhex(case["evidence_digest"])),
    )
    assert digest.hex() == case["digest"]
    signer = Account._recover_hash(digest, signature=bytes.fromhex(case["signature"]))
    assert signer == VECTORS["settler"]


def test_each_part_of_a_settlement_changes_what_is_signed() -> None:
    digests = {case["digest"] for case in VECTORS["settlements"]}
    assert len(digests) == len(VECTORS["settlements"])
