"""Our ABI of fixed sizes, and our keccak, against the libraries that everybody uses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rlp
from eth_abi.abi import decode as their_decode
from eth_abi.abi import encode as their_encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import abi_to_signature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak as their_keccak
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.contract import abi as contract
from sonar.chain.header import _rlp
from sonar.protocol.abi import decode, encode, fields_of, is_fixed
from sonar.protocol.keccak import checksummed, keccak, selector


def _tuple(kinds: list[str]) -> str:
    return f"({','.join(kinds)})"


WORDS = st.sampled_from(
    ["address", "bool", "uint8", "uint24", "uint96", "uint256", "bytes1", "bytes29", "bytes32"]
)
KINDS = st.recursive(WORDS, lambda inner: st.lists(inner, min_size=1, max_size=4).map(_tuple), max_leaves=6)


def value_of(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("("):
        return st.tuples(*map(value_of, fields_of(kind)))
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(checksummed)
    if kind == "bool":
        return st.booleans()
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    return st.binary(min_size=int(kind[5:]), max_size=int(kind[5:]))


TYPED = st.lists(KINDS, max_size=4).flatmap(
    lambda kinds: st.tuples(st.just(tuple(kinds)), st.tuples(*map(value_of, kinds)))
)


@given(TYPED)
def test_values_are_encoded_as_everybody_does_and_come_back(
    typed: tuple[tuple[str, ...], tuple[Any, ...]],
) -> None:
    kinds, values = typed
    assert is_fixed(kinds)
    assert encode(kinds, values) == their_encode(kinds, values)
    assert decode(kinds, encode(kinds, values)) == values


@given(TYPED, st.data())
def test_nothing_is_read_that_the_library_refuses_or_writes_otherwise(
    typed: tuple[tuple[str, ...], tuple[Any, ...]], data: st.DataObject
) -> None:
    kinds, values = typed
    right = encode(kinds, values)
    changed = bytearray(right)
    if changed and data.draw(st.booleans()):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    hostile = bytes(changed)[: data.draw(st.integers(0, len(right)))] + data.draw(st.binary(max_size=40))
    try:
        theirs = their_decode(kinds, hostile)
        fine = their_encode(kinds, theirs) == hostile
    except DecodingError:
        fine = False
    if fine:
        assert encode(kinds, decode(kinds, hostile)) == hostile
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - of whatever kind of fault
            decode(kinds, hostile)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", "1"),
        ("bool", 1),
        ("bytes32", b"\0" * 31),
        ("bytes32", "0x" + "00" * 32),
        ("address", "0x" + "11" * 19),
        ("address", b"\0" * 20),
        ("(uint8,bool)", (1,)),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"does not fit|values for"):
        encode((kind,), (value,))


def test_what_has_no_fixed_size_is_left_to_the_library() -> None:
    assert [
        is_fixed((kind,))
        for kind in ("bytes", "string", "uint8[]", "(uint8,bytes)", "(uint8)[]", "int8", "uint7")
    ] == [False] * 7
    calldata = contract.encode_call("expire", b"\x01" * 32, 1, ["0x" + "11" * 20])
    assert calldata[4:] == their_encode(
        ("bytes32", "uint8", "address[]"), (b"\x01" * 32, 1, ["0x" + "11" * 20])
    )


@given(st.binary(max_size=300))
def test_hashes_and_addresses_are_those_of_the_library(data: bytes) -> None:
    assert keccak(data) == their_keccak(data)
    assert checksummed(keccak(data)[12:]) == to_checksum_address(their_keccak(data)[12:])


def test_selectors_are_those_of_the_library() -> None:
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    both = contract.training_market().abi + contract.succession().abi
    entries = [one for one in both if one["type"] in ("function", "event", "error")]
    known = contract.functions().values(), contract.events().values(), contract.errors().values()
    ours = {item.name: item.selector for items in known for item in items}
    theirs = {
        entry["name"]: their_keccak(text=abi_to_signature(json.loads(json.dumps(entry)))) for entry in entries
    }
    assert all(theirs[name].startswith(ours[name]) for name in ours)
    assert len(ours) > 50


@given(st.lists(st.binary(max_size=300) | st.binary(max_size=1), max_size=22))
def test_the_length_prefix_is_that_of_the_library(fields: list[bytes]) -> None:
    assert _rlp(fields) == rlp.encode(fields)
