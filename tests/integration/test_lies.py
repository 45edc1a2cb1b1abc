"""Nodes that lie for a while: no stake is lost, no bounty is stuck, and the journals tell the truth.

Each run is a whole network with four lies (`make lies` makes more runs than `make test`).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.integration.lies_kit import World, plan_of

SEEDS = range(int(os.environ.get("SONAR_LIES", "8")))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_stake_is_lost_and_no_bounty_is_stuck(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed + 1_000_000)
    cap, confirmations = rng.choice([3, 4]), rng.choice([1, 3])
    world = World(tmp_path, seed, plan_of(seed), confirmations=confirmations, cap=cap)
    world.run(restarts=lambda who: rng.random() < 0.03)
    world.check()
