"""The compiled contract, and strict conversion between its ABI and Python's values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sonar.errors import RemoteError
from sonar.frozen import frozen
from sonar.protocol import abi as words
from sonar.protocol.keccak import checksummed, keccak

_NEVER_EMITTED = "EIP712DomainChanged"
"""Of the interface of ERC-5267; this contract's domain does not change."""


@frozen
class Immutable:
    """A place in the deployed code that the constructor fills in."""

    start: int  # byte offset
    length: int  # bytes


@frozen
class ContractArtifact:
    """What the compiler made of one contract."""

    name: str
    solc: str  # the compiler's full version
    source_digest: str  # sha2-256 in hex over contracts/src, see scripts/build_contracts.py
    abi: list[dict[str, Any]]
    bytecode: bytes  # creation code, without constructor arguments
    deployed_bytecode: bytes  # runtime code; immutables are zero
    immutables: Mapping[str, tuple[Immutable, ...]]  # by name

    def filled(self, values: Mapping[str, int]) -> bytes:
        """The runtime code with a value for each immutable; without one, it is zero."""
        code = bytearray(self.deployed_bytecode)
        for name, value in values.items():
            for place in self.immutables[name]:
                code[place.start : place.start + place.length] = value.to_bytes(place.length, "big")
        return bytes(code)


class MarketArtifact(ContractArtifact):
    """What the compiler made of TrainingMarket."""

    def runtime_code(self, min_window_s: int) -> bytes:
        """The code that a deployment with this smallest window has on the chain.

        Raises ValueError if `min_window_s` is not in 1..2^24-1, as no such deployment can exist.
        """
        if not 1 <= min_window_s < 2**24:
            raise ValueError(f"min_window_s is {min_window_s}; it must be from 1 to {2**24 - 1} seconds")
        return self.filled({"MIN_WINDOW": min_window_s})


def verify_file(name: str = "TrainingMarket") -> Path:
    """Where the compiler's whole input lies: by it block explorers and Sourcify verify deployed code."""
    return Path(str(_packaged(f"{name}.verify.json")))


@cache
def training_market() -> MarketArtifact:
    """The artifact of TrainingMarket that this version of the package was released with."""
    return MarketArtifact(**_artifact("TrainingMarket"))


@cache
def committee() -> ContractArtifact:
    """The artifact of Committee that this version of the package was released with."""
    return ContractArtifact(**_artifact("Committee"))


@cache
def succession() -> ContractArtifact:
    """The artifact of Succession that this version of the package was released with."""
    return ContractArtifact(**_artifact("Succession"))


def _artifact(name: str) -> dict[str, Any]:
    """Return the fields of an artifact, as scripts/build_contracts.py wrote it."""
    raw = json.loads(_packaged(f"{name}.json").read_text(encoding="utf-8"))
    return {
        "name": raw["contract"],
        "solc": raw["compiler"]["solc"],
        "source_digest": raw["sourceDigest"],
        "abi": raw["abi"],
        "bytecode": bytes.fromhex(raw["bytecode"].removeprefix("0x")),
        "deployed_bytecode": bytes.fromhex(raw["deployedBytecode"].removeprefix("0x")),
        "immutables": {
            immutable: tuple(Immutable(place["start"], place["length"]) for place in places)
            for immutable, places in raw["immutableReferences"].items()
        },
    }


def _packaged(name: str) -> Traversable:
    """Return a file that the package carries: nobody needs a compiler to use Sonar."""
    return resources.files(__package__).joinpath("artifacts", name)


