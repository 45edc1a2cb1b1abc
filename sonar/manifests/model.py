"""The manifest of a model at one round."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.families.registry import FamilySpec
from sonar.protocol.record import (
    MAX_BLOBS,
    MAX_COHORT,
    MAX_WEIGHTS,
    BlobLinks,
    DigestField,
    Manifest,
    ManifestLink,
    Name,
    Record,
    Round,
    Rows,
)


class PlanSpec(Record):
    """The numbers of a slot plan. Bounds are fixed-point integers, of `weight_frac` and `data_frac` bits.

    `weights` counts them over all `outputs`; a mine's answer weighs min(its rows, `weight_rows`).
    """

    key_bits: Annotated[int, Field(ge=64, le=16_384)]
    weights: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]
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


CoverSpec = PaillierCover
"""What hides one answer. With a second cover: their union, discriminated by `kind`."""


class ModelManifest(Manifest):
    """A model at one round: `round` trains on it.

    `family` says what is computed, `cover` what hides an answer. `blobs` are the parts of the encrypted
    weights, `plan.weights` ciphertexts under the key. `zero_start`: the first round's weights are zero, which
    is the null model. `holdout` commits the scientist to the rows that judge it (`sonar.manifests.holdout`).
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.plan.weights != self.family.weights or self.plan.outputs != self.family.outputs:
            raise ValueError(
                f"plan: {self.plan.weights} weights for {self.plan.outputs} outputs, but the family has "
                f"{self.family.weights} for {self.family.outputs}"
            )
        return self
