"""Audits of a round whose sum is out of range, by junk beside a mine's values that passed the tests by luck,
or by a lie of capsules that nobody can compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from gmpy2 import mpz

from capsule.audit.refusal import Refusal
from sonar.families.quadratic.veiled import identities
from sonar.families.quadratic.veiled.base import Question
from sonar.manifests.audit import Heard, SettlementRequest
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, Cid
from sonar.settling.verdict import NO_SUM, SPARED, Verdict
from tests.audit_kit.judging import Played
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World
from tests.veil_kit import Update, junk_above_slots


@pytest.fixture
def lucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is beside values passes the tests that come before the sum."""
    honest = identities.junk_of

    def blind(plan: SlotPlan, round: int, draw: Callable[[int], int]) -> Question:
        return replace(honest(plan, round, draw), room=1 << plan.slot_bits)

    monkeypatch.setattr(identities, "junk_of", blind)


def spoiled(world: World) -> Played:
    """A round in which the first mine has junk beside its values."""

    def change(mine: Address, update: Update) -> Update:
        first = mine == world.mines[0].address
        return junk_above_slots(update, world.public, world.plan, 1 << 36) if first else update

    return world.play(change)


def refused(world: World, request: SettlementRequest, code: str, place: int = 0) -> str:
    with pytest.raises(Refusal) as caught:
        world.auditor(place).settle(request.to_bytes())
    assert caught.value.code == code, caught.value
    return str(caught.value)


@pytest.mark.usefixtures("lucky")
def test_a_sum_that_is_none_leaves_the_model_and_its_spoiler_behind() -> None:
    world = World(mines=7)
    auditors = [world.auditor(place) for place in range(3)]
    liar = world.mines[0].address
    played = spoiled(world)
    assert played.cohort is not None
    assert liar in {addend.mine for addend in played.cohort.addends}
    assert played.new_model is None
    assert played.verdict.left_out.keys() == {liar}
    request = request_of(world, played, rounds=[])
    assert {line.share_bps for line in request.awards} == {0, 1667, 1666}
    assert len({each.settle(request.to_bytes()).settlement for each in auditors}) == 1
    refused(world, request.model_copy(update={"new_loss": request.new_loss - 1}), "loss")
    world.settle(played, request)

    played = world.play()  # the same weights again, without the liar and two that go with it
    assert sum(why == SPARED for why in played.verdict.left_out.values()) == 2
    assert played.verdict.left_out[liar].startswith("left out since round 1: test range: ")
    request = request_of(world, played, rounds=[])
    for each in auditors:
        each.settle(request.to_bytes())
    assert request.new_loss < world.best
    assert auditors[0].again(request.bounty) == {1: "", 2: ""}


@pytest.mark.usefixtures("lucky")
def test_who_spoiled_it_follows_too() -> None:
    """Nobody else may be blamed for it, and nobody spared."""
    world = World()
    played = spoiled(world)
    true, bare = played.verdict, replace(played.verdict, no_sum=False)
    other = world.mines[1].address
    everybody = sorted({*true.accepted, *true.left_out}, key=lambda mine: int(mine, 16))
    before = Verdict(everybody, {}, {})
    for verdict in (before.without_sum({}), true.without_sum({other: "range"}), before):
        played.verdict = verdict
        refused(world, request_of(world, played), "reason")
    played.verdict = bare  # without a word of why it changes nothing
    refused(world, request_of(world, played), "evidence")


def test_a_sum_that_is_one_must_be_trained_on() -> None:
    """Else she could keep the better model for herself, and say that there is none."""
    world = World()
    played = world.play()
    assert played.cohort is not None
    said = replace(played, new_model=None, new_weights=[], point=None, scores={})
    refused(world, request_of(world, said), "model")
    said.verdict = said.verdict.without_sum({})
    refused(world, request_of(world, said), "model")


def lying(world: World, number: int) -> None:
    """Who holds this class tells a wrong sum of it."""
    honest = world.tellers.class_sums

    def lie(cohort: CohortManifest, told: int) -> list[mpz]:
        n = world.public.n
        return [(x + (1 << 1010 if told == number else 0)) % n for x in honest(cohort, told)]

    world.tellers.class_sums = lie  # type: ignore[method-assign, assignment]


def answered_by(request: SettlementRequest, answers: Sequence[bytes]) -> SettlementRequest:
    *before, last = request.rounds
    assert last.sum is not None
    heard = Heard(request=last.sum.request, answers=tuple(answers))
    return request.model_copy(update={"rounds": (*before, last.model_copy(update={"sum": heard}))})


def test_one_capsule_cannot_make_a_sum_none() -> None:
    """With her, who has the true sum, it would be a model for nothing. Who else holds the class is silent."""
    world = World()
    class_of_liar = next(iter(set(range(3)) - set(world.cover.classes.held_by(0))))
    lying(world, class_of_liar)
    played = world.play()
    assert played.verdict.no_sum
    request, liar = request_of(world, played), world.cover.classes.holders(class_of_liar)[0]
    assert played.sum is not None
    answers, body = played.sum.answers, played.sum.request
    text = refused(world, answered_by(request, [answers[0], answers[liar]]), "told-missing")
    assert f"too few capsules told class {class_of_liar}" in text
    (other,) = set(world.cover.classes.holders(class_of_liar)) - {liar}
    del world.tellers.class_sums  # the other one tells the truth
    assert played.cohort is not None
    truth = world.tellers.tell_sum(world.capsules[other], played.cohort)
    refused(world, answered_by(request, [answers[0], answers[liar], truth]), "capsules-differ")
    asked = world.auditor(0, own={body: answers[0]}, others={world.capsules[other].address: truth})
    with pytest.raises(Refusal) as caught:
        asked.settle(answered_by(request, [answers[0], answers[liar]]).to_bytes())
    assert caught.value.code == "capsules-differ"


def test_where_all_must_tell_one_that_lies_costs_a_round() -> None:
    """Of two of two capsules each alone holds a class, so nobody can compare. It could be silent as well."""
    world = World(members=2, threshold=2)
    lying(world, 1)
    played = world.play()
    assert played.verdict.no_sum
    assert not played.verdict.left_out
    request = request_of(world, played)
    world.auditor(world.cover.classes.holders(0)[0]).settle(request.to_bytes())
    assert {line.share_bps for line in request.awards} == {2000}
    data = world.store.get(Cid("dag-cbor", request.evidence), EvidenceManifest.max_bytes)
    evidence = EvidenceManifest.from_bytes(data)
    assert {member.reason for member in evidence.cohort} == {NO_SUM}
    assert evidence.aggregate is None
