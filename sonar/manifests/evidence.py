"""The manifest of what the scientist found when she settled a round."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.protocol.record import (
    MAX_COHORT,
    MAX_ROWS,
    AddressField,
    BountyField,
    ChainId,
    DigestField,
    Loss,
    Manifest,
    ManifestLink,
    Note,
    Record,
    Round,
    is_ascending,
)


class CohortMember(Record):
    """What the scientist found about one revealed update. Its score is not published: the share says enough.

    `reason`: why it was left out, or why an accepted one counts for less than it says. One that was left out
    for the others' privacy alone has a share of one basis point, which brings its fee. `twin`: the first
    address of those whose answers are of the same data, its own among them.
    """

    mine: AddressField
    update: DigestField
    rows: Annotated[int, Field(ge=0, le=MAX_ROWS)]
    accepted: bool
    reason: Note = ""
    share_bps: Annotated[int, Field(ge=0, le=10_000)]
    twin: AddressField | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.accepted and not self.reason:
            raise ValueError("reason: must say why an update was left out")
        if not self.accepted and self.share_bps > 1:
            raise ValueError("share_bps: an update that was left out has no share, but one for its fee")
        return self


class EvidenceManifest(Manifest):
    """The record of a settled round: losses in millionths of the null model's, the cohort ascending by
    address.

    `aggregate` is the digest of the aggregate that was decrypted, behind capsules of the `CohortManifest`
    that was fixed on the chain; null if none was. A member whose blob could not be fetched has `rows` 0.
    """

    max_bytes: ClassVar[int] = 1 << 18  # 255 members with a reason each

    v: Literal[2] = 2
    kind: Literal["evidence"] = "evidence"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    model: ManifestLink
    new_model: ManifestLink
    loss: Loss
    best_loss: Loss
    accepted_rows: Annotated[int, Field(ge=0, le=MAX_ROWS * MAX_COHORT)]
    aggregate: DigestField | None
    cohort: Annotated[tuple[CohortMember, ...], Field(strict=False, min_length=1, max_length=MAX_COHORT)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending([member.mine for member in self.cohort]):
            raise ValueError("cohort: mines are not ascending, or one occurs twice")
        if self.accepted_rows != sum(member.rows for member in self.cohort if member.accepted):
            raise ValueError("accepted_rows: is not the sum over the accepted updates")
        if sum(member.share_bps for member in self.cohort) not in (0, 10_000):
            raise ValueError("cohort: shares add up to neither 10000 basis points nor 0")
        return self
