"""Laws of envelopes: they open for their member and their context only, and only as they were sealed."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import KeyFileError, ManifestError, UsageError
from sonar.protocol.ids import Address, BountyId
from sonar.veil.classes import Classes
from sonar.veil.envelopes import EXCESS_BYTES, PRIVATE_BYTES, PUBLIC_BYTES, EnvelopeKey, context, seal
from sonar.veil.streams import seed_hash
from tests.unit.veil_kit import SHAPES, seeds_of

CONTRACT, MINE = Address(f"0x{7:040x}"), Address(f"0x{8:040x}")
SEEDS = seeds_of("mine", 3)
HASHES = [seed_hash(seed) for seed in SEEDS]
FIELDS: dict[str, Any] = {
    "chain_id": 31337,
    "contract": CONTRACT,
    "bounty": BountyId(bytes(range(32))),
    "mine": MINE,
    "epoch": 3,
    "hashes": HASHES,
}


KEYS = [EnvelopeKey.new() for _ in range(6)]


def refused(envelope: bytes, info: bytes, hashes: list[bytes], which: int = 0) -> str:
    with pytest.raises(ManifestError, match=r"veil\.envelopes") as caught:
        KEYS[which].open(envelope, info, hashes)
    return caught.value.problem


@pytest.mark.parametrize("shape", SHAPES)
def test_each_member_opens_its_own_and_no_other(shape: Classes) -> None:
    seeds = seeds_of("mine", shape.count)
    hashes = [seed_hash(seed) for seed in seeds]
    info = context(**{**FIELDS, "hashes": hashes})
    for member in range(shape.members):
        mine = [seeds[c] for c in shape.held_by(member)]
        theirs = [hashes[c] for c in shape.held_by(member)]
        envelope = seal(KEYS[member].public, mine, info)
        assert KEYS[member].open(envelope, info, theirs) == mine
        assert "does not open" in refused(envelope, info, theirs, which=member + 1)


CHANGES: dict[str, Any] = {
    "chain_id": 1,
    "contract": MINE,
    "bounty": BountyId(bytes(32)),
    "mine": CONTRACT,
    "epoch": 4,
    "hashes": HASHES[::-1],
}


@pytest.mark.parametrize("field", FIELDS)
def test_it_opens_in_its_context_only(field: str) -> None:
    envelope = seal(KEYS[0].public, SEEDS, context(**FIELDS))
    other = context(**{**FIELDS, field: CHANGES[field]})
    assert "does not open" in refused(envelope, other, HASHES)


@given(st.integers(0, 8 * (EXCESS_BYTES + 96) - 1))
def test_no_bit_may_change(bit: int) -> None:
    """Not even the top bit of an X25519 point, which RFC 7748 has no reader read: the KEM hashes it."""
    envelope = bytearray(_sealed())
    envelope[bit // 8] ^= 1 << bit % 8
    assert "does not open" in refused(bytes(envelope), context(**FIELDS), HASHES)


@cache
def _sealed() -> bytes:
    return seal(KEYS[0].public, SEEDS, context(**FIELDS))


@given(
    st.binary(max_size=EXCESS_BYTES + 128) | st.binary(min_size=EXCESS_BYTES + 96, max_size=EXCESS_BYTES + 96)
)
def test_junk_is_refused(data: bytes) -> None:
    refused(data, context(**FIELDS), HASHES)


def test_a_seed_with_another_hash_is_refused() -> None:
    envelope = seal(KEYS[0].public, SEEDS, context(**FIELDS))
    assert "a seed 2 with another hash" in refused(envelope, context(**FIELDS), [*HASHES[:2], bytes(32)])
    assert "one with 2 seeds has 1200" in refused(envelope, context(**FIELDS), HASHES[:2])


def test_two_envelopes_of_the_same_seeds_are_different() -> None:
    assert seal(KEYS[0].public, SEEDS, b"") != seal(KEYS[0].public, SEEDS, b"")


def test_a_key_comes_back_and_shows_nothing() -> None:
    data = KEYS[0].to_bytes()
    again = EnvelopeKey.from_bytes(data)
    assert (len(data), len(again.public), again.public) == (PRIVATE_BYTES, PUBLIC_BYTES, KEYS[0].public)
    assert again.open(_sealed(), context(**FIELDS), HASHES) == SEEDS
    assert data.hex()[:16] not in repr(again)
    for junk in (b"", data[:-1], data + b"\0"):
        with pytest.raises(KeyFileError, match=f"not {len(junk)}"):
            EnvelopeKey.from_bytes(junk)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(PUBLIC_BYTES - 1),
        b"\xff" * PUBLIC_BYTES,
        bytes(PUBLIC_BYTES),
        KEYS[0].public[:1184] + bytes(32),  # a point of small order: anybody could tell the secret
        KEYS[0].public[:1184] + (1).to_bytes(32, "little"),
    ],
    ids=["empty", "short", "ones", "zeros", "point zero", "point one"],
)
def test_what_is_no_public_key_gets_no_seeds(public: bytes) -> None:
    with pytest.raises(ManifestError, match="hpke"):
        seal(public, SEEDS, b"")


def test_what_fits_no_context_is_refused() -> None:
    for changed in ({"chain_id": 1 << 64}, {"epoch": -1}, {"hashes": [b"x"]}, {"bounty": b""}):
        with pytest.raises(UsageError):
            context(**{**FIELDS, **changed})
    with pytest.raises(UsageError, match="a seed has 32 bytes"):
        seal(KEYS[0].public, [b"x"], b"")


def test_a_context_is_as_long_as_its_fields() -> None:
    """Fixed widths, so no field can run into the next."""
    assert len(context(**FIELDS)) == len(b"sonar veil envelope 1") + 8 + 20 + 32 + 20 + 4 + 3 * 32
