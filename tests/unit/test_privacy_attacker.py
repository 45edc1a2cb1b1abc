"""The attacker of the benchmark, with fewer trials: she stays under the declared epsilon, and she can win."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.attacker import (
    Attacker,
    World,
    check_what_is_released,
    found_out,
    privacy_attacker,
    statistics,
    wins_without_noise,
)
from mine.privacy.policy import Budget


@pytest.fixture(params=[1, 3], ids=["local", "shared"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World.make(tmp_path, Budget(1.0, 1e-5), request.param)


def test_what_is_released_does_not_depend_on_the_row(world: World) -> None:
    check_what_is_released(world, 2)


def test_she_stays_under_the_declared_epsilon(world: World) -> None:
    assert found_out(world, 400) <= 1.0


def test_with_a_tenth_of_the_noise_she_does_not(world: World) -> None:
    assert found_out(world, 400, Fraction(1, 10)) > 2.0


def test_without_noise_she_wins_every_time(world: World) -> None:
    assert wins_without_noise(world, 20) == 1.0


def test_her_two_rows_are_nearly_as_far_apart_as_the_price_is_for(world: World) -> None:
    attacker = Attacker.of(world)
    assert 0.9 < attacker.power / float(2 * world.budget.rho) <= 1.0
    found = statistics(world, 1, 400)
    spread = math.sqrt(attacker.power)
    assert abs(np.mean(found) - attacker.power / 2) < 5 * spread / 20
    assert 0.8 < np.std(found) / spread < 1.2


def test_the_measure_tells_value_limit_and_whether_it_holds() -> None:
    figures = privacy_attacker(True, 50)["figures"]
    assert len(figures) == 4
    assert all(figure.keys() == {"value", "limit", "holds"} for figure in figures.values())
    assert all(figure["holds"] for figure in figures.values())
