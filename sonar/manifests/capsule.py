"""What passes between a scientist and a capsule: strict DAG-CBOR, signed by whoever sends it.

A request's body does not name the capsule, so that all capsules answer the same bytes, and their answers can
be compared; the envelope that the scientist signs does (`Signed`). An answer names capsule and request.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sonar.errors import RemoteError
from sonar.manifests.model import CapsuleKey
from sonar.protocol.record import (
    MAX_COHORT,
    AddressField,
    BountyField,
    Bytes32,
    ChainId,
    DigestField,
    Manifest,
    Name,
    Record,
    Round,
)

MAX_REQUEST_BYTES = 8 << 20
MAX_ANSWER_BYTES = 8 << 20
MAX_SUCCESSIONS = 32
_Signature = Annotated[bytes, Field(min_length=65, max_length=65)]


class SignedRequest(Manifest):
    """A request to one capsule, good until `expires_s` (chain time) and once: `nonce` is fresh.

    `signature` is that of the bounty's scientist over `sonar.protocol.capsules.request_digest`.
    """

    max_bytes: ClassVar[int] = MAX_REQUEST_BYTES

    v: Literal[2] = 2
    kind: Literal["signed-request"] = "signed-request"
    capsule: AddressField
    nonce: Bytes32
    expires_s: Annotated[int, Field(ge=0, lt=1 << 40)]
    body: Annotated[bytes, Field(min_length=1, max_length=MAX_REQUEST_BYTES - 1024)]
    signature: _Signature


class SignedAnswer(Manifest):
    """A capsule's answer; `signature` is its account's over `sonar.protocol.capsules.answer_digest`."""

    max_bytes: ClassVar[int] = MAX_ANSWER_BYTES

    v: Literal[2] = 2
    kind: Literal["signed-answer"] = "signed-answer"
    body: Annotated[bytes, Field(min_length=1, max_length=MAX_ANSWER_BYTES - 1024)]
    signature: _Signature


class Problem(Manifest):
    """Why a capsule does not answer. `code` is for programs, one word; the rest for people.

    `mine`: whose answer is at fault, if only one's is: without it, the others can be asked about again.
    """

    v: Literal[2] = 2
    kind: Literal["problem"] = "problem"
    code: Name
    problem: Annotated[str, Field(max_length=1000)]
    hint: Annotated[str, Field(max_length=1000)] = ""
    mine: AddressField | None = None


class Succession(Record):
    """A capsule's account, and the one that takes its place in new bounties.

    Both sign `sonar.protocol.capsules.succession_digest`: nobody takes a place that was not given, and nobody
    gives it to whoever does not take it.
    """

    account: AddressField
    successor: AddressField
    signature: _Signature
    accepted: _Signature


class Identity(Manifest):
    """Who a capsule is: inside a `SignedAnswer`, from GET /v1/identity. `policy` is in words, for people.

    `successions`: the accounts that it had, oldest first, each with the next; the last leads to the account
    of `key`. It still answers under them about the bounties that name them.
    """

    v: Literal[2] = 2
    kind: Literal["identity"] = "identity"
    chain_id: ChainId
    contract: AddressField
    key: CapsuleKey
    version: Name
    least: Annotated[int, Field(ge=2, le=MAX_COHORT)]
    bits: Annotated[int, Field(ge=1, le=4096)]
    policy: Annotated[str, Field(max_length=2000)]
    successions: Annotated[
        tuple[Succession, ...] | None, Field(strict=False, min_length=1, max_length=MAX_SUCCESSIONS)
    ] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        steps = self.successions or ()
        accounts = [one.account for one in steps] + [self.key.account]
        if [one.successor for one in steps] != accounts[1:] or len(set(accounts)) < len(accounts):
            raise ValueError("successions: do not lead from one account to the next, each once, to the key's")
        return self


class Part(Record):
    """One answer in a functional: the update of a round, by its digest, and which vector it is asked by."""

    round: Round
    update: DigestField
    vector: Annotated[int, Field(ge=0, lt=4096)]


class Ask(Record):
    """A functional of one mine's answers: the top `bits` bits of sum over `parts` of <vector, digits>."""

    mine: AddressField
    bits: Annotated[int, Field(ge=1, le=64)]
    parts: Annotated[tuple[Part, ...], Field(strict=False, min_length=1, max_length=255)]


class FunctionalRequest(Manifest):
    """Functionals of single answers in a round, for tests (before the cohort is fixed) or scores (after).

    `vectors`: numbers modulo 2^slot_bits, big-endian, each in as few bytes as hold one; one number for each
    digit of an answer's plaintexts: ciphertext by ciphertext, its slots and the place above them
    (`sonar.veil.functionals.places`).
    """

    max_bytes: ClassVar[int] = MAX_REQUEST_BYTES

    v: Literal[2] = 2
    kind: Literal["functional"] = "functional"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    vectors: Annotated[tuple[bytes, ...], Field(strict=False, min_length=1, max_length=4096)]
    asks: Annotated[tuple[Ask, ...], Field(strict=False, min_length=1, max_length=4096)]


class FunctionalAnswer(Manifest):
    """What a capsule tells: for each ask, a number of the ask's bits for each class it holds, ascending.

    `request` is the digest of the request's body.
    """

    max_bytes: ClassVar[int] = MAX_ANSWER_BYTES

    v: Literal[2] = 2
    kind: Literal["functional-answer"] = "functional-answer"
    capsule: AddressField
    request: DigestField
    values: Annotated[
        tuple[Annotated[tuple[Annotated[int, Field(ge=0, lt=1 << 64)], ...], Field(strict=False)], ...],
        Field(strict=False, min_length=1, max_length=4096),
    ]


class Complaint(Manifest):
    """In place of a `FunctionalAnswer`, in an audited bounty: the mines of the request whose masks this
    capsule cannot make, though the request names what they revealed. Auditors believe that they are left out.
    """

    v: Literal[2] = 2
    kind: Literal["complaint"] = "complaint"
    capsule: AddressField
    request: DigestField
    bounty: BountyField
    round: Round
    mines: Annotated[tuple[AddressField, ...], Field(strict=False, min_length=1, max_length=MAX_COHORT)]

    @classmethod
    def found_in(cls, body: bytes) -> Complaint | None:
        """Return the complaint in a signed answer's body; None if it is none."""
        try:
            return cls.from_bytes(body)
        except RemoteError:
            return None


class SumRequest(Manifest):
    """The sum of masks of the set that is fixed on the chain: `cohort` is the digest of its manifest
    (`sonar.manifests.cohort`), which lies in the store.
    """

    v: Literal[2] = 2
    kind: Literal["sum"] = "sum"
    chain_id: ChainId
    contract: AddressField
    bounty: BountyField
    round: Round
    cohort: DigestField


class SumAnswer(Manifest):
    """For each class that a capsule holds, ascending: the weighted sums of masks modulo n, one for each
    ciphertext, big-endian, each as long as n.
    """

    max_bytes: ClassVar[int] = MAX_ANSWER_BYTES

    v: Literal[2] = 2
    kind: Literal["sum-answer"] = "sum-answer"
    capsule: AddressField
    request: DigestField
    sums: Annotated[tuple[bytes, ...], Field(strict=False, min_length=1, max_length=35)]
