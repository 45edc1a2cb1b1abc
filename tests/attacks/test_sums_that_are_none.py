"""Whole audited campaigns in which junk beside a mine's values passes the tests by luck and spoils a sum: the
round changes nothing, its fees are paid, whoever did it is found and left out, and the campaign goes on.

One draw in four million is so lucky. Here the test's judgement is made so; what is asked and told is real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capsule.audit.auditor import Auditor
from sonar.errors import CapsuleFault, CapsulesDiffer
from sonar.families.quadratic.veiled import identities
from sonar.families.quadratic.veiled.base import Question
from sonar.manifests.capsule import SumAnswer
from sonar.paillier.slots import SlotPlan
from sonar.protocol.events import BountyPosted, MinePaid
from sonar.settling.verdict import NO_SUM, SPARED
from sonar.verifying.reading import verify
from tests import veil_kit as kit
from tests.attacks.test_lies_through_the_veil import Around, Liar, played
from tests.integration.capsule_world import CapsuleWorld

ROUNDS = 3
JUNK = 1 << 36


def junk_in_the_first(update: kit.Update, around: Around) -> kit.Update:
    """Of one round, so that a mine which is not found would go on to earn."""
    if len(around.made) > 1:
        return update
    return kit.junk_above_slots(update, around.key, around.plan, JUNK)


@pytest.fixture
def lucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is beside values passes the tests that come before the sum."""
    honest = identities.junk_of

    def blind(plan: SlotPlan, round: int, draw: Callable[[int], int]) -> Question:
        return replace(honest(plan, round, draw), room=1 << plan.slot_bits)

    monkeypatch.setattr(identities, "junk_of", blind)


@pytest.mark.usefixtures("lucky")
def test_a_sum_that_is_none_costs_one_round_and_its_liar_the_rest(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=5, settings={"rounds": ROUNDS}, audit=True)
    liar = Liar(world, 9, world.miners[0].account, lie=junk_in_the_first)
    world.miners[0] = liar
    campaign = world.campaign()
    world.run(campaign)
    first, second, third = campaign.history()
    assert [line["ended"] for line in (first, second, third)] == ["settled"] * ROUNDS
    start = world.events(BountyPosted)[0].terms.initial_loss

    assert first["loss"] == first["best_loss"] == start
    assert list(first["left_out"]) == [liar.address]
    assert first["left_out"][liar.address].startswith("test range: ")
    assert sorted(first["shares_bps"].values()) == [0, 2500, 2500, 2500, 2500]
    assert second["left_out"][liar.address].startswith("left out since round 1: test range: ")
    assert sum(why == SPARED for why in second["left_out"].values()) == 1  # else the sums differ by the liar
    assert third["loss"] < second["loss"] < start
    paid = [event for event in world.events(MinePaid) if event.mine == liar.address]
    assert sum(event.fee_units + event.reward_units for event in paid) == 0
    world.check_money()

    assert campaign.id is not None
    auditors = [one.means.auditor for one in world.capsules]
    again = [one.again(campaign.id) for one in auditors if isinstance(one, Auditor)]
    assert {(number, why) for each in again for number, why in each.items()} == {(1, ""), (2, ""), (3, "")}
    told = verify(world.market, lambda: world.store, world.events(BountyPosted)[0])
    assert told.result == "holds"
    assert [f.found for f in told.rounds[1].findings if f.field == "sum"] == [NO_SUM]


class Killed(BaseException):
    """The process ends here."""


class KilledAfter:
    """A holder that ends the process once it has told who spoiled a sum."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def spoilers(self, *given: Any) -> dict[str, str]:
        self._part.spoilers(*given)
        raise Killed


@pytest.mark.usefixtures("lucky")
def test_who_spoiled_a_sum_is_not_asked_twice_after_a_restart(tmp_path: Path) -> None:
    world = CapsuleWorld(tmp_path, mines=5, settings={"rounds": 1})
    liar = Liar(world, 9, world.miners[0].account, lie=junk_in_the_first)
    world.miners[0] = liar
    killed = world.campaign(lambda part, name: KilledAfter(part) if name == "key" else part)
    with pytest.raises(Killed):
        world.run(killed)
    asked = [list(one.asked) for one in world.capsules]
    for one in world.capsules:
        one.down = True
    world.run(campaign := world.campaign())
    assert [list(one.asked) for one in world.capsules] == asked
    (line,) = campaign.history()
    assert list(line["left_out"]) == [liar.address]
    assert line["ended"] == "settled"


def far_off(kind: str, body: bytes) -> bytes:
    """A capsule's sum, of the last class that it holds, wrong in its highest bits."""
    if kind != "sum":
        return body
    told = SumAnswer.from_bytes(body)
    *others, last = told.sums
    wrong = bytes([last[0] - 1 if last[0] else 1]) + last[1:]
    return told.model_copy(update={"sums": (*others, wrong)}).to_bytes()


def test_one_capsule_cannot_make_a_sum_none_while_another_is_down(tmp_path: Path) -> None:
    """Nothing is settled until somebody can compare; then both are named, and the model trains on."""
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 2})
    campaign, (liar, down, _) = world.campaign(), world.capsules
    world.run_until(campaign, lambda: campaign.records.finished() == 1)
    liar.change, down.down = far_off, True
    with pytest.raises(CapsuleFault, match="is out of range: of") as caught:
        world.run(campaign)
    assert not isinstance(caught.value, CapsulesDiffer)
    down.start()
    with pytest.raises(CapsulesDiffer, match=liar.address):
        world.run(world.campaign())
    liar.down = True
    world.run(again := world.campaign())
    first, second = again.history()
    assert second["loss"] < first["loss"]


def test_the_same_junk_without_luck_stops_no_round(tmp_path: Path) -> None:
    _, history, liar = played(tmp_path, junk_in_the_first)
    assert [list(line["left_out"])[:1] for line in history] == [[liar]] * len(history)
    assert history[0]["shares_bps"][liar] == 0
    assert history[1]["loss"] < history[0]["loss"]
