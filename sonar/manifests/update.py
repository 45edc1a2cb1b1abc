"""The manifest of a mine's update for one round."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sonar.paillier.slots import MAX_VALUES
from sonar.protocol.record import (
    MAX_BLOBS,
    AddressField,
    BlobLinks,
    BountyField,
    Bytes32,
    ChainId,
    Manifest,
    ManifestLink,
    Record,
    Round,
    Rows,
)


class Veil(Record):
    """What capsules need to take the masks off a sum: see `sonar.veil`.

    `nonce` is fresh for each update. `seeds` are the hashes of the mine's seeds in this bounty, one a class;
    `envelopes` the seeds for each capsule, sealed, in the order of the cover's members. `wraps` says how
    often the masks of each ciphertext add up to n, hidden under one number of every class: for each
    ciphertext an integer modulo 2^slot_bits, big-endian, in as few bytes as hold it; nothing for words.
    """

    nonce: Bytes32
    seeds: Annotated[tuple[Bytes32, ...], Field(strict=False, min_length=1, max_length=35)]
    wraps: Annotated[bytes, Field(max_length=1 << 19)]
    envelopes: Annotated[
        tuple[Annotated[bytes, Field(min_length=1, max_length=4096)], ...],
        Field(strict=False, min_length=1, max_length=7),
    ]


class UpdateManifest(Manifest):
    """A mine's update for one round: `blobs` are the parts of its `ciphertexts`.

    `key` is the key's fingerprint: sha2-256 of n, big-endian. `veil` is there if the bounty's cover is one.
    Of an answer in words (`sonar.manifests.model.answers_are_words`), `ciphertexts` counts the words, 8 bytes
    each in `blobs`, and `key` is 32 bytes of zero, as nothing is encrypted.
    """

    max_bytes: ClassVar[int] = 1 << 20

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
    ciphertexts: Annotated[int, Field(ge=1, le=MAX_VALUES)]
    blobs: Annotated[BlobLinks, Field(max_length=MAX_BLOBS)]
    veil: Veil | None = None
