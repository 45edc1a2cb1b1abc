"""The manifest of a mine's update for one round."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sonar.protocol.record import (
    MAX_BLOBS,
    MAX_WEIGHTS,
    AddressField,
    BlobLinks,
    BountyField,
    Bytes32,
    ChainId,
    Manifest,
    ManifestLink,
    Round,
    Rows,
)


class UpdateManifest(Manifest):
    """A mine's update for one round: `blobs` are the parts of its `ciphertexts`.

    `key` is the key's fingerprint: sha2-256 of n, big-endian.
    """

    v: Literal[2] = 2
    kind: Literal["update"] = "update"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    mine: AddressField
    model: ManifestLink
    key: Bytes32
    rows: Rows
    ciphertexts: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]
    blobs: Annotated[BlobLinks, Field(max_length=MAX_BLOBS)]
