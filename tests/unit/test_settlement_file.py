"""Settlements and signatures as files, and `sonar sign`, which signs only what it computed itself."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.contract.settler import signature_fault
from sonar.cli import app
from sonar.errors import ConfigError, RemoteError, UsageError
from sonar.home import keystore
from sonar.home.settlement import (
    MAX_SIGNATURE_BYTES,
    Settlement,
    SettlementAward,
    read_settlement,
    read_signature,
    write_signature,
)
from sonar.protocol.ids import Address, hex32, parse_bytes32
from sonar.telling.documents import Signed, read
from sonar.telling.terminal import run_app
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/settlements.json").read_text())
SIGNER = Account.from_key(VECTORS["settler_key"])
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CHAIN: Any = SimpleNamespace(code=lambda _address: b"")
EXAMPLE = Settlement(
    chain_id=2**200,
    contract=Address("0x" + "11" * 20),
    bounty="0x" + "22" * 32,
    round=3,
    new_model_digest="0x" + "33" * 32,
    new_loss=2**64 - 1,
    awards=[SettlementAward(Address(f"0x{i:040x}"), bps) for i, bps in ((1, 4_000), (2, 0), (3, 6_000))],
    evidence_digest="0x" + "44" * 32,
    digest="0x" + "0" * 64,
    settler=Address(SIGNER.address),
    until_s=1_800_000_000,
)


def sealed(settlement: Settlement) -> Settlement:
    """The same with its own digest."""
    with pytest.raises(ConfigError, match="digest: is not that of the other fields, which is ") as caught:
        settlement.check()
    digest = str(caught.value).rpartition("which is ")[2]
    return replace(settlement, digest=digest)


GOOD = sealed(EXAMPLE)


def test_what_is_written_is_read_with_large_integers_as_strings(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(GOOD.to_bytes())
    assert read_settlement(path) == GOOD
    fields = json.loads(path.read_text())
    assert (fields["chain_id"], fields["new_loss"], fields["round"]) == (str(2**200), str(2**64 - 1), 3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"new_loss": 1}, "digest: is not that of the other fields"),
        ({"round": 4}, "digest: is not that of the other fields"),
        ({"chain_id": "1"}, "digest: is not that of the other fields"),
        ({"contract": "0x" + "12" * 20}, "digest: is not that of the other fields"),
        ({"awards": []}, "digest: is not that of the other fields"),
        ({"awards": [{"mine": "0x" + "0" * 39 + "1", "share_bps": 9_999}]}, "awards: the shares add up to"),
        ({"awards": [{"mine": "0x" + "0" * 39 + "1", "share_bps": 5_000}] * 2}, "not in ascending order"),
        ({"awards": [{"mine": "me", "share_bps": 10_000}]}, "mine: 'me' is not an address"),
        ({"round": 256}, "round: '256' does not fit"),
        ({"new_loss": str(2**64)}, "new_loss: "),
        ({"new_loss": -1}, "new_loss: "),
        ({"new_loss": 1.5}, "new_loss of a Settlement"),
        ({"bounty": "0x22"}, "bounty: '0x22' is not 32 bytes"),
        ({"evidence_digest": "\x1b[2J"}, "evidence_digest: "),
        ({"digest": "0x" + "0" * 64}, "digest: is not that of the other fields"),
        ({"settler": "nobody"}, "settler: 'nobody' is not an address"),
        ({"until_s": 2**60}, "until_s: "),
        ({"more": 1}, "more of a Settlement"),
    ],
)
def test_a_settlement_that_is_none_is_refused_by_its_field(change: dict[str, Any], problem: str) -> None:
    fields = json.loads(GOOD.to_bytes()) | change
    with pytest.raises((RemoteError, UsageError), match=problem):
        Settlement.from_bytes(json.dumps(fields).encode())


def test_no_change_of_what_is_signed_is_read() -> None:
    whole, fields = GOOD.to_bytes(), json.loads(GOOD.to_bytes())

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.5:
            return changed_bytes(rng, whole)
        return json.dumps(changed_value(rng, fields), default=lambda value: value.hex()).encode()

    def decode(data: bytes) -> None:
        found = Settlement.from_bytes(data)
        assert found.check() == GOOD.check()

    fuzz(make, decode, INPUTS // 20)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_clear_error(data: bytes) -> None:
    with pytest.raises((RemoteError, UsageError)):
        Settlement.from_bytes(data)


@given(st.binary(max_size=300))
def test_a_signature_is_read_as_it_was_written(signature: bytes) -> None:
    with TemporaryDirectory() as folder:
        write_signature(Path(folder) / "s", signature)
        assert read_signature(Path(folder) / "s") == signature


def test_files_that_are_none_or_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.signature"
    assert read_signature(path) is None
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is not a file"):
        read_signature(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_signature(path)
    path.rmdir()
    write_signature(path, b"\1" * MAX_SIGNATURE_BYTES)
    assert read_signature(path) == b"\1" * MAX_SIGNATURE_BYTES
    write_signature(path, b"\1" * (MAX_SIGNATURE_BYTES + 8))
    with pytest.raises(ConfigError, match="has more than 32784 bytes"):
        read_signature(path)
    for text in ("", "0x0", "00", "0x0g", "0x00 0x00", "0x٣٣"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="is not a signature"):
            read_signature(path)
    assert read_signature(tmp_path / "none") is None


@given(st.binary(min_size=32, max_size=32), st.integers(0, 65 * 8 - 1))
def test_an_account_signs_this_and_nothing_else(digest: bytes, bit: int) -> None:
    good = bytes(SIGNER.unsafe_sign_hash(digest).signature)
    settler = Address(SIGNER.address)
    assert signature_fault(CHAIN, settler, digest, good) == ""
    flipped = bytearray(good)
    flipped[bit // 8] ^= 1 << bit % 8
    assert signature_fault(CHAIN, settler, digest, bytes(flipped))
    mirrored = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    for other in (
        good[:64],
        good + b"\0",
        good[:32] + mirrored + bytes([55 - good[64]]),
        b"\0" * 64 + b"\x1b",
    ):
        assert signature_fault(CHAIN, settler, digest, other)


@given(st.binary(min_size=65, max_size=65), st.sampled_from([27, 28]))
def test_no_numbers_crash_the_check(signature: bytes, v: int) -> None:
    assert signature_fault(CHAIN, Address(SIGNER.address), b"\5" * 32, signature[:64] + bytes([v]))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SONAR_PASSWORD", "pass")
    keystore.save(tmp_path / "home/keystore", SIGNER, "pass", dev=True)
    (tmp_path / "a-3.json").write_bytes(GOOD.to_bytes())
    return tmp_path / "home"


def sign(path: Path, home: Path, *more: str) -> int:
    return run_app(app, "sonar", ["sign", str(path), "--home", str(home), *more])


def test_sonar_sign_shows_signs_and_says_where_it_counts(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a-3.json"
    assert sign(path, home, "--yes") == 0
    shown = capsys.readouterr().out
    for told in (
        f"round 3 of the bounty {GOOD.bounty}",
        f"chain {2**200}, for the contract {GOOD.contract}",
        f"{GOOD.new_loss / 10_000:.4f}% of the null model's",
        f"{GOOD.awards[2].mine}  60.00%",
        f"{GOOD.awards[1].mine}  0.00%",
    ):
        assert told in shown
    signature = read_signature(tmp_path / "a-3.signature")
    assert signature is not None
    assert signature_fault(CHAIN, GOOD.settler, parse_bytes32(GOOD.digest, "digest"), signature) == ""
    elsewhere = tmp_path / "out.txt"
    assert sign(path, home, "--yes", "--json", "-o", str(elsewhere)) == 0
    answer = read(Signed, capsys.readouterr().out)
    assert (answer.file, answer.settler, answer.digest) == (str(elsewhere), GOOD.settler, GOOD.digest)
    assert read_signature(elsewhere) == signature


@pytest.mark.parametrize("case", VECTORS["settlements"])
def test_sonar_sign_agrees_with_the_vectors(case: dict[str, Any], home: Path, tmp_path: Path) -> None:
    signed = ("domain_separator", "struct_hash", "signature")
    fields = {name: value for name, value in case.items() if name not in signed}
    path = tmp_path / "v.json"
    path.write_text(json.dumps(fields | {"settler": VECTORS["settler"], "until_s": 1}))
    shares = sum(award["share_bps"] for award in case["awards"])
    assert sign(path, home, "--yes") == (0 if shares in (0, 10_000) else 2)
    made = read_signature(tmp_path / "v.signature")
    if shares not in (0, 10_000):  # the contract would refuse it, whoever signed
        assert made is None
        return
    assert made is not None
    assert made.hex() == case["signature"]


def test_sonar_sign_signs_nothing_that_it_did_not_compute_or_was_not_asked_for(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "a-3.json", Account.create()
    for answer, told in (("", "nobody answered"), ("n\n", "nothing was signed")):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert sign(path, home) == 2
        assert told in capsys.readouterr().err
    assert sign(path, home, "--json") == 2
    assert "--yes" in capsys.readouterr().out
    assert sign(tmp_path / "none.json", home, "--yes") == 2
    assert "cannot be read" in capsys.readouterr().err
    keystore.save(tmp_path / "other/keystore", other, "pass", dev=True)
    assert sign(path, tmp_path / "other", "--yes") == 2
    assert (
        f"the settler is {GOOD.settler}, and this home's account is {other.address}"
        in capsys.readouterr().err
    )
    path.write_bytes(replace(GOOD, digest=hex32(b"\7" * 32)).to_bytes())
    assert sign(path, home, "--yes") == 2
    assert "digest: is not that of the other fields" in capsys.readouterr().err
    path.write_text('name = "diabetes"\n')
    assert sign(path, home, "--yes") == 2
    told = capsys.readouterr().err
    assert f"settlement: {path} holds no JSON" in told
    assert "diabetes" not in told
    path.write_text('{"a": 1}')
    assert sign(path, home, "--yes") == 2
    told = capsys.readouterr().err
    assert f"settlement: {path} is not a settlement: a of a Settlement: unknown field" in told
    path.write_bytes(GOOD.to_bytes())
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    assert sign(path, home, "--yes") == 2
    assert "password is wrong" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.signature"))
