"""The manifest of the set of answers that may be opened in a round: its digest is what `fixCohort` fixes."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.protocol.record import (
    MAX_COHORT,
    MAX_ROWS,
    AddressField,
    BountyField,
    ChainId,
    DigestField,
    Manifest,
    Record,
    Round,
    is_ascending,
)


class Addend(Record):
    """One answer of the sum: who made it, its update's digest, and the weight that it enters with."""

    mine: AddressField
    update: DigestField
    weight: Annotated[int, Field(ge=1, le=MAX_ROWS)]


class CohortManifest(Manifest):
    """The answers whose weighted sum a round opens, ascending by mine."""

    max_bytes: ClassVar[int] = 1 << 16  # 255 addends take 30,000

    v: Literal[2] = 2
    kind: Literal["cohort"] = "cohort"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    addends: Annotated[tuple[Addend, ...], Field(strict=False, min_length=2, max_length=MAX_COHORT)]

    @property
    def weights(self) -> dict[str, int]:
        """What each answer of the set weighs, by mine."""
        return {one.mine: one.weight for one in self.addends}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending([addend.mine for addend in self.addends]):
            raise ValueError("addends: mines are not ascending, or one occurs twice")
        return self


@lru_cache(maxsize=256)
def read_cohort(data: bytes) -> CohortManifest:
    """Return the manifest that these bytes are. Raises ManifestError, BlobTooLarge.

    Which sets were opened before is asked for in every round, and earlier ones are read again each time.
    """
    return CohortManifest.from_bytes(data)
