"""The manifest of the scientist's public key."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sonar.protocol.record import Manifest


class KeyManifest(Manifest):
    """A Paillier public key: the modulus, big-endian, with exactly `bits` bits, and a proof that it is sound.

    The proof's form and meaning: `sonar.paillier.keyproof`.
    """

    v: Literal[2] = 2
    kind: Literal["key"] = "key"
    bits: Annotated[int, Field(ge=64, le=16_384)]
    n: Annotated[bytes, Field(min_length=8, max_length=2048)]
    proof: Annotated[bytes, Field(max_length=32_768)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.n) != (self.bits + 7) // 8 or int.from_bytes(self.n, "big").bit_length() != self.bits:
            raise ValueError("n must have exactly `bits` bits, in as few bytes as hold them")
        return self
