"""The manifest of a model at one round."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.families.quadratic.spec import ModelSpec
from sonar.families.quadratic.stages import MAX_OUTPUTS
from sonar.protocol.record import MAX_COHORT, BlobLink, Manifest, ManifestLink, Name, Record, Round, Rows


class PlanSpec(Record):
    """The numbers of a slot plan. Bounds are fixed-point integers, of `weight_frac` and `data_frac` bits."""

    key_bits: Annotated[int, Field(ge=64, le=16_384)]
    values: Annotated[int, Field(ge=1, le=MAX_OUTPUTS)]
    weight_frac: Annotated[int, Field(ge=0, le=64)]
    data_frac: Annotated[int, Field(ge=0, le=64)]
    weight_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    a_row_l1_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    b_max: Annotated[int, Field(ge=1, lt=1 << 63)]
    mines_max: Annotated[int, Field(ge=1, le=MAX_COHORT)]
    rows_max: Rows


class ModelManifest(Manifest):
    """A model at one round: `round` trains on it. The weights are `plan.values` ciphertexts under the key.

    `allow_list` is there if the bounty's terms have an allow-root, and names its members.
    """

    max_bytes: ClassVar[int] = 1 << 20  # a Fourier map carries its matrix

    v: Literal[1] = 1
    kind: Literal["model"] = "model"
    name: Name
    round: Round
    spec: ModelSpec
    plan: PlanSpec
    key: ManifestLink
    weights: BlobLink
    zero_start: bool
    allow_list: ManifestLink | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.plan.values != self.spec.outputs:
            raise ValueError(f"plan.values: {self.plan.values}, but the spec has {self.spec.outputs} outputs")
        if self.spec.rows_max > self.plan.rows_max:
            raise ValueError("spec.rows_max: is more than plan.rows_max")
        return self
