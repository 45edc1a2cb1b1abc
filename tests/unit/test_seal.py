"""Seals and bounty ids: the ABI encoding by an independent library, and every field counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import UsageError
from sonar.protocol.ids import ETHER, Address, BountyId, Digest, parse_address
from sonar.protocol.phase import Terms
from sonar.protocol.seal import (
    bounty_id,
    encode_terms,
    kept,
    seal,
    settlement_digest,
    terms_of,
    terms_values,
)

A, B = parse_address("0x" + "11" * 20), parse_address("0x" + "22" * 20)
TERMS = Terms(ETHER, 10, 3, 7, 40, 40, 60, 10**16, 10**15, 10**18, 26_645_643, 2_500_000)
TERMS_TYPE = (
    "(address,uint8,uint8,uint8,uint24,uint24,uint24,uint16,uint16,uint96,uint96,uint96,uint64,uint64,"
    "address,bytes32)"
)

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: parse_address("0x" + raw.hex()))


@given(
    st.tuples(st.integers(0, (1 << 256) - 1), addresses, words, st.integers(0, 255), addresses, words, words)
)
def test_seal_is_the_hash_of_the_abi_encoding(
    args: tuple[int, Address, BountyId, int, Address, Digest, bytes],
) -> None:
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
        addresses,
        *[st.integers(0, (1 << 16) - 1)] * 2,
    )
)
def test_terms_and_bounty_id_are_the_abi_encoding(terms: Terms) -> None:
    assert encode_terms(terms) == encode([TERMS_TYPE], [terms_values(terms)])
    assert terms_of(terms_values(terms)) == terms
    expected = encode(
        ["uint256", "address", "address", "bytes32", "bytes32", "bytes32", "bytes32"],
        [1337, A, B, keccak(encode_terms(terms)), b"m" * 32, b"k" * 32, b"s" * 32],
    )
    assert bounty_id(1337, A, B, terms, Digest(b"m" * 32), Digest(b"k" * 32), b"s" * 32) == keccak(expected)


def test_every_field_of_a_seal_counts() -> None:
    base: list[Any] = [1, A, b"b" * 32, 1, A, b"u" * 32, b"s" * 32]
    other: list[Any] = [2, B, b"c" * 32, 2, B, b"v" * 32, b"t" * 32]
    changed = [[*base[:i], other[i], *base[i + 1 :]] for i in range(len(base))]
    seals = {seal(*base)} | {seal(*each) for each in changed}
    assert len(seals) == len(base) + 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cohort_cap": 256}, "cohort_cap"),
        ({"stake_units": 1 << 96}, "stake_units"),
        ({"reward_units": -1}, "reward_units"),
        ({"commit_window_s": 1 << 24}, "commit_window_s"),
        ({"initial_loss": 1 << 64}, "initial_loss"),
        ({"quiet_s": 1 << 16}, "quiet_s"),
        ({"overdue_bps": -1}, "overdue_bps"),
        ({"settler": "0x12"}, "settler"),
        ({"allow_root": b""}, "allow_root"),
        ({"asset": "0x12"}, "asset"),
        ({"asset": "nothing"}, "asset"),
    ],
)
def test_a_term_that_does_not_fit_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError, match=field):
        encode_terms(replace(TERMS, **change))


@given(
    words,
    st.integers(0, 255),
    words,
    st.integers(0, (1 << 64) - 1),
    st.lists(st.tuples(addresses, st.integers(0, (1 << 16) - 1)), max_size=4),
    words,
)
def test_a_settlement_is_signed_as_typed_data(
    bounty: BountyId,
    number: int,
    model: Digest,
    loss: int,
    awards: list[tuple[Address, int]],
    evidence: Digest,
) -> None:
    """Against the typed data of an independent library."""
    message = {
        "bounty": bounty,
        "round": number,
        "newModelDigest": model,
        "newLoss": loss,
        "awards": [{"mine": mine, "shareBps": share} for mine, share in awards],
        "evidenceDigest": evidence,
    }
    types = {
        "Settlement": [
            {"name": "bounty", "type": "bytes32"},
            {"name": "round", "type": "uint8"},
            {"name": "newModelDigest", "type": "bytes32"},
            {"name": "newLoss", "type": "uint64"},
            {"name": "awards", "type": "Award[]"},
            {"name": "evidenceDigest", "type": "bytes32"},
        ],
        "Award": [{"name": "mine", "type": "address"}, {"name": "shareBps", "type": "uint16"}],
    }
    domain = {"name": "Sonar TrainingMarket", "version": "2", "chainId": 1337, "verifyingContract": A}
    signable = encode_typed_data(domain, types, message)
    expected = keccak(b"\x19\x01" + signable.header + signable.body)
    assert settlement_digest(1337, A, bounty, number, model, loss, awards, evidence) == expected


def test_a_settlement_whose_fields_do_not_fit_is_named() -> None:
    fields: list[Any] = [1, A, b"b" * 32, 1, b"m" * 32, 5, [(B, 10_000)], b"e" * 32]
    wrong = {3: 256, 4: b"", 5: -1, 6: [(B, 1 << 16)], 7: b"e" * 31}
    names = {3: "round", 4: "new_model_digest", 5: "new_loss", 6: "share_bps", 7: "evidence_digest"}
    for place, value in wrong.items():
        changed = [*fields[:place], value, *fields[place + 1 :]]
        with pytest.raises(UsageError, match=names[place]):
            settlement_digest(*changed)
