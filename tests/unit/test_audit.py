"""A capsule recomputes a settlement before it signs it, and refuses by name what does not follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from capsule.audit.refusal import CODES, Refusal
from sonar.chain.signatures import signer_of
from sonar.families.quadratic.optimisers.gradient_descent import GradientDescentWish
from sonar.families.quadratic.optimisers.registry import written
from sonar.manifests.audit import AuditedRound, HoldoutRows, OpenedAnswer, Openings, SettlementRequest
from sonar.manifests.capsule import SignedAnswer
from sonar.protocol.ids import Address
from sonar.protocol.seal import settlement_digest
from sonar.settling.verdict import SPARED, WITHHELD
from tests.audit_kit.judging import Played
from tests.audit_kit.packet import request_of
from tests.audit_kit.telling import HERE, signed
from tests.audit_kit.world import SALT, World


def refused(world: World, request: SettlementRequest, code: str, **given: Any) -> str:
    """What a fresh auditor says of a request that it refuses, by this code."""
    with pytest.raises(Refusal) as caught:
        world.auditor(**given).settle(request.to_bytes())
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    return str(caught.value)


@pytest.fixture(scope="module")
def once() -> tuple[World, Played, SettlementRequest]:
    """One honest round, which tests only read."""
    world = World()
    played = world.play()
    assert played.cohort is not None
    assert not played.verdict.left_out
    return world, played, request_of(world, played)


Once = tuple[World, Played, SettlementRequest]


# ---- what follows is signed


def test_an_honest_settlement_is_signed(once: Once) -> None:
    world, _, request = once
    answer = world.auditor(0).settle(request.to_bytes())
    awards = [(line.mine, line.share_bps) for line in request.awards]
    place = HERE.chain_id, HERE.address, request.bounty, request.round
    wanted = settlement_digest(*place, request.new_model, request.new_loss, awards, request.evidence)
    assert answer.settlement == wanted
    assert signer_of(answer.settlement, answer.signature) == world.capsules[0].address == answer.capsule
    assert world.auditor(1).settle(request.to_bytes()).settlement == wanted


def test_rounds_follow_from_each_other_and_openings_are_asked_for_once() -> None:
    world = World()
    always, late = world.auditor(0), world.auditor(1)
    for number in range(1, 4):
        played = world.play()
        request = request_of(world, played, rounds=[])
        assert [each.round for each in request.rounds] == [number]
        answer = always.settle(request.to_bytes())
        if number == 3:
            with pytest.raises(Refusal, match="rounds 1, 2 were not seen here") as missing:
                late.settle(request.to_bytes())
            assert missing.value.code == "openings-missing"
            assert late.settle(request_of(world, played).to_bytes()).settlement == answer.settlement
        world.settle(played, request)
    assert world.best < 800_000  # it did learn
    assert always.again(request.bounty) == {1: "", 2: "", 3: ""}
    told = always.figures(request.bounty)
    assert [one["round"] for one in told] == [1, 2, 3]
    assert told[-1]["loss"] == request.new_loss
    assert sum(told[-1]["shares_bps"].values()) == 10_000


def test_a_cheat_is_left_out_and_stays_out() -> None:
    """A mine that triples its answers from round 2 on: the same tests leave it out for the auditor too."""
    world, auditor = World(), None
    auditor = world.auditor()
    for number in (1, 2, 3):
        if number > 1:
            world.mines[0].answer = lambda rows, w, frac: [3 * u for u in rows.answer(w, frac)]
        played = world.play()
        request = request_of(world, played, rounds=[])
        auditor.settle(request.to_bytes())
        world.settle(played, request)
        cheat = world.mines[0].address
        assert (cheat in played.verdict.left_out) == (number > 1)
    assert played.verdict.left_out[cheat].startswith("left out since round 2: test ")


def test_who_is_left_out_for_privacy_has_its_fee() -> None:
    """One mine is absent: with it two, by lot, stay out of the sum, and the auditor draws the same lot."""
    world = World(mines=7)
    auditor = world.auditor()
    for absent in (False, True):
        world.mines[2].absent = absent
        played = world.play()
        request = request_of(world, played, rounds=[])
        auditor.settle(request.to_bytes())
        world.settle(played, request)
    spared = [mine for mine, why in played.verdict.left_out.items() if why == SPARED]
    assert len(spared) == 2
    assert {line.share_bps for line in request.awards if line.mine in spared} == {1}


def test_a_round_in_which_nothing_can_be_opened_leaves_the_model_as_it_is() -> None:
    world = World(min_mines=5)
    world.mines[0].absent = True
    played = world.play()
    assert played.cohort is None
    request = request_of(world, played)
    world.auditor().settle(request.to_bytes())
    assert request.new_model == world.model.digest()
    more = request.model_copy(update={"new_loss": request.new_loss - 1})
    refused(world, more, "loss")


# ---- one settlement a round


def test_the_same_settlement_gets_the_same_answer_and_another_none() -> None:
    world = World(mines=7)
    world.mines[0].absent = True
    played = world.play()
    auditor = world.auditor()
    request = request_of(world, played)
    first = auditor.settle(request.to_bytes())
    assert auditor.settle(request.to_bytes()) == first

    # The same weights, encrypted anew: all of it follows, and it is another settlement.
    assert played.point is not None
    world.move_to(played, played.point.weights_int)
    other = request_of(world, played)
    world.auditor(0).settle(other.to_bytes())
    with pytest.raises(Refusal, match="was signed as") as caught:
        auditor.settle(other.to_bytes())
    assert caught.value.code == "second"


# ---- lies


def changed(request: SettlementRequest, **fields: Any) -> SettlementRequest:
    return request.model_copy(update=fields)


@pytest.mark.parametrize("off", [1, -1, 1000])
def test_another_loss_is_refused(once: Once, off: int) -> None:
    world, played, _ = once
    text = refused(world, request_of(world, played, loss=played.loss + off), "loss")
    assert f"said to be {played.loss + off}" in text
    assert str(played.loss) in text


def test_shares_moved_by_one_basis_point_are_refused(once: Once) -> None:
    world, played, request = once
    shares = {str(line.mine): line.share_bps for line in request.awards}
    poor, rich = sorted(shares, key=lambda mine: shares[mine])[:: len(shares) - 1]
    moved = {**shares, rich: shares[rich] - 1, poor: shares[poor] + 1}
    assert "follows" in refused(world, request_of(world, played, shares=moved), "shares")


REASONS: Mapping[str, tuple[str, str]] = {
    "a test that it passes": ("test unlike: it lies far from where the others are", "reason"),
    "malformed, which it is not": ("malformed: rows: 3 is less than the bounty's 10", "reason"),
    "withheld, and it was there": (WITHHELD, "reason"),
    "nothing that anybody can check": ("she does not like it", "reason"),
}


@pytest.mark.parametrize("why", REASONS)
def test_a_mine_left_out_for_a_false_reason_is_missed(why: str) -> None:
    reason, code = REASONS[why]
    world = World()
    victim = world.mines[0].address
    auditor = world.auditor()
    played = world.play(leave_out={victim: reason}, before=lambda: auditor.look(world.chain(), 1))
    assert played.cohort is not None
    assert victim not in {addend.mine for addend in played.cohort.addends}
    with pytest.raises(Refusal) as caught:
        auditor.settle(request_of(world, played).to_bytes())
    assert caught.value.code == code
    assert victim in str(caught.value)


def test_an_auditor_that_was_not_asked_does_not_believe_that_an_update_was_withheld() -> None:
    """It has not looked into the store in time. Who was asked has; and those are enough to sign.

    Else a scientist with one capsule would ask that one and another, and have a third sign.
    """
    world = World()
    victim = world.mines[0].address
    played = world.play(leave_out={victim: WITHHELD})
    assert victim in refused(world, request_of(world, played), "reason")


def test_evidence_must_be_what_follows(once: Once) -> None:
    world, played, _ = once

    def noted(told: Any) -> Any:
        first, *rest = told.cohort
        return told.model_copy(update={"cohort": (first.model_copy(update={"reason": "hm"}), *rest)})

    refused(world, request_of(world, played, evidence_says=noted), "evidence")
    better = lambda told: told.model_copy(update={"best_loss": told.best_loss - 1})  # noqa: E731
    assert "best_loss" in refused(world, request_of(world, played, evidence_says=better), "evidence")


def tampered(openings: Openings, at: int, width: int) -> Openings:
    """The same with a plaintext that is one more."""
    plain = bytearray(openings.plain)
    number = int.from_bytes(plain[at * width : (at + 1) * width], "big") + 1
    plain[at * width : (at + 1) * width] = number.to_bytes(width, "big")
    return openings.model_copy(update={"plain": bytes(plain)})


def in_round(request: SettlementRequest, change: Callable[[AuditedRound], AuditedRound]) -> SettlementRequest:
    *before, last = request.rounds
    return changed(request, rounds=(*before, change(last)))


def test_a_false_opening_is_found_and_named(once: Once) -> None:
    world, _, request = once
    width = (world.public.bits + 7) // 8

    def answer(last: AuditedRound) -> AuditedRound:
        first, *rest = last.answers
        lie = first.model_copy(update={"openings": tampered(first.openings, 0, width)})
        return last.model_copy(update={"answers": (lie, *rest)})

    text = refused(world, in_round(request, answer), "opening")
    assert request.awards[0].mine in text

    old = lambda last: last.model_copy(update={"weights": tampered(last.weights, 3, width)})  # noqa: E731
    refused(world, in_round(request, old), "opening")
    assert request.new_weights is not None
    refused(world, changed(request, new_weights=tampered(request.new_weights, 2, width)), "opening")


def test_an_answer_that_is_not_opened_is_missed(once: Once) -> None:
    world, _, request = once
    fewer = lambda last: last.model_copy(update={"answers": last.answers[1:]})  # noqa: E731
    refused(world, in_round(request, fewer), "openings-missing")

    def another(last: AuditedRound) -> AuditedRound:
        first, second, *rest = last.answers
        swapped = (
            OpenedAnswer(mine=first.mine, update=second.update, openings=second.openings),
            second,
            *rest,
        )
        return last.model_copy(update={"answers": swapped})

    refused(world, in_round(request, another), "opening")


def test_another_holdout_is_refused(once: Once) -> None:
    world, _, request = once
    columns = world.design.spec.columns
    values = world.values.copy()
    values[0, 0] += 1e-9
    other = HoldoutRows.of(columns, values, SALT)
    refused(world, changed(request, holdout=other), "holdout")
    refused(world, changed(request, holdout=HoldoutRows.of(columns, world.values[1:], SALT)), "holdout")
    refused(world, changed(request, holdout=HoldoutRows.of(columns, world.values, b"x" * 32)), "holdout")


def test_another_optimiser_is_refused(once: Once) -> None:
    world, _, request = once
    for metric, wish in (("r2", GradientDescentWish()), ("mse", world.wish)):
        refused(world, changed(request, optimiser=written(metric, wish)), "optimiser")


def test_another_step_than_the_optimisers_is_refused() -> None:
    world = World()
    played = world.play()
    assert played.point is not None
    weights = list(played.point.weights_int)
    weights[1] += 127 * 50
    loss = world.design.loss_at(weights)
    played.point = replace(played.point, weights_int=tuple(weights), loss=loss)
    world.move_to(played, weights)
    assert "optimiser's step" in refused(world, request_of(world, played), "step")


def test_weights_beyond_their_bound_are_refused() -> None:
    world = World()
    played = world.play()
    assert played.point is not None
    weights = [world.plan.bounds.weight_max + 127, *played.point.weights_int[1:]]
    world.move_to(played, weights)
    assert "at most" in refused(world, request_of(world, played), "weights")


def test_the_past_the_other_and_the_other_place_are_refused(once: Once) -> None:
    world, _, request = once
    refused(world, changed(request, chain_id=1), "network")
    refused(world, changed(request, contract=Address("0x" + "4" * 40)), "network")
    refused(world, changed(request, new_model=world.key_digest), "model")


def test_a_round_that_is_over_is_not_signed_again() -> None:
    world = World()
    played = world.play()
    request = request_of(world, played)
    world.settle(played, request)
    refused(world, request, "round")
    with_stale = world.play()
    stale = changed(request_of(world, with_stale), new_model=played.new_model.digest())  # type: ignore[union-attr]
    refused(world, stale, "model")


def test_the_set_on_the_chain_must_be_the_one_that_follows() -> None:
    world = World()
    played = world.play(fix=lambda weights: dict(list(weights.items())[1:]))
    assert "leaves out" in refused(world, request_of(world, played), "cohort")
    world = World()
    played = world.play(fix=lambda weights: {mine: 1 + w // 2 for mine, w in weights.items()})
    refused(world, request_of(world, played), "cohort")


# ---- capsules


def sums(request: SettlementRequest, answers: list[bytes]) -> SettlementRequest:
    def change(last: AuditedRound) -> AuditedRound:
        assert last.sum is not None
        return last.model_copy(update={"sum": last.sum.model_copy(update={"answers": tuple(answers)})})

    return in_round(request, change)


def test_capsules_that_differ_are_named(once: Once) -> None:
    world, played, request = once
    honest, cohort = request.rounds[-1].sum, played.cohort
    assert honest is not None
    assert cohort is not None
    lie = world.tellers.tell_sum(world.capsules[1], cohort, add=1)
    text = refused(world, sums(request, [honest.answers[0], lie]), "capsules-differ")
    assert world.capsules[0].address in text
    assert world.capsules[1].address in text


def test_a_class_of_which_nobody_tells_is_missed(once: Once) -> None:
    world, _, request = once
    assert request.rounds[-1].sum is not None
    refused(world, sums(request, [request.rounds[-1].sum.answers[0]]), "told-missing")
    silent = lambda last: last.model_copy(update={"asked": last.asked[:1]})  # noqa: E731
    refused(world, in_round(request, silent), "told-missing")


def test_what_a_capsule_told_cannot_be_changed(once: Once) -> None:
    world, _, request = once
    assert request.rounds[-1].sum is not None
    first, second, *_ = request.rounds[-1].sum.answers
    forged = signed(world.capsules[2], SignedAnswer.from_bytes(second).body)
    refused(world, sums(request, [first, forged]), "answer")
    stranger = World().capsules[0]
    refused(world, sums(request, [first, world_of(stranger, second)]), "answer")


def world_of(stranger: Any, answer: bytes) -> bytes:
    """What another capsule than the bounty's might say."""
    from sonar.manifests.capsule import SumAnswer

    told = SumAnswer.from_bytes(SignedAnswer.from_bytes(answer).body)
    return signed(stranger, told.model_copy(update={"capsule": stranger.address}).to_bytes())


def test_a_capsule_knows_its_own_masks(once: Once) -> None:
    """Another holder lies of a class that the auditor holds too, and the auditor's answer is left out."""
    world, played, request = once
    cohort = played.cohort
    assert cohort is not None
    lie = world.tellers.tell_sum(world.capsules[1], cohort, add=5)
    honest = world.tellers.tell_sum(world.capsules[2], cohort)
    own = {world.tellers.sum_request(cohort): world.tellers.tell_sum(world.capsules[0], cohort)}
    auditor = world.auditor(0, own=own)
    with pytest.raises(Refusal) as caught:
        auditor.settle(sums(request, [lie, honest]).to_bytes())
    assert caught.value.code == "capsules-differ"


def test_every_refusal_says_what_to_do() -> None:
    assert all(text and len(code) <= 64 for code, text in CODES.items())
