"""Data that no other test has: whole campaigns end near the pooled least squares, or mines say why not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from tests.integration.table_world import Array, TableWorld


def play(folder: Path, x: Array, y: Array, *, holdout: int, sizes: list[int], **settings: Any) -> TableWorld:
    """The first rows are the holdout, the next ones the mines'."""
    wanted = {"name": "table", "rounds": 7, "cohort": len(sizes), "min_mines": 2, "patience": 0}
    names = [f"column{i}" for i in range(x.shape[1])]
    windows = dict.fromkeys(("commit_window_s", "reveal_window_s", "settle_window_s"), 10 + 3 * len(sizes))
    bounty = Bounty.of(
        x[:holdout],
        y[:holdout],
        target="y",
        features=names,
        **(wanted | windows | {"key_bits": 1024, "insecure_key": True} | settings),
    )
    ends = np.cumsum([holdout, *sizes]).tolist()
    world = TableWorld(folder, bounty, x, y, [slice(a, b) for a, b in pairwise(ends)])
    world.run()
    return world


def test_breast_cancer_by_the_logistic_loss(tmp_path: Path) -> None:
    """31 weights of strongly correlated columns, labels -1 and +1."""
    table = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(table.target))
    x, y = table.data[order], 2.0 * table.target[order] - 1.0
    world = play(tmp_path, x, y, holdout=69, sizes=[100] * 5, loss="logistic-taylor")
    assert world.campaign.model.loss <= 1.02 * world.pooled() < 500_000
    right = world.campaign.model.predict(x[:69]) == y[:69]
    assert right.mean() == pytest.approx(world.campaign.model.figures["accuracy"])
    assert right.mean() >= 0.9
    assert all(len(line["accepted"]) == 5 for line in world.campaign.history())


@pytest.mark.parametrize("scale", [0.2, -1e6])
def test_columns_and_targets_of_any_kind(tmp_path: Path, scale: float) -> None:
    """A huge offset, a tiny unit, a column twice, one of 0 and 1, and mines of 30 to 2000 rows."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(2500, 6))
    x[:, 3] = x[:, 2]
    x[:, 4] = rng.random(2500) < 0.4
    y = scale * (3 + x @ rng.normal(size=6) + 0.3 * rng.normal(size=2500))
    x[:, 0] += 1e8
    x[:, 1] *= 1e-6
    world = play(tmp_path, x, y, holdout=60, sizes=[30, 60, 2000, 45])
    assert world.campaign.model.loss <= 1.05 * world.pooled()
    assert all(len(line["accepted"]) == 4 for line in world.campaign.history())
    assert world.problems() == []


def test_one_column_and_few_held_out_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 1))
    y = 2 - 3 * x[:, 0] + rng.normal(size=200)
    world = play(tmp_path, x, y, holdout=10, sizes=[10, 60, 100], rounds=4)
    assert world.campaign.model.loss <= 1.05 * world.pooled()


def test_a_mine_that_is_unlike_all_others_says_why_it_stays_away(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(260, 3))
    y = x @ [1.0, 2.0, 3.0] + 0.3 * rng.normal(size=260)
    x[60:110, 2] = 7.0  # seven deviations from the holdout's mean, in each of its rows
    world = play(tmp_path, x, y, holdout=60, sizes=[50] * 4, rounds=4)
    assert len(world.problems()) == 1
    assert "a_row_l1_max" in world.problems()[0]
    assert all(len(line["cohort"]) == 3 for line in world.campaign.history())
    world.parts = world.parts[1:]
    assert world.campaign.model.loss <= 1.05 * world.pooled()
