"""What a bounty is posted with: the manifests of the key, the model at one round, and who may take part.

The first model commits the scientist to the rows that judge her models before anybody commits to her bounty.
Only auditors see it opened; its salt hides the rows from anyone who could guess them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sonar.errors import UsageError
from sonar.families.registry import FamilySpec, family_of
from sonar.paillier.slots import MAX_VALUES, VEIL_FREE_BITS, SlotPlan
from sonar.protocol import allowlist, codec
from sonar.protocol.ids import Address, Digest
from sonar.protocol.record import (
    MAX_BLOBS,
    MAX_COHORT,
    MAX_WEIGHTS,
    AddressField,
    BlobLinks,
    DigestField,
    Manifest,
    ManifestLink,
    Name,
    Record,
    Round,
    Rows,
    is_ascending,
)
from sonar.veil.classes import MAX_MEMBERS, Classes
from sonar.veil.words import check_plan


class PlanSpec(Record):
    """The numbers of a slot plan. Bounds are fixed-point integers, of `weight_frac` and `data_frac` bits.

    `weights` counts them over all `outputs`; a mine's answer weighs min(its rows, `weight_rows`).
    """

    key_bits: Annotated[int, Field(ge=64, le=16_384)]
    weights: Annotated[int, Field(ge=1, le=MAX_VALUES)]
    outputs: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]
    weight_frac: Annotated[int, Field(ge=0, le=64)]
    data_frac: Annotated[int, Field(ge=0, le=64)]
    weight_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    a_row_l1_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    b_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    mines_max: Annotated[int, Field(ge=1, le=MAX_COHORT)]
    weight_rows: Rows


class PaillierCover(Record):
    """Answers are Paillier ciphertexts under the scientist's key, which could read each one."""

    kind: Literal["paillier"] = "paillier"

    @property
    def auditors(self) -> None:
        """Nobody recomputes settlements."""
        return None


class CapsuleKey(Record):
    """A capsule, and the key that seeds are sealed for: HPKE, ML-KEM-768 with X25519 (`sonar.veil`).

    `signature` is the capsule's account's over the rest (`sonar.protocol.capsules.key_digest`): so nobody
    else can name a key in its place.
    """

    account: AddressField
    epoch: Annotated[int, Field(ge=1, lt=1 << 32)]
    hpke: Annotated[bytes, Field(min_length=1216, max_length=1216)]
    signature: Annotated[bytes, Field(min_length=65, max_length=65)]


class AuditSpec(Record):
    """What capsules recompute settlements by, besides the rest of the manifest.

    `optimiser` is the sha2-256 of the optimiser's settings (`sonar.manifests.capsule`), so that it is named
    before anybody commits.
    """

    optimiser: DigestField


class VeilCover(Record):
    """Answers are masked inside their ciphertexts; any `threshold` of `members` can open a sum, and no fewer.

    `members` ascend by account. `bits`: the most that each capsule tells of one mine's answer in a round.
    `audit` is there if capsules recompute each settlement, and the bounty's settler is their committee.
    """

    kind: Literal["veil"] = "veil"
    threshold: Annotated[int, Field(ge=1, le=MAX_MEMBERS)]
    members: Annotated[tuple[CapsuleKey, ...], Field(strict=False, min_length=1, max_length=MAX_MEMBERS)]
    bits: Annotated[int, Field(ge=1, le=4096)]
    audit: AuditSpec | None = None

    @property
    def auditors(self) -> tuple[tuple[Address, ...], int] | None:
        """Who recomputes settlements and must sign them, and how many of them; None if nobody does."""
        return (tuple(member.account for member in self.members), self.threshold) if self.audit else None

    @cached_property
    def classes(self) -> Classes:
        """Who holds which seeds."""
        return Classes(len(self.members), self.threshold)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending([member.account for member in self.members]):
            raise ValueError("members: are not ascending, or one occurs twice")
        if len({member.hpke for member in self.members}) < len(self.members):
            raise ValueError("members: two have the same HPKE key, so that one would read what is for both")
        if self.threshold > len(self.members):
            raise ValueError("threshold: is more than there are members")
        if self.audit and self.threshold < 2:
            raise ValueError("audit: takes a threshold of at least 2")
        return self


FROZEN = ("name", "family", "cover", "plan", "zero_start", "holdout", "allow_list")
"""What no round of a bounty may change of its model's manifest. The key may be another, of as many bits."""

CoverSpec = Annotated[PaillierCover | VeilCover, Field(discriminator="kind")]
"""What hides one answer."""