@frozen
class Item:
    """A function, event or error of the ABI. Types are canonical ("(address,uint8)[]")."""

    name: str
    selector: bytes  # 4 bytes; an event's topic has 32
    inputs: tuple[str, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    indexed: tuple[bool, ...] = ()


@cache
def functions() -> dict[str, Item]:
    """Return the contract's functions by name."""
    return {item.name: item for item in _items("function", 4)}


@cache
def events() -> dict[bytes, Item]:
    """Return the contract's events by topic."""
    return {item.selector: item for item in _items("event", 32) if item.name != _NEVER_EMITTED}


@cache
def errors() -> dict[bytes, Item]:
    """Return the custom errors of the market and of Succession by selector."""
    found = (*_items("error", 4), *_items("error", 4, succession()))
    return {item.selector: item for item in found}


@cache
def functions_of(artifact: str) -> dict[str, Item]:
    """Return the functions of the contract of this name by name."""
    return {item.name: item for item in _items("function", 4, ContractArtifact(**_artifact(artifact)))}


def encode_call(name: str, *arguments: Any) -> bytes:
    """Return the call data of a function."""
    item = functions()[name]
    return item.selector + encode(item.inputs, arguments)


def encode_constructor(*arguments: Any) -> bytes:
    """Return the contract's creation code with its arguments."""
    (constructor,) = [entry for entry in training_market().abi if entry["type"] == "constructor"]
    return training_market().bytecode + encode(_types(constructor["inputs"]), arguments)


def decode_result(name: str, data: bytes) -> tuple[Any, ...]:
    """Return what a function returned; addresses are checksummed. Raises RemoteError."""
    return decode_exactly(functions()[name].outputs, data, f"the result of {name}")


def decode_log(topics: list[bytes], data: bytes) -> tuple[Item, tuple[Any, ...]]:
    """Return the event of a log and its values in the ABI's order. Raises RemoteError."""
    if not topics or (item := events().get(topics[0])) is None:
        raise RemoteError("a log of the contract has no topic that its ABI knows")
    what = f"a log {item.name}"
    if len(topics) != 1 + sum(item.indexed):
        raise RemoteError(f"{what} has {len(topics)} topics, not {1 + sum(item.indexed)}")
    both = list(zip(item.inputs, item.indexed, strict=True))
    in_topics = [
        decode_exactly((kind,), topic, what)[0]
        for kind, topic in zip([kind for kind, indexed in both if indexed], topics[1:], strict=True)
    ]
    in_data = list(decode_exactly(tuple(kind for kind, indexed in both if not indexed), data, what))
    return item, tuple(in_topics.pop(0) if indexed else in_data.pop(0) for _, indexed in both)


# A node at work reads the newest blocks again and again, in case that a reorganisation changed them.
@lru_cache(maxsize=4096)
def decode_exactly(types: tuple[str, ...], data: bytes, what: str) -> tuple[Any, ...]:
    """Return the values in `data`, which must be exactly their canonical encoding. Raises RemoteError."""
    try:
        if words.is_fixed(types):
            return words.decode(types, data)
        return _decode(types, data)
    except (ValueError, OverflowError) as error:
        raise RemoteError(f"{what} does not decode: {str(error)[:200]}") from error


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return the encoding of values."""
    if words.is_fixed(types):
        return words.encode(types, values)
    from eth_abi.abi import encode as any_of  # 0.1 s

    return any_of(types, values)


def _decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Values of which some have no fixed size; none of an address within one. Raises ValueError."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        values = decode(types, data)
    except DecodingError as error:
        raise ValueError(str(error)) from error
    if encode(types, values) != data:
        raise ValueError("it is not in canonical encoding")
    return tuple(
        checksummed(bytes.fromhex(value[2:])) if kind == "address" else value
        for kind, value in zip(types, values, strict=True)
    )


def _items(kind: str, selector_bytes: int, artifact: ContractArtifact | None = None) -> list[Item]:
    return [
        Item(
            entry["name"],
            keccak(f"{entry['name']}({','.join(_types(entry['inputs']))})".encode())[:selector_bytes],
            _types(entry["inputs"]),
            tuple(one["name"] for one in entry["inputs"]),
            _types(entry["outputs"]) if kind == "function" else (),
            tuple(one.get("indexed", False) for one in entry["inputs"]),
        )
        for entry in (artifact or training_market()).abi
        if entry["type"] == kind
    ]


def _types(values: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The canonical types of what the ABI lists; a tuple's is made of its fields'."""
    return tuple(
        f"({','.join(_types(one['components']))}){one['type'].removeprefix('tuple')}"
        if one["type"].startswith("tuple")
        else one["type"]
        for one in values
    )
