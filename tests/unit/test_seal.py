"""Seals and bounty ids: the ABI encoding by an independent library, and every field counts."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import UsageError
from sonar.protocol.ids import ETHER, parse_address
from sonar.protocol.phase import Terms
from sonar.protocol.seal import bounty_id, encode_terms, kept, seal

A, B = parse_address("0x" + "11" * 20), parse_address("0x" + "22" * 20)
TERMS = Terms(ETHER, 10, 3, 7, 40, 40, 60, 10**16, 10**15, 10**18, 26_645_643, 2_500_000)
TERMS_TYPE = "(address,uint8,uint8,uint8,uint24,uint24,uint24,uint96,uint96,uint96,uint64,uint64,bytes32)"

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: parse_address("0x" + raw.hex()))


@given(
    st.tuples(st.integers(0, (1 << 256) - 1), addresses, words, st.integers(0, 255), addresses, words, words)
)
def test_seal_is_the_hash_of_the_abi_encoding(args):
    types = ["uint256", "address", "bytes32", "uint256", "address", "bytes32", "bytes32"]
    assert seal(*args) == keccak(encode(types, args))
    assert kept(seal(*args)) == seal(*args)[:29]


@given(
    st.builds(
        Terms,
        addresses,
        *[st.integers(0, 255)] * 3,
        *[st.integers(0, (1 << 24) - 1)] * 3,
        *[st.integers(0, (1 << 96) - 1)] * 3,
        *[st.integers(0, (1 << 64) - 1)] * 2,
        words,
    )
)
def test_terms_and_bounty_id_are_the_abi_encoding(terms):
    values = tuple(getattr(terms, field.name) for field in fields(terms))
    assert encode_terms(terms) == encode([TERMS_TYPE], [values])
    expected = encode(
        ["uint256", "address", "address", "bytes32", "bytes32", "bytes32", "bytes32"],
        [1337, A, B, keccak(encode_terms(terms)), b"m" * 32, b"k" * 32, b"s" * 32],
    )
    assert bounty_id(1337, A, B, terms, b"m" * 32, b"k" * 32, b"s" * 32) == keccak(expected)


def test_every_field_of_a_seal_counts():
    base = [1, A, b"b" * 32, 1, A, b"u" * 32, b"s" * 32]
    other = [2, B, b"c" * 32, 2, B, b"v" * 32, b"t" * 32]
    seals = {seal(*base)} | {seal(*base[:i], other[i], *base[i + 1 :]) for i in range(len(base))}
    assert len(seals) == len(base) + 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cohort_cap": 256}, "cohort_cap"),
        ({"stake_units": 1 << 96}, "stake_units"),
        ({"reward_units": -1}, "reward_units"),
        ({"commit_window_s": 1 << 24}, "commit_window_s"),
        ({"initial_loss": 1 << 64}, "initial_loss"),
        ({"allow_root": b""}, "allow_root"),
        ({"asset": "0x12"}, "asset"),
        ({"asset": "nothing"}, "asset"),
    ],
)
def test_a_term_that_does_not_fit_is_named(change, field):
    with pytest.raises(UsageError, match=field):
        encode_terms(replace(TERMS, **change))
