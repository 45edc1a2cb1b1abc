"""Encrypted updates as the key takes them, and the digests by which its ledger names what it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmpy2 import mpz

from sonar.paillier.public import PublicKey
from sonar.paillier.slots import MAX_FRAC, SlotPlan


@dataclass(frozen=True)
class MineUpdate:
    """One mine's encrypted update: its address, the number of rows that weights it, its ciphertexts."""

    mine: str
    rows: int
    ciphertexts: tuple[mpz, ...]


@dataclass(frozen=True)
class RoundUpdates:
    """A round as the tests need it: its number, fixed-point weights int[d], the revealed updates by mine."""

    round: int
    weights_int: Sequence[int]
    updates: Mapping[str, MineUpdate]


def aggregate_digest(key: PublicKey, plan: SlotPlan, updates: Sequence[MineUpdate]) -> bytes:
    """sha2-256 that names an aggregate: the key, the plan, and each mine's address, rows and ciphertexts.

    The order of `updates` does not matter.
    """
    parts = (update_digest(key, update) for update in sorted(updates, key=lambda update: update.mine))
    return digest_of_parts(b"sonar aggregate", key.fingerprint, plan_bytes(plan), *parts)


def weights_digest(plan: SlotPlan, weights_int: Sequence[int]) -> bytes:
    """Name the weights themselves, whatever the scale that a plan writes them at."""
    finest = (int(w) << (MAX_FRAC - plan.weight_frac) for w in weights_int)
    return digest_of_parts(*(str(w).encode() for w in finest))


def update_digest(key: PublicKey, update: MineUpdate) -> bytes:
    """Name one mine's update, with its address and rows."""
    blob = key.encode_blob(update.ciphertexts)
    return digest_of_parts(update.mine.encode(), str(update.rows).encode(), blob)


def plan_bytes(plan: SlotPlan) -> bytes:
    """A plan's fields in one form."""
    return ",".join(f"{name}={value}" for name, value in sorted(plan.to_dict().items())).encode()


def digest_of_parts(*parts: bytes) -> bytes:
    """sha2-256 over the parts, each after its length."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
