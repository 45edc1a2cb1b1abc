"""Manifests: the small DAG-CBOR blocks that say what a blob is. Each has a version `v` and a `kind`.

    key        the scientist's public key
    model      what to train, how, under which key; links the key manifest and the blob of encrypted weights
    update     what a mine returns for a round; links the model and the blob of encrypted update
    evidence   what the scientist found when she settled a round; links the old and the new model
    allowlist  the mines that may commit to a bounty; a model links to it

`Manifest.from_bytes` takes hostile bytes: it checks the size, decodes strictly (`sonar.protocol.codec`),
checks each field against its type and limit, refuses unknown fields, and compares the re-encoded result with
what came in. What it raises is ManifestError or BlobTooLarge. What only the receiver can check is left to it:
that links lead to what they should, that a plan is sound (`sonar.paillier.slots`), that a key is
(`sonar.paillier.public`).

In Python an address is checksummed text and a link a `Cid`; on the wire they are 20 bytes and tag 42. There
are no floats on the wire: a name that ends in `_q32` holds round(x * 2^32).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from sonar.errors import ConfigError, ManifestError
from sonar.protocol import allowlist, codec
from sonar.protocol.cid import Cid
from sonar.protocol.featuremaps import MAX_OUTPUTS, Q32, Stage, least_rows, weights_of
from sonar.protocol.ids import Address, BountyId, Digest, digest_of, parse_address

MAX_COHORT = 255
MAX_ROWS = (1 << 32) - 1
_WIRE = {"wire": True}


def _address(value: Any, info: ValidationInfo) -> str:
    """Take 20 bytes, or (not from the wire) an address as text."""
    if isinstance(value, bytes) and len(value) == 20:
        return parse_address("0x" + value.hex())
    if isinstance(value, str) and not (info.context or {}).get("wire"):
        try:
            return parse_address(value)
        except ConfigError as error:
            raise ValueError(error.problem) from None
    raise ValueError("must be an address: 20 bytes")


def _link_to(codec_name: str) -> Any:
    def check(cid: Cid) -> Cid:
        if cid.codec != codec_name:
            raise ValueError(f"must be a {codec_name} link")
        return cid

    return check


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


_IS_ADDRESS = BeforeValidator(_address)
AddressField = Annotated[Address, _IS_ADDRESS]
Bytes32 = Annotated[bytes, Field(min_length=32, max_length=32)]
DigestField = Annotated[Digest, Field(min_length=32, max_length=32)]
BountyField = Annotated[BountyId, Field(min_length=32, max_length=32)]
BlobLink = Annotated[InstanceOf[Cid], AfterValidator(_link_to("raw"))]
ManifestLink = Annotated[InstanceOf[Cid], AfterValidator(_link_to("dag-cbor"))]
MAX_NAME = 64
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
Note = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
ChainId = Annotated[int, Field(ge=1, lt=1 << 63)]
Round = Annotated[int, Field(ge=1, le=255)]
Rows = Annotated[int, Field(ge=1, le=MAX_ROWS)]
Loss = Annotated[int, Field(ge=0, lt=1 << 64)]


class Record(BaseModel):
    """A strict, frozen record. `parse` is the way in for what a person or a peer wrote."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record with these fields. Raises ManifestError, which names the first wrong field."""
        return cls._validated(dict(fields), {})

    @classmethod
    def _validated(cls, fields: Any, context: dict[str, Any]) -> Self:
        try:
            return cls.model_validate(fields, context=context)
        except ValidationError as error:
            raise _manifest_error(cls.__name__, error) from None


def _manifest_error(name: str, error: ValidationError) -> ManifestError:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part)[:64] for part in first["loc"]) or name
    kind = type(first["input"]).__name__
    problem = f"{first['msg'].removeprefix('Value error, ')[:200]} (got a value of type {kind})"
    if first["type"] == "extra_forbidden":
        problem = f"unknown field in {name}"
    elif first["type"] == "missing":
        problem = f"missing in {name}"
    return ManifestError(_shown(path), _shown(problem), hint=f"see {name} in sonar.protocol.messages")


def _shown(text: str) -> str:
    """Return hostile text fit for a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _plain(value: Any) -> Any:
    """Return what goes on the wire: a map for a record, 20 bytes for an address, the rest as it is.

    An optional field that is not given is left out.
    """
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, BaseModel):
        return value
    fields = {name: _plain(item) for name, item in value}
    for name, field in type(value).model_fields.items():
        if _IS_ADDRESS in field.metadata:
            fields[name] = bytes.fromhex(fields[name][2:])
        elif _IS_ADDRESS in getattr(next(iter(get_args(field.annotation)), None), "__metadata__", ()):
            fields[name] = [bytes.fromhex(item[2:]) for item in fields[name]]
        elif field.default is None and fields[name] is None:
            del fields[name]
    return fields


class Manifest(Record):
    """A record that travels by itself, named by the hash of its bytes."""

    max_bytes: ClassVar[int] = codec.MAX_BYTES

    def to_bytes(self) -> bytes:
        """Return the canonical encoding."""
        return codec.encode(_plain(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the manifest encoded in `data`. Raises ManifestError, BlobTooLarge."""
        fields = codec.decode(data, max_bytes=cls.max_bytes, what=cls.__name__)
        if not isinstance(fields, dict):
            raise ManifestError(cls.__name__, f"is not a map (got a value of type {type(fields).__name__})")
        manifest = cls._validated(fields, _WIRE)
        if manifest.to_bytes() != data:
            raise ManifestError(cls.__name__, "is not in canonical form", hint="encode it again")
        return manifest

    def cid(self) -> Cid:
        """Return the CID of the encoded manifest."""
        return Cid.of_manifest(self.to_bytes())

    def digest(self) -> Digest:
        """Return the sha2-256 digest of the encoded manifest, which is what the contract holds."""
        return digest_of(self.to_bytes())


