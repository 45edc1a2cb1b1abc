"""What an auditor believes of capsules that cannot make a mine's masks, and say so."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from capsule.audit.refusal import Refusal
from sonar.manifests.capsule import Complaint
from sonar.protocol.ids import Address, BountyId
from tests.audit_kit.judging import Played
from tests.audit_kit.packet import request_of
from tests.audit_kit.telling import signed
from tests.audit_kit.world import World
from tests.veil_kit import BOUNTY, Capsule, make_capsules


def complaint(by: Capsule, mine: Address, **changes: Any) -> bytes:
    """What a member signs of a mine. `changes` make it another one."""
    fields: dict[str, Any] = {
        "capsule": by.address,
        "request": b"r" * 32,
        "bounty": BOUNTY,
        "round": 1,
        "mines": (mine,),
    }
    return signed(by, Complaint(**fields | changes).to_bytes())


def without_one(world: World) -> tuple[Played, Address]:
    """A round in which nobody told anything of the first mine."""
    mute = world.mines[0].address
    return world.play(silent={mute}), mute


def test_the_signed_complaint_of_one_member_is_believed_by_all() -> None:
    world = World()
    played, mute = without_one(world)
    assert played.verdict.left_out[mute].startswith("test veil: ")
    played.complaints = [complaint(world.capsules[2], mute)]
    request = request_of(world, played)
    auditors = [world.auditor(place) for place in range(3)]
    digests = {auditor.settle(request.to_bytes()).settlement for auditor in auditors}
    assert len(digests) == 1
    world.settle(played, request)
    assert auditors[0].again(BountyId(BOUNTY)) == {1: ""}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bounty": BountyId(b"o" * 32)}, "answer"),
        ({"round": 2}, "answer"),
        ({"mines": (Address("0x" + "77" * 20),)}, "told-missing"),
        ({"capsule": Address("0x" + "77" * 20)}, "answer"),
    ],
)
def test_a_complaint_of_something_else_is_not_believed(changes: dict[str, Any], code: str) -> None:
    world = World()
    played, mute = without_one(world)
    played.complaints = [complaint(world.capsules[2], mute, **changes)]
    with pytest.raises(Refusal) as caught:
        world.auditor().settle(request_of(world, played).to_bytes())
    assert caught.value.code == code


def test_a_complaint_that_no_member_signed_is_not_believed() -> None:
    world = World()
    played, mute = without_one(world)
    good = complaint(world.capsules[2], mute)
    for bad in (complaint(make_capsules(1)[0], mute), secrets.token_bytes(99), good[:-1], b"\0"):
        played.complaints = [bad]
        with pytest.raises(Refusal) as caught:
            world.auditor().settle(request_of(world, played).to_bytes())
        assert caught.value.code == "answer"


def test_a_complaint_leaves_nobody_out_of_whom_capsules_have_told() -> None:
    """She hands on a complaint of a mine that is in the sum: what was told of it counts."""
    world = World()
    played = world.play()
    played.complaints = [complaint(world.capsules[2], world.mines[0].address)]
    request = request_of(world, played)
    world.auditor().settle(request.to_bytes())
    assert played.verdict.left_out == {}
