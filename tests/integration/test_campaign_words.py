"""Studies behind three capsules, with the program's own service: sums of words, one capsule that fails or
lies, and mines that spoil.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.protocol.events import CohortFixed, RoundSettled
from tests.integration.words_world import WordsWorld


def test_one_round_gives_the_means_of_the_pooled_rows(tmp_path: Path) -> None:
    world = WordsWorld(tmp_path)
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    found = campaign.result().to_dict()
    assert found["age"] == pytest.approx(world.pooled[:, 0].mean(), abs=1e-6)
    assert found["height"] == pytest.approx(world.pooled[:, 1].mean(), abs=1e-6)
    assert (found["rows"], found["mines"]) == (120, 3)
    assert summary.closed == "TARGET_REACHED"
    assert len(world.events(CohortFixed)) == len(world.events(RoundSettled)) == 1
    world.check_money()
    for one in campaign.revealed().values():
        assert (one.score_bits, one.told_bits, one.failed_tests) == (0, 1, [])
    assert all(one.asked == ["identity", "functional", "sum"] for one in world.capsules)
