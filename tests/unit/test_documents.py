"""What travels as JSON: each document is read as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mine.show.documents
import pysonar.show.documents
from sonar.errors import RemoteError
from sonar.protocol.phase import Status
from sonar.telling import bounties, documents
from sonar.telling.documents import (
    AMOUNTS,
    MAX_SAFE,
    Amount,
    Integer,
    MineRound,
    PeerReady,
    in_json,
    read,
    write,
)

MODULES = (documents, bounties, mine.show.documents, pysonar.show.documents)
KINDS = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__
]
"""All that our programs tell each other, or whoever reads their `--json`."""
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEY = TEXT.filter(lambda key: not key.endswith(("_wei", "_units")))
"""Of a map: a name that ends so is an amount's, and its number is written as text."""
ROUND = MineRound("paid", "0x" + "11" * 20, 5_000, 1, 2**53, 3, 0, "")  # type: ignore[arg-type]


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field of this type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in (Amount, Integer):
        return st.integers(-(2**256), 2**256)
    if origin is Annotated:
        return values_of(inner[0])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, inner))
    if origin is list:
        return st.lists(values_of(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(KEY, values_of(inner[1]), max_size=2)
    if is_dataclass(hint):
        return documents_of(hint)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(-MAX_SAFE, MAX_SAFE),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: TEXT,
        Any: TEXT,
    }
    return plain[hint.__supertype__ if isinstance(hint, NewType) else hint]


def documents_of(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{one.name: values_of(hints[one.name]) for one in fields(kind) if one.init})


def test_there_are_documents() -> None:
    assert len(KINDS) > 40


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)  # of each of seventy kinds, which have the same few types of fields
@given(data=st.data())
def test_a_document_is_read_as_it_was_written(kind: Any, data: st.DataObject) -> None:
    check_read_as_written(kind, data)


@pytest.mark.deep
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200)
@given(data=st.data())
def test_a_document_is_read_as_it_was_written_many_times(kind: Any, data: st.DataObject) -> None:
    check_read_as_written(kind, data)


def check_read_as_written(kind: Any, data: st.DataObject) -> None:
    told = data.draw(documents_of(kind))
    text = write(told)
    assert "\n" not in text
    assert read(kind, text) == told
    assert all(abs(number) <= MAX_SAFE for number in _integers(json.loads(text)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_with_the_name_of_an_amount_has_its_type(kind: Any) -> None:
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        if one.name.endswith(AMOUNTS):
            assert hints[one.name] in (Amount, Amount | None)


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return [number for part in parts for number in _integers(part)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def test_amounts_and_long_integers_are_texts() -> None:
    told = in_json({"fee_units": 1, "gas_wei": [2], "rows": MAX_SAFE, "loss": -MAX_SAFE - 1, "ok": True})
    assert told == {
        "fee_units": "1",
        "gas_wei": ["2"],
        "rows": MAX_SAFE,
        "loss": str(-MAX_SAFE - 1),
        "ok": True,
    }
    assert in_json({"status": Status.REVEAL, "digest": b"\x01"}) == {"status": "reveal", "digest": "0x01"}


def test_a_name_that_is_no_unicode_leaves_the_document_readable() -> None:
    path = os.fsdecode(b"/home/Gr\xf6\xdfe")
    told = PeerReady([], path)
    assert read(PeerReady, write(told)).swarm_key_file == "/home/Gr\ufffd\ufffde"
    assert in_json(["\ud800", "a"]) == ["\ufffd", "a"]
    assert in_json({path: Path(path), "Größe": "Größe"})["Größe"] == "Größe"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fee_units": "1.5"}, "fee_units"),
        ({"fee_units": " 1"}, "fee_units"),
        ({"fee_units": "+1"}, "fee_units"),
        ({"fee_units": "01"}, "fee_units"),
        ({"fee_units": "\u0661"}, "fee_units"),
        ({"fee_units": "9" * 5_000}, "fee_units"),
        ({"fee_units": True}, "fee_units"),
        ({"share_bps": "5000"}, "share_bps"),
        ({"why": None}, "why"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    good = in_json(ROUND)
    assert read(MineRound, json.dumps(good)) == ROUND
    with pytest.raises(RemoteError, match=f"{named} of a MineRound: ") as caught:
        read(MineRound, json.dumps(good | change))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["", "hello", "[]", "1", "null", "{}", "[" * 100_000, b"\xff", '{"a": NaN}'])
def test_what_is_no_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        read(MineRound, text)
    assert len(str(caught.value)) < 500
