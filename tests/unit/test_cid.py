"""CIDs: the same as libipld's, written in one way only."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import ManifestError
from sonar.protocol.ids import Cid, digest_of

cids = st.builds(Cid, st.sampled_from(["raw", "dag-cbor"]), st.binary(min_size=32, max_size=32))


@given(cids)
def test_text_and_bytes_both_ways(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(cid.to_bytes()) == cid
    assert str(cid) == libipld.encode_cid(cid.to_bytes())


def test_well_known() -> None:
    hello = "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    assert Cid.of_blob(b"hello world").to_bytes().hex() == hello
    assert str(Cid.of_manifest(b"\xa0")) == "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
    assert Cid.of_blob(b"x").digest == digest_of(b"x")


@given(cids, st.data())
def test_no_other_text_names_the_same_cid(cid: Cid, draw: st.DataObject) -> None:
    text = list(str(cid))
    at = draw.draw(st.integers(0, len(text) - 1))
    text[at] = draw.draw(st.characters(codec="utf-8"))
    with suppress(ManifestError):
        assert Cid.parse("".join(text)) != cid or "".join(text) == str(cid)


@given(st.text(max_size=70))
def test_any_text_gives_a_cid_or_a_clear_error(text: str) -> None:
    with suppress(ManifestError):
        assert str(Cid.parse(text)) == text


GOOD = Cid.of_blob(b"x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "base32"),
        ("QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB", "base32"),
        (str(GOOD).upper(), "base32"),
        (str(GOOD)[:-1], "58 characters"),
        (str(GOOD)[:-1] + "1", "not base32"),
        ("b" + str(GOOD)[1:].upper(), "canonically"),
        ("b" + "a" * 58, "CIDv1"),
    ],
)
def test_refused_text(text: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        Cid.parse(text)


def test_stray_bits_in_the_last_character() -> None:
    # 36 bytes take 57.6 characters, so the last one has two bits that mean nothing
    last = "abcdefghijklmnopqrstuvwxyz234567"
    twin = str(GOOD)[:-1] + last[last.index(str(GOOD)[-1]) | 1]
    assert twin != str(GOOD)
    with pytest.raises(ManifestError, match="canonically"):
        Cid.parse(twin)


@pytest.mark.parametrize(("codec", "digest"), [("dag-pb", digest_of(b"")), ("raw", b"short")])
def test_refused_parts(codec: Any, digest: Any) -> None:
    with pytest.raises(ManifestError):
        Cid(codec, digest)
