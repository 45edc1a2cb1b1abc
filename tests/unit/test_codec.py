"""The codec: one encoding per value, agreed on by two other libraries, and nothing else gets through."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import dag_cbor
import libipld
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from multiformats import CID

from sonar.errors import BlobTooLarge, ManifestError, UsageError
from sonar.protocol import codec
from sonar.protocol.codec import Value
from sonar.protocol.ids import Cid

CID_BYTES = Cid.of_manifest(b"x").to_bytes()
LINK = "d82a582500" + CID_BYTES.hex()

integers = st.integers(-(1 << 64), (1 << 64) - 1)
scalars = st.none() | st.booleans() | integers | st.binary(max_size=60) | st.text(max_size=30)
links = st.builds(Cid, st.sampled_from(["raw", "dag-cbor"]), st.binary(min_size=32, max_size=32))
values = st.recursive(
    scalars | links,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def for_dag_cbor(value: object) -> Any:
    if isinstance(value, Cid):
        return CID.decode(value.to_bytes())
    if isinstance(value, list):
        return [for_dag_cbor(item) for item in value]
    if isinstance(value, dict):
        return {key: for_dag_cbor(item) for key, item in value.items()}
    return value


def depth(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(values)
def test_round_trip_and_agreement_with_dag_cbor(value: Value) -> None:
    assume(depth(value) <= codec.MAX_DEPTH)
    data = codec.encode(value)
    assert codec.decode(data) == value
    assert data == dag_cbor.encode(for_dag_cbor(value))
    assert dag_cbor.decode(data) == for_dag_cbor(value)
    libipld.decode_dag_cbor(data)


@given(st.binary(max_size=80))
def test_whatever_is_accepted_is_canonical(data: bytes) -> None:
    with suppress(ManifestError):
        assert codec.encode(codec.decode(data)) == data
        libipld.decode_dag_cbor(data)


@given(values, st.data())
def test_a_changed_byte_gives_another_value_or_a_clear_error(value: Value, draw: st.DataObject) -> None:
    data = bytearray(codec.encode(value))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    with suppress(ManifestError):
        assert codec.encode(codec.decode(bytes(data))) == bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "ends early"),
        ("1801", "shortest form"),
        ("190017", "shortest form"),
        ("1a0000ffff", "shortest form"),
        ("1b00000000ffffffff", "shortest form"),
        ("5801ff", "shortest form"),
        ("f97e00", "floats"),
        ("fb3ff0000000000000", "floats"),
        ("fb7ff8000000000000", "floats"),
        ("f7", "undefined"),
        ("f8f5", "simple"),
        ("f0", "simple"),
        ("ff", "simple"),
        ("0000", "1 bytes after the end"),
        ("9f00ff", "indefinite"),
        ("bf6161ff", "indefinite"),
        ("5f4100ff", "indefinite"),
        ("1c", "reserved"),
        ("a2616201616102", "not sorted"),
        ("a262616100616200", "not sorted"),
        ("a2616101616102", "occurs twice"),
        ("a10101", "not text"),
        ("a14161f6", "not text"),
        ("61ff", "UTF-8"),
        ("63eda080", "UTF-8"),
        ("5bffffffffffffffff", "ends early"),
        ("9bffffffffffffffff", "cannot hold"),
        ("bbffffffffffffffff", "cannot hold"),
        ("c100", "tag other than 42"),
        ("d82b00", "tag other than 42"),
        ("da0000002a00", "shortest form"),
        ("d82a00", "link that is not bytes"),
        ("d82a4100", "CIDv1"),
        ("d82a40", "prefix"),
        ("d82a582501" + CID_BYTES.hex(), "prefix"),
        ("d82a582600" + CID_BYTES.hex() + "00", "CIDv1"),
        ("d82a5823001220" + CID_BYTES[4:].hex(), "CIDv1"),
        ("81" * 9 + "00", "nested deeper"),
        ("a16161" * 9 + "00", "nested deeper"),
        ("81" * 60_000 + "00", "nested deeper"),
        (LINK[:-2], "ends early"),
    ],
)
def test_what_is_refused(data: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem) as caught:
        codec.decode(bytes.fromhex(data), what="update")
    assert caught.value.field == "update"


def test_size_is_checked_before_parsing() -> None:
    with pytest.raises(BlobTooLarge, match="has 11 bytes; the limit is 10"):
        codec.decode(b"\xff" * 11, max_bytes=10)


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), {1: 2}, 1 << 64, -(1 << 64) - 1, "\ud800", {"a": {"\ud800": 1}}, object()]
)
def test_what_cannot_be_encoded(value: Any) -> None:
    with pytest.raises(UsageError):
        codec.encode(value)


def test_a_link_is_never_bytes() -> None:
    """libipld confuses the two, in both directions; that is why the codec is ours."""
    link, body = bytes.fromhex(LINK), CID_BYTES
    assert codec.decode(link) == Cid.from_bytes(body)
    assert codec.decode(codec.encode(body)) == body
    assert codec.encode(body) != link
    assert libipld.decode_dag_cbor(link) == body
    assert libipld.encode_dag_cbor(body) == link
