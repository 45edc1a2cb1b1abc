"""Statistics over a real chain find what they find in one process, and what the pooled rows say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.local import compute
from pysonar.statistics.single.quantiles import Quantiles, QuantilesResult
from tests.integration.study_world import SCHEMA, StudyWorld, table


def test_a_regression_takes_one_round(tmp_path: Path) -> None:
    statistic = Ols(target="height", columns=("age",))
    world = StudyWorld(tmp_path, statistic=statistic)
    campaign = world.campaign()
    assert len(world.run_to_end(campaign).rounds) == 1
    found = campaign.result()
    here = compute(statistic, SCHEMA, [table(i) for i in range(world.mines)])
    assert isinstance(found, OlsResult)
    assert isinstance(here, OlsResult)
    for name in ("params", "bse", "pvalues", "rsquared", "llf", "condition_number"):
        assert getattr(found, name) == pytest.approx(getattr(here, name), rel=1e-9)
    age, height = world.pooled.T
    design = np.column_stack([np.ones(len(age)), age])
    assert found.params == pytest.approx(np.linalg.lstsq(design, height, rcond=None)[0], rel=1e-9)
    world.check_money()


def test_quantiles_take_rounds_until_bins_have_few_rows(tmp_path: Path) -> None:
    statistic = Quantiles(column="height", shares=(0.5,), bins=4, steps=6)
    world = StudyWorld(tmp_path, statistic=statistic)
    campaign = world.campaign()
    rounds = len(world.run_to_end(campaign).rounds)
    found = campaign.result()
    assert isinstance(found, QuantilesResult)
    assert rounds == found.rounds
    assert 1 < rounds < 6
    heights = np.sort(world.pooled[:, 1])
    exact = heights[round(0.5 * (len(heights) - 1))]
    assert found.low[0] <= exact <= found.high[0]
    assert found.high[0] - found.low[0] == pytest.approx(200 / 4**rounds)
