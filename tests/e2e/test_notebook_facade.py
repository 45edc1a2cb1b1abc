"""The notebook's way, from `connect` to `predict`, with an embedded network of capsules and mines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pysonar
from sonar.data import examples
from sonar.errors import ConfigError
from sonar.telling.progress import ListSink, Round

pytestmark = pytest.mark.e2e


def test_a_bounty_from_the_notebook() -> None:
    sink = ListSink()
    with pysonar.connect(embedded=True, mines=2, capsules=3, progress=sink) as session:
        assert len(session.network.capsules) == 3
        asked = {"threshold": 2}
        bounty = pysonar.Bounty.example(
            "diabetes", rounds=2, cohort=2, min_mines=2, key_bits=2048, capsules=asked
        )
        assert "Who learns what" in pysonar.explain(bounty)
        before_wei = session.balance_wei
        assert session.key(bounty).public.bits == 2048
        campaign = session.campaign(bounty)
        model = campaign.fit()

        table = examples.load("diabetes")
        predictions = model.predict({name: table.column(name) for name in bounty.features})
        mse = np.mean((predictions[:42] - table.column("target")[:42]) ** 2)
        assert mse == pytest.approx(model.figures["mse"], rel=1e-4)
        assert model.figures["r2"] > 0.4
        assert [line["round"] for line in campaign.history()] == [1, 2]
        assert len(campaign.payouts()) == len(campaign.revealed()) == 2
        assert sum(isinstance(event, Round) for event in sink.events) == 2
        spent_wei = before_wei - session.balance_wei
        paid_units = campaign.summary()["paid_units"]
        assert isinstance(paid_units, int)
        assert paid_units <= spent_wei < paid_units + 10**16  # and the gas

        # The same bounty is the same campaign; a changed one of that name is refused.
        assert session.campaign("diabetes") is campaign
        assert campaign.resume().weights.tolist() == model.weights.tolist()
        with pytest.raises(ConfigError, match="name"):
            session.campaign(pysonar.Bounty.example("diabetes", rounds=3))
        assert campaign.resume().loss == model.loss  # what is refused takes nobody's place


def test_an_embedded_network_with_a_home_goes_on_where_its_chain_does(tmp_path: Path) -> None:
    bounty = pysonar.Bounty.example("diabetes", rounds=1, cohort=2, min_mines=2, key_bits=2048)
    place: dict[str, Any] = {"home": tmp_path, "embedded": True, "mines": 2, "password": "secret"}
    with pysonar.connect(**place, progress=ListSink()) as session:
        assert pysonar.connect(**place) is session
        first = session.campaign(bounty).fit()
        client = session.network.client
    with pysonar.connect(**place, progress=ListSink()) as again:
        assert again is not session
        campaign = again.campaign(bounty)
        if client == "anvil":
            assert campaign.fit().weights.tolist() == first.weights.tolist()
        else:  # it keeps nothing
            with pytest.raises(ConfigError, match="does not know the bounty 'diabetes'"):
                campaign.fit()


def test_a_home_that_is_misspelt_starts_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SONAR_NETWORK", raising=False)
    with pytest.raises(ConfigError, match="belongs to no network yet") as told:
        pysonar.connect(tmp_path / "typo", password="secret")
    assert "embedded=True" in told.value.hint
    assert list(tmp_path.iterdir()) == []
