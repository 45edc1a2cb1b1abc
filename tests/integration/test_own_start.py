"""Whole campaigns that start from the scientist's own weights, or learn several targets at once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.campaign.records import Posting
from sonar.data import examples
from sonar.manifests.model import ModelManifest
from sonar.protocol.events import MinePaid
from tests.integration.campaign_kit import World
from tests.integration.table_world import TableWorld

TABLE = examples.load("diabetes")
NAMES = [name for name in TABLE.columns if name != "target"]
X, Y = TABLE.matrix(NAMES)[:42], TABLE.column("target")[:42]


def test_only_what_is_better_than_the_scientists_own_weights_is_paid(tmp_path: Path) -> None:
    own = Ridge(alpha=20_000.0).fit(X, Y)
    start_mse = float(np.mean((own.predict(X) - Y) ** 2))
    world = World(tmp_path / "w", settings={"start": own, "r2": 0.6, "rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    posted = ModelManifest.from_bytes(campaign.records.get(Posting).model_manifest)
    assert not posted.zero_start
    summary = campaign.summary()
    assert summary["initial"]["mse"] == pytest.approx(start_mse, rel=1e-4)
    assert 400_000 < summary["initial_loss"] < 950_000
    assert summary["final_loss"] < summary["initial_loss"]
    rewards = sum(event.reward_units for event in world.events(MinePaid))
    earned = world.bounty.terms.reward_at(summary["final_loss"])
    assert rewards == pytest.approx(earned, abs=10 * len(world.miners))
    assert campaign.model.figures["mse"] < start_mse

    # The next bounty goes on from there, and the shelf keeps that.
    again = World(tmp_path / "again", settings={"start": campaign.model, "r2": 0.65, "rounds": 1})
    assert again.bounty.initial_loss == pytest.approx(summary["final_loss"], abs=5)
    shelf = Shelf(tmp_path)
    shelf.keep(again.bounty)
    taken = shelf.take("diabetes")
    assert isinstance(taken, Bounty)
    again.bounty = taken
    second = again.campaign()
    again.run(second)
    assert second.summary()["initial_loss"] == again.bounty.initial_loss


def test_two_targets_end_near_the_pooled_least_squares(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(460, 4))
    y = np.column_stack(
        [
            100 + x @ [5.0, -2.0, 0.0, 1.0] + rng.normal(size=460),
            1e-3 * (x @ [0.0, 1.0, 3.0, 0.0] + 0.5 * rng.normal(size=460)),
        ]
    )
    sizes, names = [100] * 4, ["a", "b", "c", "d"]
    windows = dict.fromkeys(("commit_window_s", "reveal_window_s", "settle_window_s"), 30)
    settings: dict[str, Any] = {"cohort": 4, "min_mines": 2, "key_bits": 1024, "insecure_key": True}
    bounty = Bounty.of(
        x[:60], y[:60], target=["u", "v"], features=names, name="two", rounds=3, **settings, **windows
    )
    ends = np.cumsum([60, *sizes]).tolist()
    world = TableWorld(tmp_path, bounty, x, y, [slice(a, b) for a, b in pairwise(ends)])
    world.run()
    assert world.problems() == []
    model, summary = world.campaign.model, world.campaign.summary()
    assert summary["initial_loss"] == 1_000_000
    assert model.loss <= 1.05 * world.pooled() + 100
    predicted = model.predict(x[:60])
    for i, target in enumerate(("u", "v")):
        mse = float(np.mean((predicted[:, i] - y[:60, i]) ** 2))
        assert mse == pytest.approx(model.figures[f"mse {target}"], rel=1e-4)
        assert model.figures[f"r2 {target}"] > 0.9
    told = min(world.campaign.history(), key=lambda line: float(line["loss"]))["figures"]
    assert told == pytest.approx(dict(model.figures))  # what people read of that round is the model's
    assert model.coefficients["u: a"] == pytest.approx(5.0, abs=0.3)
    assert model.coefficients["v: c"] == pytest.approx(3e-3, abs=3e-4)
