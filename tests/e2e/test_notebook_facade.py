"""The notebook's way, from `connect` to `predict`, with an embedded network and two mines as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pysonar
from sonar.chain.faucet import fund
from sonar.errors import ConfigError
from sonar.model import examples
from sonar.progress import ListSink, Round

pytestmark = pytest.mark.e2e


def mine(*args: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "mine", *args, "--home", str(home), "--json"]


def test_a_bounty_from_the_notebook(tmp_path: Path) -> None:
    sink = ListSink()
    environment = {**os.environ, "SONAR_PASSWORD": "a mine's"}
    with pysonar.connect(embedded=True, progress=sink) as session:
        mines = []
        for number in (1, 2):
            home = tmp_path / f"mine-{number}"
            init = mine(
                "init", "--network", str(session.network_file), "--dev", "--example", "diabetes", home=home
            )
            shard = ["--shard", f"{number}/2"]
            subprocess.run([*init, *shard], check=True, env=environment, capture_output=True)
            (keystore,) = (home / "keystore").glob("0x*.json")
            fund(session.network, keystore.stem, 10**18)
            run = mine("run", "--join-all", "--exit-when-done", home=home)
            mines.append(subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL))
        try:
            bounty = pysonar.Bounty.example("diabetes", rounds=2, cohort=2, min_mines=2, key_bits=2048)
            assert "Who learns what" in bounty.explain()
            before_wei = session.balance_wei
            campaign = session.campaign(bounty)
            model = campaign.fit()
        finally:
            for process in mines:
                process.terminate()
                process.wait()

        table = examples.load("diabetes")
        predictions = model.predict({name: table.column(name) for name in bounty.features})
        assert np.mean((predictions[:42] - table.column("target")[:42]) ** 2) == pytest.approx(
            model.loss, rel=1e-4
        )
        assert model.loss < 6000
        assert [line["round"] for line in campaign.history()] == [1, 2]
        assert len(campaign.payouts()) == len(campaign.revealed()) == 2
        assert sum(isinstance(event, Round) for event in sink.events) == 2
        spent_wei = before_wei - session.balance_wei
        paid_wei = campaign.summary()["paid_wei"]
        assert isinstance(paid_wei, int)
        assert paid_wei <= spent_wei < paid_wei + 10**16  # and the gas

        # The same bounty is the same campaign; a changed one of that name is refused.
        assert session.campaign("diabetes") is campaign
        assert campaign.resume().weights.tolist() == model.weights.tolist()
        with pytest.raises(ConfigError, match="name"):
            session.campaign(pysonar.Bounty.example("diabetes", rounds=3))
