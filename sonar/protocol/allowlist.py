"""The mines that may commit to a bounty, as the Merkle root in its terms, and each one's proof.

The tree is that of OpenZeppelin's StandardMerkleTree over ["address"], which the contract verifies with
MerkleProof: a leaf is keccak256(keccak256(abi.encode(mine))), leaves stand in descending order at the end of
an array, and node i is the hash of its children 2i + 1 and 2i + 2 in ascending order. A leaf is hashed twice
so that no inner node can pass for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from sonar.errors import ConfigError
from sonar.protocol.ids import Address, parse_address
from sonar.protocol.keccak import keccak

MAX_MINES = 10_000


def leaf_of(mine: Address) -> bytes:
    """Return the leaf of a mine, 32 bytes."""
    return keccak(keccak(bytes(12) + bytes.fromhex(mine[2:])))


def read_list(lines: Iterable[str], field: str) -> tuple[Address, ...]:
    """Return the addresses, ascending. Raises ConfigError naming `field`."""
    mines = [parse_address(line, field) for line in lines]
    if not 1 <= len(mines) <= MAX_MINES:
        raise ConfigError(field, f"has {len(mines)} addresses", hint=f"name 1 to {MAX_MINES} mines")
    ascending = sorted(mines, key=lambda mine: int(mine, 16))
    for one, other in pairwise(ascending):
        if one == other:
            raise ConfigError(field, f"names {one} twice", hint="name each mine once")
    return tuple(ascending)


def root_of(mines: Sequence[Address]) -> bytes:
    """Return the Merkle root of the mines, in whatever order they are given; at least one."""
    return _tree([leaf_of(mine) for mine in mines])[0]


def proof_of(mines: Sequence[Address], mine: Address) -> list[bytes] | None:
    """Return the proof that `mine` is one of `mines`, or None if it is not."""
    if mine not in mines:
        return None
    tree = _tree([leaf_of(one) for one in mines])
    at = tree.index(leaf_of(mine), len(mines) - 1)
    proof = []
    while at > 0:
        proof.append(tree[at + 1 if at % 2 else at - 1])
        at = (at - 1) // 2
    return proof


def verifies(mine: Address, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the contract will accept a proof."""
    found = leaf_of(mine)
    for other in proof:
        found = _pair(found, other)
    return found == root


def _tree(leaves: Sequence[bytes]) -> list[bytes]:
    """Return the 2n - 1 nodes of the tree over n leaves; the root is the first."""
    tree = [b""] * (len(leaves) - 1) + sorted(leaves, reverse=True)
    for i in range(len(leaves) - 2, -1, -1):
        tree[i] = _pair(tree[2 * i + 1], tree[2 * i + 2])
    return tree


def _pair(one: bytes, other: bytes) -> bytes:
    return keccak(min(one, other) + max(one, other))
