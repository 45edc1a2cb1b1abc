"""The Merkle tree of an allow-list is OpenZeppelin's, its members have proofs, and nobody else has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import BlobTooLarge, ConfigError, ManifestError
from sonar.manifests.model import AllowList
from sonar.protocol import allowlist, codec
from sonar.protocol.allowlist import MAX_MINES, leaf_of, proof_of, read_list, root_of, verifies
from sonar.protocol.ids import Address, parse_address


def mine(number: int) -> Address:
    return parse_address(f"0x{number:040x}")


NUMBERS = st.integers(0, 2**160 - 1)
LISTS = st.lists(NUMBERS, min_size=1, max_size=40, unique=True).map(lambda found: [mine(n) for n in found])


def test_a_leaf_is_the_double_hash_of_the_abi_s_encoding() -> None:
    assert leaf_of(mine(7)) == keccak(keccak(encode(["address"], [mine(7)])))


def test_the_tree_is_that_of_openzeppelin_s_library() -> None:
    """Root and proof of the example in the README of @openzeppelin/merkle-tree."""
    values = [("0x" + "11" * 20, 5 * 10**18), ("0x" + "22" * 20, 25 * 10**17)]
    leaves = [keccak(keccak(encode(["address", "uint256"], value))) for value in values]
    tree = allowlist._tree(leaves)
    assert [node.hex() for node in tree] == [
        "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77",
        "eb02c421cfa48976e66dfb29120745909ea3a0f843456c263cf8f1253483e283",
        "b92c48e9d7abe27fd8dfd6b5dfdbfb1c9a463f80c712b66f3a5180a090cccafc",
    ]


def test_the_vectors_verify() -> None:
    for case in json.loads((Path(__file__).parents[1] / "vectors/allowlists.json").read_text()):
        for one, proof in case["proofs"].items():
            nodes = [bytes.fromhex(node) for node in proof]
            assert verifies(one, nodes, bytes.fromhex(case["root"]))


def test_a_list_of_one_has_an_empty_proof() -> None:
    assert root_of([mine(1)]) == leaf_of(mine(1))
    assert proof_of([mine(1)], mine(1)) == []


@given(LISTS, st.randoms(use_true_random=False))
def test_every_member_s_proof_verifies_whatever_the_order(mines: list[Address], random: object) -> None:
    root = root_of(mines)
    shuffled = sorted(mines, key=lambda one: random.random())  # type: ignore[attr-defined]
    assert root_of(shuffled) == root
    for one in mines:
        proof = proof_of(shuffled, one)
        assert proof is not None
        assert verifies(one, proof, root)
        assert len(proof) <= (len(mines) - 1).bit_length() + 1


@given(LISTS, NUMBERS)
def test_nobody_else_has_a_proof(mines: list[Address], number: int) -> None:
    other, root = mine(number), root_of(mines)
    if other in mines:
        return
    assert proof_of(mines, other) is None
    for one in mines:
        proof = proof_of(mines, one)
        assert proof is not None
        assert not verifies(other, proof, root)
    assert root_of([*mines, other]) != root


@given(LISTS)
def test_no_inner_node_passes_for_a_member(mines: list[Address]) -> None:
    """The proof cut short leads from an inner node, which no address hashes to."""
    root = root_of(mines)
    for one in mines:
        proof = proof_of(mines, one)
        assert proof is not None
        if proof:
            assert not verifies(one, proof[1:], root)
            assert not verifies(one, [*proof, proof[-1]], root)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "has 0 addresses"),
        ([mine(1), mine(2), mine(1).lower()], "twice"),
        (["0x12"], "is not an address"),
        ([mine(n) for n in range(MAX_MINES + 1)], "has 10001 addresses"),
    ],
)
def test_a_list_that_is_none(lines: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_list(lines, "allow")


@given(LISTS)
def test_the_manifest_comes_back_as_it_was(mines: list[Address]) -> None:
    manifest = AllowList(mines=read_list(mines, "allow"))
    again = AllowList.from_bytes(manifest.to_bytes())
    assert again == manifest
    assert set(again.mines) == set(mines)
    fields: Any = codec.decode(manifest.to_bytes())
    assert fields["mines"] == [bytes.fromhex(m[2:]) for m in manifest.mines]


def test_the_longest_list_fits_its_manifest() -> None:
    manifest = AllowList(mines=tuple(mine((n + 1) << 140) for n in range(MAX_MINES)))
    assert len(manifest.to_bytes()) < AllowList.max_bytes
    assert AllowList.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "mines",
    [
        [],
        [b"\2" * 20, b"\1" * 20],
        [b"\1" * 20, b"\1" * 20],
        [b"\1" * 19],
        [mine(1)],
        [b"\1" * 20, None],
        "mines",
    ],
)
def test_a_hostile_manifest_is_refused(mines: Any) -> None:
    data = codec.encode({"v": 2, "kind": "allowlist", "mines": mines})
    with pytest.raises(ManifestError, match="mines"):
        AllowList.from_bytes(data)


def test_a_manifest_too_long_to_read_is_not_read() -> None:
    with pytest.raises(BlobTooLarge):
        AllowList.from_bytes(bytes(AllowList.max_bytes + 1))
