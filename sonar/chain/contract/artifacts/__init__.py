"""The compiled contract, as package data: nobody needs a compiler to use Sonar."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Immutable:
    """A place in the deployed code that the constructor fills in."""

    start: int  # byte offset
    length: int  # bytes


@dataclass(frozen=True)
class ContractArtifact:
    """What the compiler made of one contract."""

    name: str
    solc: str  # the compiler's full version
    source_digest: str  # sha2-256 in hex over contracts/src, see scripts/build_contracts.py
    abi: list[dict[str, Any]]
    bytecode: bytes  # creation code, without constructor arguments
    deployed_bytecode: bytes  # runtime code; immutables are zero
    immutables: tuple[Immutable, ...]

    def runtime_code(self, min_window_s: int) -> bytes:
        """The code that a deployment with this smallest window has on the chain.

        Raises ValueError if `min_window_s` is not in 1..2^24-1, as no such deployment can exist.
        """
        if not 1 <= min_window_s < 2**24:
            raise ValueError(f"min_window_s is {min_window_s}; it must be from 1 to {2**24 - 1} seconds")
        code = bytearray(self.deployed_bytecode)
        for place in self.immutables:
            code[place.start : place.start + place.length] = min_window_s.to_bytes(place.length, "big")
        return bytes(code)


def verify_file() -> Path:
    """Where the compiler's whole input lies: by it block explorers and Sourcify verify deployed code."""
    return Path(str(resources.files(__package__).joinpath("TrainingMarket.verify.json")))


@cache
def training_market() -> ContractArtifact:
    """The artifact of TrainingMarket that this version of the package was released with."""
    raw = json.loads(resources.files(__package__).joinpath("TrainingMarket.json").read_text(encoding="utf-8"))
    return ContractArtifact(
        name=raw["contract"],
        solc=raw["compiler"]["solc"],
        source_digest=raw["sourceDigest"],
        abi=raw["abi"],
        bytecode=bytes.fromhex(raw["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(raw["deployedBytecode"].removeprefix("0x")),
        immutables=tuple(Immutable(place["start"], place["length"]) for place in raw["immutableReferences"]),
    )
