"""Files that people write: each fault is told by the path that they wrote, with what is expected."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mine.consent import Policy
from sonar.errors import ConfigError
from sonar.home.settings import NetworkConfig
from sonar.protocol.wording import first_fault, nearest
from tests.unit.network_file import write_network

TOKEN = '"0x52908400098527886E0F7030069857D2E4169EE7"'


@pytest.mark.parametrize(
    ("path", "value", "field", "problem", "hint"),
    [
        ("chain_id", 0, "chain_id", "must be at least 1 (got 0)", "get the network file again"),
        ("chain_id", "1", "chain_id", "must be a whole number (got '1')", ""),
        ("confirmations", 5000, "confirmations", "must be at most 1,000 (got 5000)", ""),
        ("dev", "yes", "dev", "must be true or false (got 'yes')", ""),
        ("name", "", "name", "must have at least 1 character (got '')", ""),
        ("rpc_ulr", "http://x", "rpc_ulr", "unknown field", "did you mean rpc_url?"),
        ("store.kind", "s3", "store.kind", "must be 'folder' or 'kubo'", ""),
        ("store.pth", "x", "store.pth", "unknown field", "did you mean store.path?"),
        ("store", "x", "store", "must be a table (got 'x')", ""),
        ("store.bootstrap", "x", "store.bootstrap", "must be a list", ""),
        ("faucet.key", "x", "faucet.key", "unknown field", "did you mean faucet.key_file?"),
        ("contract", "0x1", "contract", "is not an address", "copy it whole"),
        ("code_hash", "zz", "code_hash", "is not 32 bytes in hex", "get the network file again"),
    ],
)
def test_a_fault_of_the_network_file(
    tmp_path: Path, path: str, value: Any, field: str, problem: str, hint: str
) -> None:
    file = write_network(tmp_path)
    fields = tomllib.loads(file.read_text())
    table, _, name = path.rpartition(".")
    (fields.setdefault(table, {}) if table else fields)[name] = value
    file.write_text(tomli_w.dumps(fields))
    with pytest.raises(ConfigError) as caught:
        NetworkConfig.load(file)
    assert caught.value.field == f"{field} in {file}"
    assert problem in caught.value.problem
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "field", "problem", "hint"),
    [
        ("[policy]\nmin_fee = 1", "policy.min_fee", "no such field", "did you mean min_fee_wei?"),
        ("[policy]\nmin_fee_wei = 1.5", "policy.min_fee_wei", "whole number, 0 or more (got 1.5)", "= 0"),
        ("[policy]\ninsecure_keys = 1", "policy.insecure_keys", "true or false (got 1)", "= false"),
        (
            "[polcy]\nx = 1",
            "polcy",
            "which has four: [policy], [tokens], [capsules] and [privacy]",
            "did you mean [policy]?",
        ),
        ("min_fee_wei = 3", "min_fee_wei", "not a table of this file", "move it below [policy]"),
        (f"[tokens]\n{TOKEN} = 3", "tokens.0x52", "a table of max_stake and min_fee (got 3)", "max_stake ="),
        (
            f"[tokens]\n{TOKEN} = {{ max_stake = -1 }}",
            "tokens.0x52",
            "max_stake must be a whole",
            "max_stake =",
        ),
    ],
)
def test_a_fault_of_a_mines_policy(tmp_path: Path, text: str, field: str, problem: str, hint: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Policy.load(tmp_path)
    assert caught.value.field.startswith(f"{tmp_path / 'mine.toml'}: {field}")
    assert problem in caught.value.problem
    assert hint in caught.value.hint


class Inner(BaseModel):
    kind: Literal["inner"] = "inner"
    size: Annotated[int, Field(gt=0, lt=100)] = 1


class Other(BaseModel):
    kind: Literal["other"] = "other"


class Outer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    numbers: Annotated[list[float], Field(max_length=2)] = []
    parts: list[Annotated[Inner | Other, Field(discriminator="kind")]] = []
    share: Annotated[float, Field(gt=0, lt=1e15, allow_inf_nan=False)] = 0.5
    step: Annotated[int, Field(multiple_of=256)] = 256
    blob: Annotated[bytes, Field(min_length=2)] = b"ab"
    on: bool = False
    either: str | list[str] = ""


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({"text": 3}, "text", "must be a text, in quotes (got 3)"),
        ({"text": ""}, "text", "must have at least 1 character (got '')"),
        ({"text": "abcd"}, "text", "must have at most 3 characters (got 'abcd')"),
        ({"numbers": "x"}, "numbers", "must be a list (got 'x')"),
        ({"numbers": ["x"]}, "numbers.0", "must be a number (got 'x')"),
        ({"numbers": [1.0, 2.0, 3.0]}, "numbers", "must have at most 2 entries (got [1.0, 2.0, 3.0])"),
        ({"parts": [{"kind": "inner", "size": 0}]}, "parts.0.size", "must be more than 0 (got 0)"),
        ({"parts": [{"kind": "inner", "size": 100}]}, "parts.0.size", "must be at most 99 (got 100)"),
        ({"parts": [{"kind": "x"}]}, "parts.0", "must have a kind of 'inner', 'other' (got { kind = 'x' })"),
        ({"parts": [{}]}, "parts.0", "must have a kind (got {})"),
        ({"parts": [3]}, "parts.0", "must be a table (got 3)"),
        ({"share": float("inf")}, "share", "must be a finite number (got inf)"),
        ({"share": 1e16}, "share", "must be less than 1e+15 (got 1e+16)"),
        ({"share": -1}, "share", "must be more than 0 (got -1)"),
        ({"step": 3}, "step", "must be a multiple of 256 (got 3)"),
        ({"blob": b"a"}, "blob", "must have at least 2 bytes (got b'a')"),
        ({"on": 1}, "on", "must be true or false (got 1)"),
        ({"step": True}, "step", "must be a whole number (got true)"),
        ({"numbers": [False]}, "numbers.0", "must be a number (got false)"),
        ({"numbers": {"a": [True]}}, "numbers", "must be a list (got { a = [true] })"),
        ({"step": date(2026, 1, 2)}, "step", "must be a whole number (got 2026-01-02)"),
        ({"txet": "a", "on": 1}, "txet", "unknown field in thing"),
        ({"either": 3}, "either", "must be a text, in quotes (got 3)"),
    ],
)
def test_every_kind_of_fault_is_told_in_our_words(given: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert first_fault(caught.value, "thing", show=True, given=given) == (path, problem)
    hidden = first_fault(caught.value, "thing", given=given)[1]
    assert "got a value of type" in hidden or "unknown" in hidden  # what a peer wrote is not repeated


def test_the_nearest_name_is_told_or_all_that_there_are() -> None:
    assert nearest("ruonds", ["rounds", "reward"]) == "did you mean rounds?"
    assert nearest("row", ["rows", "csv"], "holdout.") == "did you mean holdout.rows?"
    assert nearest("zzz", ["rounds", "reward"]) == "known are rounds, reward"
