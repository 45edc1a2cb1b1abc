"""Capsules over a real chain, a real store and real HTTP: what they tell, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from capsule.home.witness import VARIABLE
from sonar.manifests.capsule import FunctionalAnswer, SumAnswer
from sonar.veil.functionals import spread
from tests.served_kit import Cap, Town, town_of
from tests.town_kit import Posted

MINES = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, list[Cap]]]:
    folder = tmp_path_factory.mktemp("capsules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "witness"))
        with town_of(folder, MINES) as made:
            yield made


@pytest.fixture
def town(world: tuple[Town, list[Cap]]) -> Town:
    return world[0]


@pytest.fixture
def capsules(world: tuple[Town, list[Cap]]) -> list[Cap]:
    return world[1]


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
