"""Classes from the notebook: labels as people have them, auditing capsules, and a bounty that ends early."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pysonar
from sonar.data import examples
from sonar.telling.progress import ListSink

pytestmark = pytest.mark.e2e


def test_a_classifier_from_connect_to_probabilities() -> None:
    """The patients' sex, 1 or 2 in the mines' own files, from the other measurements."""
    table = examples.load("diabetes")
    features = [name for name in table.columns if name not in ("sex", "target")]
    x, y = table.matrix(features), table.column("sex")
    money: dict[str, Any] = {"rounds": 2, "cohort": 3, "min_mines": 2, "key_bits": 2048}
    with pysonar.connect(embedded=True, mines=3, capsules=3, progress=ListSink()) as session:
        bounty = pysonar.Bounty.of(
            x[:42],
            y[:42],
            target="sex",
            features=features,
            name="sex",
            loss="logistic-taylor",
            capsules={"threshold": 2},
            **money,
        )
        assert "in 'sex' one of '1', '2', as written here" in pysonar.explain(bounty).replace("\n    ", " ")
        campaign = session.campaign(bounty)
        model = campaign.fit()
        assert model.classes.tolist() == [1, 2]
        assert model.predict_proba(x).sum(axis=1) == pytest.approx(1.0)
        assert model.score(x[42:], y[42:]) > 0.6 > np.mean(y == 1.0)
        assert campaign.ridge().loss <= model.loss
        assert [line["ended"] for line in campaign.history()] == ["settled"] * 2

        other = pysonar.Bounty.example(name="early", capsules=None, **(money | {"rounds": 5}))
        early = session.campaign(other)
        while early.id is None:
            early.tick()
        session.close_bounty("early")
        early.run()
        assert early.summary()["closed"] == "BY_SCIENTIST"
        assert len(early.history()) < 5
