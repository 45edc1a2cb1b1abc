"""Capsules over a real chain, a real store and real HTTP: what they tell, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sonar.manifests.capsule import FunctionalAnswer, SumAnswer
from sonar.veil.functionals import spread
from tests.chain_kit import wish
from tests.served_kit import Cap, Town, fixtures_of, town_of
from tests.town_kit import Posted

pytestmark = pytest.mark.xdist_group("capsule")
MINES = 4
world, town, capsules = fixtures_of(MINES)


def answered(town: Town, capsules: list[Cap], **options: Any) -> Posted:
    posted = town.post(capsules, **options)
    town.answer(posted)
    return posted


def test_a_functional_is_as_precise_as_it_says(town: Town, capsules: list[Cap]) -> None:
    posted = answered(town, capsules)
    mine = town.mines[0].address
    vector = spread(posted.plan, [3, -5, 7])
    request = town.functional(posted, 1, [(mine, 24, 0), (mine, posted.plan.slot_bits, 0)], [vector])
    told = {}
    for capsule in capsules[1:]:
        found = town.ask(capsule, request)
        assert isinstance(found, FunctionalAnswer), found
        told[capsule] = found
    true = sum(v * u for v, u in zip([3, -5, 7], posted.values[1][mine], strict=True))
    for ask in (0, 1):
        measured = town.measure(posted, request, told, ask)
        assert abs(measured.value - true) <= measured.error
    assert measured.error <= 3 * 15


def test_any_two_capsules_open_the_sum_exactly(town: Town, capsules: list[Cap]) -> None:
    posted = answered(town, capsules)
    weights = {mine.address: 17 for mine in town.mines}
    digest = town.fix(posted, 1, weights)
    cohort = town.cohort(posted, 1, weights)
    request = town.sum(posted, 1, digest)
    told = {}
    for capsule in capsules:
        found = town.ask(capsule, request)
        assert isinstance(found, SumAnswer), found
        told[capsule] = found
    true = [
        sum(weights[mine] * values[place] for mine, values in posted.values[1].items()) for place in range(3)
    ]
    for left_out in capsules:
        two = {capsule: answer for capsule, answer in told.items() if capsule is not left_out}
        assert town.total(posted, cohort, two) == true


def test_a_round_after_one_that_failed_is_about_the_same_model(town: Town, capsules: list[Cap]) -> None:
    """Two of four answer, and the bounty needs three: the round fails, and the model stays."""
    posted = town.post(capsules, min_mines=3)
    town.answer(posted, absent=(2, 3))
    early = town.functional(posted, 1, [(town.mines[0].address, 8, 0)], [spread(posted.plan, [1, 1, 1])])
    found = town.refusal(capsules[0], early)
    assert (found.code, "over" in found.problem) == ("phase", True)
    call = town.market.expire(posted.bounty, 1, list(posted.updates[1]))
    town.outbox.perform(wish(f"expire/{posted.bounty.hex()}"), call)
    posted.models.append(posted.models[0])
    town.answer(posted, 2, absent=(3,))
    there = [mine.address for mine in town.mines[:3]]
    request = town.functional(posted, 2, [(there[0], 24, 0)], [spread(posted.plan, [1, 2, 3])])
    told = {}
    for capsule in capsules[:2]:
        answer = town.ask(capsule, request)
        assert isinstance(answer, FunctionalAnswer), answer
        told[capsule] = answer
    measured = town.measure(posted, request, told, 0)
    true = sum(v * u for v, u in zip([1, 2, 3], posted.values[2][there[0]], strict=True))
    assert abs(measured.value - true) <= measured.error
    weights = dict.fromkeys(there, 17)
    digest = town.fix(posted, 2, weights)
    opened = {}
    for capsule in capsules[1:]:
        found_sum = town.ask(capsule, town.sum(posted, 2, digest))
        assert isinstance(found_sum, SumAnswer), found_sum
        opened[capsule] = found_sum
    total = town.total(posted, town.cohort(posted, 2, weights), opened)
    assert total == [17 * sum(posted.values[2][mine][place] for mine in there) for place in range(3)]


def test_nothing_is_told_before_the_network_s_depth(tmp_path: Path) -> None:
    with town_of(tmp_path, 3, 1, confirmations=4) as (town, (capsule,)):
        posted = town.post([capsule], threshold=1)
        town.answer(posted)
        mine = town.mines[0].address
        request = town.functional(posted, 1, [(mine, 8, 0)], [spread(posted.plan, [1, 1, 1])])
        assert town.refusal(capsule, request).code == "depth"
        town.blocks(3)
        assert isinstance(town.ask(capsule, request), FunctionalAnswer)
        digest = town.fix(posted, 1, {one.address: 17 for one in town.mines})
        town.blocks(1)
        assert town.refusal(capsule, town.sum(posted, 1, digest)).code == "depth"
        town.blocks(2)
        assert isinstance(town.ask(capsule, town.sum(posted, 1, digest)), SumAnswer)
