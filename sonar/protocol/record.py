"""Records and manifests: strict, frozen and typed. All hostile bytes become fields here.

A record is a set of fields; a manifest is a record that travels on its own, as a small DAG-CBOR block with a
version `v` and a `kind`, named by the hash of its bytes. The manifests themselves are in `sonar.manifests`.

`Manifest.from_bytes` takes hostile bytes: it checks the size, decodes strictly (`sonar.protocol.codec`),
checks each field against its type and limit, refuses unknown fields, and compares the re-encoded result with
what came in. It raises ManifestError or BlobTooLarge. The receiver must check what only it can check:
that links lead to what they should, that a plan is sound (`sonar.paillier.slots`), that a key is
(`sonar.paillier.public`).

In Python an address is checksummed text and a link a `Cid`; on the wire they are 20 bytes and tag 42. There
are no floats on the wire: a name that ends in `_q32` holds round(x * 2^32).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
)
from pydantic.fields import FieldInfo

from sonar.errors import ConfigError, ManifestError
from sonar.protocol import codec
from sonar.protocol.ids import Address, BountyId, Cid, Digest, digest_of, parse_address
from sonar.protocol.wording import first_fault, other_version

MAX_COHORT = 255
MAX_ROWS = (1 << 32) - 1
MAX_WEIGHTS = 1000
"""The most weights of a model, over all outputs, biases included."""
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
MAX_BLOBS = 1024
BlobLink = Annotated[InstanceOf[Cid], AfterValidator(_link_to("raw"))]
ManifestLink = Annotated[InstanceOf[Cid], AfterValidator(_link_to("dag-cbor"))]
BlobLinks = Annotated[tuple[BlobLink, ...], Field(strict=False, min_length=1)]
"""The parts of one blob, in order (`sonar.protocol.ids`)."""
MAX_NAME = 64
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
Note = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
ChainId = Annotated[int, Field(ge=1, lt=1 << 63)]
Round = Annotated[int, Field(ge=1, le=255)]
Rows = Annotated[int, Field(ge=1, le=MAX_ROWS)]
Loss = Annotated[int, Field(ge=0, lt=1 << 64)]


def is_ascending(mines: Sequence[Address]) -> bool:
    """Tell whether addresses ascend without duplicates, as in all lists on the wire."""
    order = [int(mine, 16) for mine in mines]
    return order == sorted(set(order))


class Record(BaseModel):
    """A strict, frozen record. `parse` reads what a person or a peer wrote."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record with these fields. Raises ManifestError, which names the first wrong field."""
        return cls._validated(dict(fields), {})

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Give the fields and their values, without what follows from them (cached properties)."""
        return ((name, getattr(self, name)) for name in type(self).model_fields)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other fields. What follows from them (cached properties) is derived again."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    @classmethod
    def _validated(cls, fields: Any, context: dict[str, Any]) -> Self:
        try:
            return cls.model_validate(fields, context=context)
        except ValidationError as error:
            field, problem = first_fault(error, cls.__name__, given=fields)
            raise ManifestError(field, problem, hint=f"see {cls.__name__} in {cls.__module__}") from None


def _plain(value: Any) -> Any:
    """Return what goes on the wire: a map for a record, 20 bytes for an address, the rest as it is.

    An optional field that is not given is left out.
    """
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, BaseModel):
        return value
    found, fields = value.__dict__, dict[str, Any]()
    for name, is_address, is_optional in _fields_of(type(value)):
        item = found[name]
        if item is None and is_optional:
            continue
        if not is_address:
            fields[name] = _plain(item)
        else:
            fields[name] = _hex(item) if isinstance(item, str) else [_hex(each) for each in item]
    return fields


@cache
def _fields_of(kind: type[BaseModel]) -> tuple[tuple[str, bool, bool], ...]:
    """The fields of a kind of record: name, whether it holds addresses, whether it may be left out."""
    return tuple(
        (name, _IS_ADDRESS in field.metadata or _holds_addresses(field), field.default is None)
        for name, field in kind.model_fields.items()
    )


def _holds_addresses(field: FieldInfo) -> bool:
    return _IS_ADDRESS in getattr(next(iter(get_args(field.annotation)), None), "__metadata__", ())


def _hex(address: str) -> bytes:
    return bytes.fromhex(address[2:])


VERSION = 2
"""The version of all manifests that this program writes and reads."""


class Manifest(Record):
    """A record that travels by itself, named by the hash of its bytes."""

    max_bytes: ClassVar[int] = codec.MAX_BYTES

    @cached_property
    def encoded(self) -> bytes:
        """The canonical encoding."""
        return codec.encode(_plain(self))

    def to_bytes(self) -> bytes:
        """Return the canonical encoding."""
        return self.encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the manifest encoded in `data`. Raises ManifestError, BlobTooLarge."""
        fields = codec.decode(data, max_bytes=cls.max_bytes, what=cls.__name__)
        if not isinstance(fields, dict):
            raise ManifestError(cls.__name__, f"is not a map (got a value of type {type(fields).__name__})")
        _check_version(cls, fields)
        manifest = cls._validated(fields, _WIRE)
        if manifest.encoded != data:
            raise ManifestError(cls.__name__, "is not in canonical form", hint="encode it again")
        return manifest

    def cid(self) -> Cid:
        """Return the CID of the encoded manifest."""
        return Cid.of_manifest(self.encoded)

    def digest(self) -> Digest:
        """Return the sha2-256 digest of the encoded manifest, which is what the contract holds."""
        return digest_of(self.encoded)


def _check_version(kind: type[Manifest], fields: Mapping[str, Any]) -> None:
    found = fields.get("v")
    if type(found) is int and found != VERSION:
        problem, hint = other_version(
            found,
            VERSION,
            "its publisher must update Sonar; a bounty ends with the version it began with",
        )
        raise ManifestError("v", f"this {kind.__name__} {problem}", hint=hint)
