"""A statistic from posting to withdrawal, on a real chain with honest mines; and what can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.protocol.events import RoundSettled
from tests.integration.campaign_kit import ETHER
from tests.integration.study_world import StudyWorld


def test_one_round_gives_the_means_of_the_pooled_rows(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    found = campaign.result().to_dict()
    assert found["age"] == pytest.approx(world.pooled[:, 0].mean(), abs=1e-6)
    assert found["height"] == pytest.approx(world.pooled[:, 1].mean(), abs=1e-6)
    assert (found["rows"], found["mines"]) == (120, 3)
    assert summary.closed == "TARGET_REACHED"
    assert summary.paid_units == 3 * ETHER // 100  # unused fees came back
    assert summary.refunded_units == summary.escrow_units - summary.paid_units
    assert [event.new_loss for event in world.events(RoundSettled)] == [0]
    world.check_money()
    (line,) = campaign.history()
    assert line["told"] == "means, round 1 of at most 1: sums over 120 rows of 3 mines; that is all"
    assert all(total.score_bits == 0 for total in campaign.revealed().values())
