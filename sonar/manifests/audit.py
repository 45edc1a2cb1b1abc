"""What a capsule needs to recompute a settlement before it signs it: the request, and its answer.

An opening of a ciphertext c is a plaintext m in [0, n) and a number r with c = (1 + m n) r^n modulo n^2:
whoever has c can check it, and nobody can open c in two ways. Under a veil the plaintext of an answer is
uniform: it says nothing to whoever misses one class of seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sonar.errors import ManifestError
from sonar.families.quadratic.optimisers.registry import MAX_SETTINGS_BYTES
from sonar.manifests.capsule import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES
from sonar.protocol.record import (
    MAX_COHORT,
    MAX_WEIGHTS,
    AddressField,
    BountyField,
    Bytes32,
    ChainId,
    DigestField,
    Loss,
    Manifest,
    Name,
    Record,
    Round,
    is_ascending,
)
from sonar.veil.classes import MAX_MEMBERS

MAX_OPENED_BYTES = 4 << 20
MAX_HOLDOUT_BYTES = 4 << 20
_MAX_COMPLAINT_BYTES = 16 << 10
_FULL_BPS = 10_000


class Openings(Record):
    """The openings of a blob's ciphertexts: plaintexts and randomness, each big-endian and as long as n."""

    plain: Annotated[bytes, Field(min_length=1, max_length=MAX_OPENED_BYTES)]
    randomness: Annotated[bytes, Field(min_length=1, max_length=MAX_OPENED_BYTES)]

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int]], width: int) -> Self:
        """Write openings (m, r), in numbers of `width` bytes."""
        plain = b"".join(int(m).to_bytes(width, "big") for m, _ in pairs)
        return cls(plain=plain, randomness=b"".join(int(r).to_bytes(width, "big") for _, r in pairs))

    def read(self, width: int, count: int, field: str) -> list[tuple[mpz, mpz]]:
        """Return (m, r) of `count` ciphertexts. Raises ManifestError for another number."""
        for name, data in self:
            if len(data) != width * count:
                problem = f"has {len(data)} bytes; {count} numbers of {width} bytes are expected"
                raise ManifestError(f"{field}.{name}", problem, hint="open each ciphertext of the blob")
        plain, randomness = _numbers(self.plain, width), _numbers(self.randomness, width)
        return list(zip(plain, randomness, strict=True))


def _numbers(data: bytes, width: int) -> list[mpz]:
    return [mpz(int.from_bytes(data[i : i + width], "big")) for i in range(0, len(data), width)]


class OpenedAnswer(Record):
    """One mine's answer in a round, opened."""

    mine: AddressField
    update: DigestField
    openings: Openings


class Heard(Record):
    """A request that capsules answered: its body, and `SignedAnswer`s as they came, of any order."""

    request: Annotated[bytes, Field(min_length=1, max_length=MAX_REQUEST_BYTES)]
    answers: Annotated[
        tuple[Annotated[bytes, Field(min_length=1, max_length=MAX_ANSWER_BYTES)], ...],
        Field(strict=False, min_length=1, max_length=MAX_MEMBERS),
    ]


class AuditedRound(Record):
    """What the scientist saw of a round: the weights it trained on, its answers, and what capsules told.

    `answers` ascend by mine: each well-formed one of the round. `sum` is there if one was opened. Of a round
    before the settled one, `asked` may be empty: how it was settled was audited then. `complaints` are
    `SignedAnswer`s that hold a `Complaint`.
    """

    round: Round
    weights: Openings
    answers: Annotated[tuple[OpenedAnswer, ...], Field(strict=False, max_length=MAX_COHORT)]
    asked: Annotated[tuple[Heard, ...], Field(strict=False, max_length=64)] = ()
    sum: Heard | None = None
    complaints: (
        Annotated[
            tuple[Annotated[bytes, Field(min_length=1, max_length=_MAX_COMPLAINT_BYTES)], ...],
            Field(strict=False, min_length=1, max_length=64),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_ascending([one.mine for one in self.answers]):
            raise ValueError("answers: mines are not ascending, or one occurs twice")
        return self


class HoldoutRows(Record):
    """The rows that the first manifest commits to: columns, float64 big-endian row by row, and the salt."""

    columns: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=2 * MAX_WEIGHTS)]
    values: Annotated[bytes, Field(min_length=8, max_length=MAX_HOLDOUT_BYTES)]
    salt: Bytes32

    @classmethod
    def of(cls, columns: Sequence[str], values: NDArray[np.float64], salt: bytes) -> Self:
        """Write rows float64[rows, len(columns)]."""
        data = np.ascontiguousarray(values, dtype=">f8").tobytes()
        return cls(columns=tuple(columns), values=data, salt=salt)

    def matrix(self) -> NDArray[np.float64]:
        """Return the rows, float64[rows, len(columns)]; each is a number (`_check`)."""
        rows = np.frombuffer(self.values, dtype=">f8").reshape(-1, len(self.columns))
        return np.asarray(rows, dtype=np.float64)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.values) % (8 * len(self.columns)):
            raise ValueError("values: is no whole number of rows")
        if not np.isfinite(self.matrix()).all():
            raise ValueError("values: has one that is infinite or not a number")
        return self


class AwardLine(Record):
    """A mine's share of a round's reward, in basis points."""

    mine: AddressField
    share_bps: Annotated[int, Field(ge=0, le=_FULL_BPS)]


class SettlementRequest(Manifest):
    """A settlement, and all that a capsule needs to come to it by itself.

    `rounds` ascend; the last is the one that is settled. Those before it are what the capsule has not seen,
    or all of them. `new_weights` is there if there is a new model. `optimiser`: the settings whose sha2-256
    the first manifest holds (`sonar.families.quadratic.optimisers.registry.written`).
    """

    max_bytes: ClassVar[int] = MAX_REQUEST_BYTES

    v: Literal[2] = 2
    kind: Literal["settlement"] = "settlement"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    new_model: DigestField
    new_loss: Loss
    awards: Annotated[tuple[AwardLine, ...], Field(strict=False, min_length=1, max_length=MAX_COHORT)]
    evidence: DigestField
    rounds: Annotated[tuple[AuditedRound, ...], Field(strict=False, min_length=1, max_length=255)]
    new_weights: Openings | None = None
    holdout: HoldoutRows
    optimiser: Annotated[bytes, Field(min_length=2, max_length=MAX_SETTINGS_BYTES)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        numbers = [each.round for each in self.rounds]
        if numbers != sorted(set(numbers)) or numbers[-1] != self.round:
            raise ValueError("rounds: are not ascending, or the last is not the settled one")
        if not is_ascending([line.mine for line in self.awards]):
            raise ValueError("awards: mines are not ascending, or one occurs twice")
        return self


class SeenRound(Manifest):
    """A round whose openings a capsule has checked, as it keeps it."""

    max_bytes: ClassVar[int] = MAX_REQUEST_BYTES

    v: Literal[2] = 2
    kind: Literal["seen-round"] = "seen-round"
    bounty: BountyField
    round: AuditedRound


class SettlementAnswer(Manifest):
    """A capsule's signature of a settlement that it has recomputed.

    `request` is the digest of the request's body; `signature` that of the capsule's account over
    `settlement`, which is `sonar.protocol.seal.settlement_digest` of it.
    """

    v: Literal[2] = 2
    kind: Literal["settlement-answer"] = "settlement-answer"
    capsule: AddressField
    request: DigestField
    settlement: Bytes32
    signature: Annotated[bytes, Field(min_length=65, max_length=65)]