def answers_are_words(family: FamilySpec, cover: CoverSpec) -> bool:
    """Tell whether answers are words under masks, with nothing encrypted: where everybody sees the question,
    and capsules cover what comes of it.
    """
    return family_of(family).visible and cover.kind == "veil"


class ModelManifest(Manifest):
    """A model at one round: `round` trains on it.

    `family` says what is computed, `cover` what hides an answer. `blobs` are the parts of the round's
    question (`sonar.families.question`): the encrypted weights, `plan.weights` ciphertexts under `key`, or
    the numbers that everybody sees. The answers are under `key` too, or words (`answers_are_words`).
    `zero_start`: the first round's weights are the null model's, zero but for a mark in the biases. `holdout`
    commits the scientist to the rows that judge it (`commitment`), which may be none.
    `allow_list` is there if the bounty's terms have an allow-root, and names its members.
    """

    max_bytes: ClassVar[int] = 1 << 20  # a Fourier map carries its matrix

    v: Literal[2] = 2
    kind: Literal["model"] = "model"
    name: Name
    round: Round
    family: FamilySpec
    cover: CoverSpec
    plan: PlanSpec
    key: ManifestLink
    blobs: Annotated[BlobLinks, Field(max_length=MAX_BLOBS)]
    zero_start: bool
    holdout: DigestField
    allow_list: ManifestLink | None = None

    @cached_property
    def slot_plan(self) -> SlotPlan:
        """How answers are packed under this cover, or what their words hold. Raises PlanError."""
        free_bits = VEIL_FREE_BITS if self.cover.kind == "veil" else 0
        plan = SlotPlan.from_dict(self.plan.model_dump(), free_bits=free_bits)
        if self.answers_are_words:
            check_plan(plan, self.cover.classes.count if self.cover.kind == "veil" else 0)
        return plan

    @property
    def answers_are_words(self) -> bool:
        """See `answers_are_words`."""
        return answers_are_words(self.family, self.cover)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.plan.weights != self.family.weights or self.plan.outputs != self.family.outputs:
            raise ValueError(
                f"plan: {self.plan.weights} weights for {self.plan.outputs} outputs, but the family has "
                f"{self.family.weights} for {self.family.outputs}"
            )
        if self.answers_are_words and self.cover.auditors is not None:
            raise ValueError("cover.audit: answers in words are not audited; leave it out")
        return self


class KeyManifest(Manifest):
    """A Paillier public key: the modulus, big-endian, with exactly `bits` bits, and a proof that it is sound.

    The proof's form and meaning: `sonar.paillier.public`.
    """

    v: Literal[2] = 2
    kind: Literal["key"] = "key"
    bits: Annotated[int, Field(ge=64, le=16_384)]
    n: Annotated[bytes, Field(min_length=8, max_length=2048)]
    proof: Annotated[bytes, Field(max_length=32_768)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.n) != (self.bits + 7) // 8 or int.from_bytes(self.n, "big").bit_length() != self.bits:
            raise ValueError("n must have exactly `bits` bits, in as few bytes as hold them")
        return self


SALT_BYTES = 32
_DOMAIN = b"sonar holdout v2"


def commitment(salt: bytes, columns: Sequence[str], values: NDArray[np.float64]) -> Digest:
    """Return sha2-256 over domain, salt and the digest of the rows; values float64[rows, len(columns)].

    Columns are features, then targets. Raises UsageError when shapes or the salt's length do not fit.
    """
    if len(salt) != SALT_BYTES:
        raise UsageError(f"a holdout's salt has {SALT_BYTES} bytes, not {len(salt)}")
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise UsageError(f"the holdout has shape {values.shape}, and {len(columns)} columns are named")
    rows = hashlib.sha256(np.ascontiguousarray(values, dtype=">f8").tobytes()).digest()
    header = codec.encode({"columns": list(columns), "rows": len(values), "values": rows})
    return Digest(hashlib.sha256(_DOMAIN + salt + header).digest())


class AllowList(Manifest):
    """The mines that may commit to a bounty, ascending: 20 bytes each in `mines`."""

    max_bytes: ClassVar[int] = 1 << 18  # 10,000 addresses take 210,000

    v: Literal[2] = 2
    kind: Literal["allowlist"] = "allowlist"
    mines: Annotated[
        tuple[AddressField, ...], Field(strict=False, min_length=1, max_length=allowlist.MAX_MINES)
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending(self.mines):
            raise ValueError("mines: are not ascending, or one occurs twice")
        return self
