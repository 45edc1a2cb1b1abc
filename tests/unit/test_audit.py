"""A capsule recomputes a settlement before it signs it, and refuses by name what does not follow."""

from __future__ import annotations

from sonar.chain.signatures import signer_of
from tests.audit_kit import World


def test_an_honest_settlement_is_signed() -> None:
    world = World()
    played = world.play()
    request = world.request(played)
    answer = world.auditor(0).settle(request.to_bytes())
    assert signer_of(answer.settlement, answer.signature) == world.capsules[0].address
