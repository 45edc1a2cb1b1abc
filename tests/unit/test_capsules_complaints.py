"""Complaints as a scientist reads them, and how long she waits for one."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from pysonar.capsules.panel import Heard
from sonar.errors import CapsuleComplains, CapsuleFault
from sonar.manifests.capsule import Ask, Complaint, FunctionalRequest, Part, SignedAnswer
from sonar.protocol.ids import Address, BountyId, Digest, digest_of
from tests.unit.test_capsules_panel import PLACE, SITE, Town, signed, told

MINE, OTHER = Address("0x" + "9" * 40), Address("0x" + "8" * 40)
PART = Part(round=3, update=Digest(b"u" * 32), vector=0)
BODY = FunctionalRequest(
    chain_id=SITE.chain_id,
    contract=SITE.address,
    bounty=BountyId(b"b" * 32),
    round=3,
    vectors=(b"v",),
    asks=(Ask(mine=MINE, bits=8, parts=(PART,)), Ask(mine=OTHER, bits=8, parts=(PART,))),
).to_bytes()
READ = PLACE.functionals(BODY, [8, 8])


def complaint(town: Town, place: int = 0, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "capsule": town.capsules[0].address,
        "request": digest_of(BODY),
        "bounty": BountyId(b"b" * 32),
        "round": 3,
        "mines": (MINE,),
    }
    return signed(town.capsules[place], Complaint(**fields | changes).to_bytes())


def test_a_complaint_names_the_mines_and_is_kept_as_it_was_signed() -> None:
    town = Town()
    data = SignedAnswer.from_bytes(complaint(town, mines=(MINE, OTHER)))
    heard = Heard(town.members)
    heard.read(READ, town.capsules[0].address, data)
    assert heard.complained() == {MINE, OTHER}
    assert heard.complaints == {town.capsules[0].address: data}
    assert heard.complained(but=town.members.accounts) == set()
    assert isinstance(heard.faults[town.capsules[0].address], CapsuleComplains)
    assert not heard.told


@pytest.mark.parametrize(
    "changes",
    [
        {"request": Digest(b"r" * 32)},
        {"bounty": BountyId(b"c" * 32)},
        {"round": 2},
        {"mines": (MINE, Address("0x" + "7" * 40))},
        {"capsule": OTHER},
        {"place": 1},
    ],
)
def test_a_complaint_of_something_else_is_no_answer(changes: dict[str, Any]) -> None:
    town = Town()
    heard = Heard(town.members)
    heard.read(READ, town.capsules[0].address, SignedAnswer.from_bytes(complaint(town, **changes)))
    fault = heard.faults[town.capsules[0].address]
    assert isinstance(fault, CapsuleFault)
    assert heard.complained() == heard.named() == set()
    assert not heard.complaints


@pytest.mark.parametrize("waits", [False, True])
def test_who_has_enough_answers_waits_longer_where_a_complaint_counts(waits: bool) -> None:
    town = Town()
    for place in (1, 2):
        held = town.members.classes.held_by(place)
        town.answers[place] = town.says(place, answer(town, place, held))

    def late(_request: httpx.Request) -> httpx.Response:
        time.sleep(1.2)
        return httpx.Response(200, content=complaint(town))

    town.answers[0] = late
    heard = town.panel().ask(town.members, "functional", BODY, READ, {}, complaints=waits)
    assert heard.enough
    assert heard.complained() == ({MINE} if waits else set())


def test_a_complaint_on_record_is_not_asked_for_again() -> None:
    town = Town()
    known = {town.capsules[0].address: SignedAnswer.from_bytes(complaint(town))}
    heard = town.panel().ask(town.members, "functional", BODY, READ, known, complaints=True)
    assert heard.complained() == {MINE}
    assert not town.requests


def answer(town: Town, place: int, held: tuple[int, ...]) -> bytes:
    """What an honest capsule answers to the request."""
    one = town.capsules[place]
    return signed(one, told(one, town.values, held, request=digest_of(BODY)))
