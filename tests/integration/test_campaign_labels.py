"""Classes in one bounty, from files with labels to a classifier: real nodes, and capsules that audit."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from sonar.data import examples
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.prepare import prepare
from sonar.manifests.model import ModelManifest
from sonar.paillier.slots import SlotPlan
from sonar.protocol.events import RoundSettled
from tests.integration.table_world import TableWorld
from tests.integration.test_campaign_audited import AuditedWorld

Labels = NDArray[Any]
MONEY: dict[str, Any] = {"stake": "0.1 ether", "fee": "0.01 ether", "reward": "1 ether"}


def world_of(
    folder: Path, x: NDArray[np.float64], y: Labels, names: list[str], sizes: list[int], **settings: Any
) -> TableWorld:
    """The first part is the holdout, the others the mines'."""
    wanted = {"name": "classes", "loss": "logistic-taylor", "cohort": len(sizes) - 1, "min_mines": 2}
    windows = dict.fromkeys(("commit_window_s", "reveal_window_s", "settle_window_s"), 10 + 3 * len(sizes))
    own = slice(0, sizes[0])
    fields = wanted | windows | {"key_bits": 1024, "insecure_key": True} | settings
    bounty = Bounty.of(x[own], y[own], target="kind", features=names, **fields)
    ends = [0, *np.cumsum(sizes).tolist()]
    return TableWorld(folder, bounty, x, y, [slice(a, b) for a, b in list(pairwise(ends))[1:]])


def test_three_classes_written_as_texts(tmp_path: Path) -> None:
    wine = pytest.importorskip("sklearn.datasets").load_wine()
    order = np.random.default_rng(1).permutation(len(wine.target))
    x, y = wine.data[order], np.array(["barolo", "grignolino", "barbera"])[wine.target[order]]
    names = [f"column{i}" for i in range(13)]
    world = world_of(tmp_path, x, y, names, [48, 43, 43, 44], rounds=5)
    world.run()
    model = world.campaign.model
    assert model.levels_known == ("barbera", "barolo", "grignolino")
    assert model.score(x[48:], y[48:]) >= 0.95
    assert model.figures["accuracy"] >= 0.95
    assert world.problems() == []
    lines = world.campaign.history()
    assert all(len(line["accepted"]) == 3 for line in lines if line["ended"] == "settled")
    ridge = world.campaign.ridge()
    assert ridge.loss <= model.loss
    assert ridge.score(x[48:], y[48:]) >= 0.95


def test_ten_classes_of_many_weights(tmp_path: Path) -> None:
    """Hundreds of weights in one bounty: limits, and mines with few pixels' values are told all at once."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x, y = digits.data, digits.target
    sizes = [300, 450, 450, 450]
    parts = np.split(np.arange(1650), np.cumsum(sizes)[:-1])
    usual = np.median(x, axis=0)
    keep = [i for i in range(64) if all(np.count_nonzero(x[rows, i] != usual[i]) >= 5 for rows in parts)]
    world = world_of(tmp_path, x[:, keep], y, [f"p{i}" for i in keep], sizes, rounds=2)
    plan = world.bounty.design.plan
    assert (plan.outputs, plan.weights) == (10, 10 * (len(keep) + 1))
    assert plan.weights >= 450
    world.run()
    assert world.problems() == []
    assert world.campaign.model.score(x[1650:, keep], y[1650:]) >= 0.8
    assert world.campaign.ridge().score(x[1650:, keep], y[1650:]) >= 0.8
    assert all(len(line["accepted"]) == 3 for line in world.campaign.history())


def test_a_label_outside_the_vocabulary_keeps_its_mine_away(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 3))
    y = np.array(["low", "mid", "top"])[(2 * x + rng.normal(size=(200, 3))).argmax(axis=1)]
    y = y.astype("U8")
    y[60] = "unheard"
    world = world_of(tmp_path, x, y, ["a", "b", "c"], [50, 50, 50, 50], rounds=2)
    world.run()
    problem = " ".join(world.problems())
    assert "column 'kind': 'unheard' is none of the bounty's categories: 'low', 'mid', 'top'" in problem
    assert all(len(line["cohort"]) == 2 for line in world.campaign.history())


class ClassesWorld(AuditedWorld):
    """Three classes of the diabetes patients, behind capsules that audit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        table = examples.load("diabetes")
        names = [name for name in table.columns if name != "target"]
        x = table.matrix(names)
        kinds = np.digitize(table.column("target"), [100.0, 180.0])
        windows = dict.fromkeys(("commit_window_s", "reveal_window_s", "settle_window_s"), self.window_s)
        fields = {"rounds": 2, "cohort": self.mines, "min_mines": 2, "key_bits": 1024, "insecure_key": True}
        self.bounty = Bounty.of(
            x[:60],
            np.array(["mild", "middle", "strong"])[kinds[:60]],
            target="course",
            features=names,
            name="classes",
            loss="logistic-taylor",
            capsules=self.bounty.settings.capsules.model_dump() if self.bounty.settings.capsules else None,
            **(MONEY | windows | fields),
        )
        parts = np.array_split(np.arange(60, len(x)), self.mines)
        for miner, rows in zip(self.miners, parts, strict=True):
            own = np.column_stack([x[rows], kinds[rows]])

            def mapped(model: ModelManifest, plan: SlotPlan, own: NDArray[np.float64] = own) -> LocalMap:
                return prepare(model.family, plan, [own])  # type: ignore[arg-type]  # it is quadratic

            miner.map = mapped  # type: ignore[method-assign]


def test_auditors_come_to_the_same_losses_of_classes(tmp_path: Path) -> None:
    """Tests, scores and settlements of several outputs, told by functionals and recomputed by capsules."""
    world = ClassesWorld(tmp_path, mines=4)
    campaign = world.campaign()
    world.run(campaign)
    assert len(world.events(RoundSettled)) == 2
    model = campaign.model
    assert isinstance(model, LinearModel)
    assert len(model.levels_known) == model.spec.outputs == 3
    assert model.loss < 950_000
    lines = campaign.history()
    assert all(len(line["accepted"]) == 4 for line in lines)
    assert any(score > 0 for line in lines for score in line["scores"].values())
    world.check_money()
