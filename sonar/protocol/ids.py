"""Typed identifiers, and how a person writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NewType

from eth_utils.address import is_checksum_address, to_checksum_address

from sonar.errors import ConfigError

Address = NewType("Address", str)
"""An account or contract: 0x and 40 hex digits, EIP-55 checksummed."""
BountyId = NewType("BountyId", bytes)
"""A bounty: 32 bytes."""
Digest = NewType("Digest", bytes)
"""A sha2-256 digest: 32 bytes."""

ETHER = Address("0x" + "0" * 40)
"""The asset that stands for the chain's own coin."""
ZERO32 = b"\0" * 32


def parse_address(text: str, field: str = "address") -> Address:
    """Return `text` as a checksummed address. Mixed case must be the right checksum. Raises ConfigError."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ConfigError(field, f"{text[:80]!r} is not an address (0x and 40 hex digits)")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise ConfigError(field, f"{text} has a wrong checksum", hint="copy the address again")
    return Address(to_checksum_address(text))


def parse_bytes32(text: str, field: str) -> bytes:
    """Return 32 bytes from hex, with or without 0x. Raises ConfigError."""
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        raise ConfigError(field, f"{text[:80]!r} is not 32 bytes in hex (64 digits)")
    return bytes.fromhex(text.removeprefix("0x"))


def parse_bounty(text: str, field: str = "bounty") -> BountyId:
    """Return a bounty id from hex. Raises ConfigError."""
    return BountyId(parse_bytes32(text, field))


def abbreviates(text: str, field: str = "bounty") -> Callable[[bytes], bool]:
    """Return what tells whether `text` stands for an id: its first digits in hex, with or without "0x".

    Also as the tables show it, first and last digits: "0x7dba67…9602". Raises ConfigError on anything else.
    """
    found = re.fullmatch(r"(?:0x)?([0-9a-f]{1,64})(?:…([0-9a-f]{1,64}))?", text.lower())
    if found is None:
        raise ConfigError(
            field,
            f"{text[:80]!r} is not an id in hex, nor the first digits of one",
            hint="give a bounty's first digits, as in the lists: 0x3fd1",
        )
    first, last = found[1], found[2] or ""
    return lambda value: value.hex().startswith(first) and value.hex().endswith(last)


def hex32(value: bytes) -> str:
    """Return bytes as 0x-prefixed hex, the way the chain's tools print them."""
    return "0x" + value.hex()
