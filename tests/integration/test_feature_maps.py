"""Whole campaigns through feature maps: they predict what no line can, as scikit-learn does with all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.campaign.records import Posting
from sonar.manifests.model import ModelManifest
from sonar.protocol.events import RoundSettled
from tests.integration.campaign_kit import World
from tests.integration.table_world import Array
from tests.integration.test_other_tables import play

HOLDOUT, MINES, ROWS = 200, 5, 400
ALL = HOLDOUT + MINES * ROWS


def products(rng: Any) -> tuple[Array, Array]:
    x = rng.normal(size=(ALL, 3))
    return x, 2 + x[:, 0] * x[:, 1] + x[:, 2] ** 2


def rings(rng: Any) -> tuple[Array, Array]:
    x = rng.uniform(-2, 2, size=(ALL, 2))
    return x, 2 + np.cos(2 * np.hypot(x[:, 0], x[:, 1]))


@pytest.mark.parametrize(
    ("data", "settings", "step", "rounds", "near"),
    [
        (products, {"feature_map": "polynomial"}, PolynomialFeatures(2), 6, 1.05),
        (
            rings,
            {"feature_map": {"kind": "fourier", "n_components": 30}},
            RBFSampler(gamma="scale", n_components=30, random_state=0),
            12,
            2.0,
        ),
    ],
)
def test_a_curved_target(
    tmp_path: Path, data: Any, settings: dict[str, Any], step: Any, rounds: int, near: float
) -> None:
    rng = np.random.default_rng(0)
    x, y = data(rng)
    y = 10 * (y + 0.2 * rng.normal(size=ALL))
    world = play(tmp_path, x, y, holdout=HOLDOUT, sizes=[ROWS] * MINES, rounds=rounds, **settings)
    model, history = world.campaign.model, world.campaign.history()
    assert world.problems() == []
    assert all(len(line["accepted"]) == MINES for line in history)

    def loss(predicted: Array) -> float:
        return float(np.mean((predicted - y[:HOLDOUT]) ** 2))

    scaler = StandardScaler().fit(x[:HOLDOUT])
    scaled = scaler.transform(x)
    line = LinearRegression().fit(scaled[HOLDOUT:], y[HOLDOUT:])
    best = make_pipeline(step, LinearRegression()).fit(scaled[HOLDOUT:], y[HOLDOUT:])
    mse = model.figures["mse"]
    assert mse <= near * loss(best.predict(scaled[:HOLDOUT]))
    assert mse < 0.25 * loss(line.predict(scaled[:HOLDOUT]))
    assert loss(model.predict(x[:HOLDOUT])) == pytest.approx(mse, rel=1e-4)
    table = {name: x[:HOLDOUT, i] for i, name in enumerate(model.features)}
    assert (model.predict(table) == model.predict(x[:HOLDOUT])).all()
    assert model.spec.words in " ".join(explain(world.bounty).split())


def test_leaves_follow_a_target_with_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(200 + 3 * 180, 2))
    y = 10.0 * ((x[:, 0] > 0.5) & (x[:, 1] > 0)) - 5.0 * (np.abs(x[:, 1]) < 0.5) + rng.normal(size=len(x))
    trees = {"kind": "leaves", "trees": 10}
    world = play(tmp_path, x, y, holdout=200, sizes=[180] * 3, rounds=5, rows_min=180, feature_map=trees)
    assert world.problems() == []
    assert all(len(line["accepted"]) == 3 for line in world.campaign.history())
    line = LinearRegression().fit(x[200:], y[200:])
    rest = float(np.mean((line.predict(x[:200]) - y[:200]) ** 2))
    assert world.campaign.model.figures["mse"] < 0.3 * rest
    names = world.campaign.model.coefficients
    assert any(" <= " in name and " and " in name for name in names)


def test_a_campaign_goes_on_with_the_map_that_it_posted(tmp_path: Path) -> None:
    """Nothing but the home is left of the first process: the bounty comes from its shelf."""
    drawn = {"kind": "fourier", "n_components": 12, "random_state": 5}
    settings = {"feature_map": drawn, "rounds": 3}
    world = World(tmp_path / "world", shards=3, settings=settings)
    shelf = Shelf(tmp_path)
    shelf.keep(world.bounty)
    first = world.campaign()
    world.run_until(first, lambda: len(world.events(RoundSettled)) == 1)
    taken = shelf.take("diabetes")
    assert isinstance(taken, Bounty)
    world.bounty = taken
    second = world.campaign()
    world.run(second)
    lines = second.history()
    assert [len(line["accepted"]) for line in lines] == [3] * 3
    assert lines[2]["loss"] < lines[0]["loss"]
    assert second.model.spec == first.bounty.design.spec
    posted = ModelManifest.from_bytes(second.records.get(Posting).model_manifest)
    assert posted.family == second.model.spec
