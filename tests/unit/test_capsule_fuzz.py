"""What a capsule reads from strangers, against hostile inputs: its decoders, and the whole of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account

from capsule.audit.refusal import Refusal
from capsule.problems import CODES, Refused, refused
from sonar.chain.signatures import sign_digest
from sonar.errors import SonarError
from sonar.manifests.capsule import (
    Complaint,
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    Problem,
    SignedAnswer,
    SignedRequest,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.model import CapsuleKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.record import Manifest
from sonar.veil.functionals import places, read_vector, write_vector
from tests.town_kit import plan_of
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, fuzz

ONE, OTHER = Address("0x" + "1" * 40), Address("0x" + "2" * 40)
BOUNTY = BountyId(b"b" * 32)
PLAN: SlotPlan = plan_of(4)
ASK = {"mine": ONE, "bits": 12, "parts": ({"round": 1, "update": b"u" * 32, "vector": 0},)}
PLACE: dict[str, Any] = {"chain_id": 1, "contract": OTHER, "bounty": BOUNTY, "round": 1}
VECTOR = write_vector(PLAN, list(range(places(PLAN))))
FUNCTIONAL = FunctionalRequest.parse({**PLACE, "vectors": (VECTOR,), "asks": (ASK,)})
SUM = SumRequest(**PLACE, cohort=Digest(b"c" * 32))
KEY = CapsuleKey(account=ONE, epoch=1, hpke=b"h" * 1216, signature=b"s" * 65)
SIGNED = SignedRequest(
    capsule=ONE, nonce=b"n" * 32, expires_s=1, body=FUNCTIONAL.to_bytes(), signature=b"s" * 65
)
MANIFESTS: list[Manifest] = [
    FUNCTIONAL,
    SUM,
    SIGNED,
    SignedAnswer(body=b"body", signature=b"s" * 65),
    Problem(code="mine", problem="it is so", hint="do this", mine=ONE),
    Identity(chain_id=1, contract=ONE, key=KEY, version="1", least=2, bits=12, policy="all"),
    FunctionalAnswer(capsule=ONE, request=Digest(b"r" * 32), values=((1, 2), (3, 4))),
    Complaint(capsule=ONE, request=Digest(b"r" * 32), bounty=BOUNTY, round=1, mines=(ONE, OTHER)),
    SumAnswer(capsule=ONE, request=Digest(b"r" * 32), sums=(b"1", b"2")),
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: type(one).__name__)
def test_manifests_between_scientist_and_capsule(manifest: Manifest) -> None:
    kind, data = type(manifest), manifest.to_bytes()
    assert kind.from_bytes(data) == manifest

    def decode(hostile: bytes) -> None:
        assert kind.from_bytes(hostile).to_bytes() == hostile

    fuzz(lambda rng: changed_bytes(rng, data), decode)


def test_vectors() -> None:
    def decode(hostile: bytes) -> None:
        assert all(0 <= value < 1 << PLAN.slot_bits for value in read_vector(PLAN, hostile))

    assert fuzz(lambda rng: changed_bytes(rng, VECTOR), decode) > 0


def test_every_refusal_goes_on_the_wire_and_tells_nothing_of_the_machine() -> None:
    """Whatever is raised becomes a Problem with a known code; paths and addresses stay here."""
    kinds = _leaves(SonarError)
    assert len(kinds) > 40
    secret = "/home/operator/ledger.sqlite of 10.0.0.7"
    for kind in kinds:
        error = kind.__new__(kind)
        Exception.__init__(error, secret)
        error.hint = secret
        if isinstance(error, Refused | Refusal):
            continue  # made for strangers
        found = refused(error)
        assert Problem.from_bytes(found.document.to_bytes()) == found.document
        assert found.code in CODES
        if CODES[found.code] >= 500 and found.code != "missing":
            assert "operator" not in found.document.problem + found.document.hint, kind


def _leaves(kind: type[SonarError]) -> set[type[SonarError]]:
    below = kind.__subclasses__()
    return {kind}.union(*map(_leaves, below)) if below else {kind}


def test_a_signature_of_anything_is_somebody_s_or_nobody_s() -> None:
    from sonar.chain.signatures import signer_of

    digest, good = b"d" * 32, sign_digest(Account.create(), b"d" * 32)
    make: Callable[[Rng], bytes] = lambda rng: changed_bytes(rng, good)  # noqa: E731
    fuzz(make, lambda hostile: signer_of(digest, hostile), INPUTS // 20)