class KeyManifest(Manifest):
    """A Paillier public key: the modulus, big-endian, with exactly `bits` bits, and a proof that it is sound.

    The proof's form and meaning: `sonar.paillier.keyproof`.
    """

    v: Literal[1] = 1
    kind: Literal["key"] = "key"
    bits: Annotated[int, Field(ge=64, le=16_384)]
    n: Annotated[bytes, Field(min_length=8, max_length=2048)]
    proof: Annotated[bytes, Field(max_length=32_768)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.n) != (self.bits + 7) // 8 or int.from_bytes(self.n, "big").bit_length() != self.bits:
            raise ValueError("n must have exactly `bits` bits, in as few bytes as hold them")
        return self


class ModelSpec(Record):
    """What is learned from which columns: prediction = phi(x) w, phi the stages and a last column of ones.

    `features` and `target` are column names. `local_steps` and `local_rate_q32` are the gradient steps that a
    mine makes by itself in a round. A mine has from `rows_min` to `rows_max` rows, and targets of at most
    `target_max_q32` in magnitude.
    """

    features: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_OUTPUTS)]
    target: Name
    stages: Annotated[tuple[Stage, ...], Field(strict=False, max_length=8)] = ()
    loss: Literal["squared", "logistic-taylor"] = "squared"
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate_q32: Annotated[int, Field(ge=0, le=1 << 40)] = 0
    rows_min: Rows
    rows_max: Rows
    target_max_q32: Annotated[Q32, Field(gt=0)]

    @property
    def outputs(self) -> int:
        """Number of weights: the stages' outputs and the bias."""
        return weights_of(self.stages, len(self.features))

    @property
    def least_rows(self) -> int:
        """Number of rows that hide one another in a mine's sums, whatever `rows_min` says."""
        return least_rows(self.stages, len(self.features))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.features)) != len(self.features) or self.target in self.features:
            raise ValueError("features: a column is named twice, or is the target")
        if self.outputs > MAX_OUTPUTS:
            raise ValueError(f"features: {self.outputs} weights with the bias; at most {MAX_OUTPUTS}")
        if self.rows_min > self.rows_max:
            raise ValueError("rows_min: is more than rows_max")
        if self.local_steps > 1 and self.local_rate_q32 == 0:
            raise ValueError("local_rate_q32: must be more than 0 when local_steps is more than 1")
        return self


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


class AllowList(Manifest):
    """The mines that may commit to a bounty, ascending: 20 bytes each in `mines`."""

    max_bytes: ClassVar[int] = 1 << 18  # 10,000 addresses take 210,000

    v: Literal[1] = 1
    kind: Literal["allowlist"] = "allowlist"
    mines: Annotated[
        tuple[AddressField, ...], Field(strict=False, min_length=1, max_length=allowlist.MAX_MINES)
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        order = [int(mine, 16) for mine in self.mines]
        if order != sorted(set(order)):
            raise ValueError("mines: are not ascending, or one occurs twice")
        return self


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


class UpdateManifest(Manifest):
    """A mine's update for one round. `key` is the key's fingerprint: sha2-256 of n, big-endian."""

    v: Literal[1] = 1
    kind: Literal["update"] = "update"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    mine: AddressField
    model: ManifestLink
    key: Bytes32
    rows: Rows
    ciphertexts: Annotated[int, Field(ge=1, le=MAX_OUTPUTS)]
    blob: BlobLink


class CohortMember(Record):
    """What the scientist found about one revealed update. Its score is not told: the share says enough."""

    mine: AddressField
    update: DigestField
    rows: Annotated[int, Field(ge=0, le=MAX_ROWS)]
    accepted: bool
    reason: Note = ""
    share_bps: Annotated[int, Field(ge=0, le=10_000)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.accepted == bool(self.reason):
            raise ValueError("reason: must be empty for an accepted update, and only for one")
        if not self.accepted and self.share_bps:
            raise ValueError("share_bps: an update that was left out has no share")
        return self


class EvidenceManifest(Manifest):
    """The record of a settled round: losses in thousandths, the whole cohort ascending by address.

    `aggregate` is the digest of the aggregate that was decrypted, null if none was. A member whose blob could
    not be had has `rows` 0.
    """

    max_bytes: ClassVar[int] = 1 << 18  # 255 members with a reason each

    v: Literal[1] = 1
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
        order = [member.mine.lower() for member in self.cohort]
        if order != sorted(set(order)):
            raise ValueError("cohort: mines are not ascending, or one occurs twice")
        if self.accepted_rows != sum(member.rows for member in self.cohort if member.accepted):
            raise ValueError("accepted_rows: is not the sum over the accepted updates")
        if sum(member.share_bps for member in self.cohort) not in (0, 10_000):
            raise ValueError("cohort: shares add up to neither 10000 basis points nor 0")
        return self
