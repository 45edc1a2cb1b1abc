"""Identifiers as people write them: one meaning each, and an error that names the field."""

from __future__ import annotations

import hashlib

import pytest

from sonar.errors import ConfigError
from sonar.protocol.ids import digest_of, hex32, parse_address, parse_bounty, parse_bytes32

# From EIP-55.
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("text", [CHECKSUMMED, CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()])
def test_addresses_become_checksummed(text: str) -> None:
    assert parse_address(text) == CHECKSUMMED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (CHECKSUMMED.replace("aA", "Aa"), "checksum"),
        (CHECKSUMMED[:-1], "40 hex digits"),
        (CHECKSUMMED + "0", "40 hex digits"),
        (CHECKSUMMED[2:], "40 hex digits"),
        (CHECKSUMMED + "\n", "40 hex digits"),
        ("0x" + "g" * 40, "40 hex digits"),
        ("", "40 hex digits"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_address(text, "contract")
    assert caught.value.field == "contract"


def test_32_bytes() -> None:
    value = bytes(range(32))
    assert parse_bytes32(hex32(value), "salt") == parse_bytes32(value.hex().upper(), "salt") == value
    assert parse_bounty(hex32(value)) == value
    for text in (hex32(value)[:-2], hex32(value) + "00", "0X" + value.hex(), ""):
        with pytest.raises(ConfigError, match=r"bounty: .* is not 32 bytes"):
            parse_bounty(text)


def test_digest() -> None:
    assert digest_of(b"x") == hashlib.sha256(b"x").digest()
