"""Encrypted updates as a key holder takes them, and the digests by which its ledger names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gmpy2 import mpz

from sonar.errors import CiphertextError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import MAX_FRAC, SlotPlan

NO_TWINS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class MineUpdate:
    """One mine's encrypted update: its address, its rows, its ciphertexts, and their `blob`.

    `read` and `of` make one, and check every ciphertext; nobody has to check them again.
    """

    mine: str
    rows: int
    ciphertexts: tuple[mpz, ...] = field(repr=False)
    blob: bytes = field(repr=False)

    @classmethod
    def read(cls, key: PublicKey, plan: SlotPlan, mine: str, rows: int, blob: bytes) -> MineUpdate:
        """Read what a mine sent. Raises CiphertextError."""
        return cls(mine, rows, tuple(key.decode_blob(blob, plan.ciphertexts)), blob)

    @classmethod
    def of(cls, key: PublicKey, mine: str, rows: int, ciphertexts: Sequence[mpz]) -> MineUpdate:
        """Make one of ciphertexts. Raises CiphertextError."""
        blob = key.encode_blob(ciphertexts)
        return cls(mine, rows, tuple(mpz(c) for c in ciphertexts), blob)

    def check(self, key: PublicKey, plan: SlotPlan) -> None:
        """Check that it is as long as the plan says, under this key. Raises CiphertextError."""
        there, wanted = len(self.ciphertexts), plan.ciphertexts
        if there != wanted or len(self.blob) != wanted * key.ciphertext_bytes:
            raise CiphertextError(
                f"{self.mine}: {there} ciphertexts in {len(self.blob)} bytes; the slot plan has {wanted} of "
                f"{key.ciphertext_bytes} bytes each"
            )

    @property
    def name(self) -> bytes:
        """The digest of the ciphertexts, whoever sent them and however they are weighted."""
        return digest_of_parts(self.blob)


def aggregate_digest(
    key: PublicKey, plan: SlotPlan, updates: Sequence[MineUpdate], twins: Mapping[str, str] = NO_TWINS
) -> bytes:
    """sha2-256 that names an aggregate: the key, the plan, and each mine's address, weight and ciphertexts.

    The order of `updates` does not matter.
    """
    weights = weights_of(plan, updates, twins)
    parts = (
        digest_of_parts(one.mine.encode(), str(weights[one.mine]).encode(), one.blob)
        for one in sorted(updates, key=lambda one: one.mine)
    )
    return digest_of_parts(b"sonar aggregate", key.fingerprint, plan_bytes(plan), *parts)


def weight_of(plan: SlotPlan, update: MineUpdate) -> int:
    """An update's weight in a sum: its rows, which nobody can check, but at most `weight_rows`."""
    return min(update.rows, plan.weight_rows)


def weights_of(
    plan: SlotPlan, updates: Sequence[MineUpdate], twins: Mapping[str, str] = NO_TWINS
) -> dict[str, int]:
    """What each update weighs in their sum, by mine.

    Those of twins weigh as much together as the lightest of them alone. What does not divide evenly goes to
    the lower addresses, so that of very many some weigh nothing.
    """
    weights = {one.mine: weight_of(plan, one) for one in updates}
    for together in grouped(weights, twins):
        part, left = divmod(min(weights[mine] for mine in together), len(together))
        weights |= {mine: part + (place < left) for place, mine in enumerate(sorted(together))}
    return weights


def grouped(mines: Iterable[str], twins: Mapping[str, str]) -> list[list[str]]:
    """Return who counts as one: `twins` names for each mine that has any the first of its group."""
    groups: dict[str, list[str]] = {}
    for mine in mines:
        groups.setdefault(twins.get(mine, mine), []).append(mine)
    return list(groups.values())


def weights_digest(plan: SlotPlan, weights_int: Sequence[int]) -> bytes:
    """Name the weights themselves, whatever the scale that a plan writes them at."""
    finest = (int(w) << (MAX_FRAC - plan.weight_frac) for w in weights_int)
    return digest_of_parts(*(str(w).encode() for w in finest))


def plan_bytes(plan: SlotPlan) -> bytes:
    """A plan's fields in one form."""
    return ",".join(f"{name}={value}" for name, value in sorted(plan.to_dict().items())).encode()


def digest_of_parts(*parts: bytes) -> bytes:
    """sha2-256 over the parts, each after its length."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
