"""A statistic from posting to withdrawal, on a real chain with honest mines; and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sonar.errors import DataError, EnvironmentFault, UsageError
from sonar.manifests.model import ModelManifest
from sonar.protocol.events import RoundSettled
from tests.integration.campaign_kit import ETHER
from tests.integration.study_world import StudyMine, StudyWorld
from tests.study_kit import Broken, Thrice


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


def test_three_rounds_each_ask_what_follows_from_the_one_before(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice())
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    found = campaign.result().to_dict()
    assert found["asked"] == 0 + 120 + 240
    assert found["age"] == pytest.approx(world.pooled[:, 0].mean(), abs=1e-6)
    assert [event.new_loss for event in world.events(RoundSettled)] == [1_000_000, 1_000_000, 0]
    assert len(summary.rounds) == 3
    assert summary.closed == "TARGET_REACHED"
    published = [ModelManifest.from_bytes(campaign.records.trained_on(n).model_manifest) for n in (1, 2, 3)]
    blobs = [world.store.get(model.blobs[0], 100) for model in published]
    assert [int.from_bytes(blob, "big") / 2**32 for blob in blobs] == [0, 120, 240]
    world.check_money()


def test_a_round_that_fails_for_want_of_mines_is_asked_again(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    world.miners[1].absent = world.miners[2].absent = frozenset({1})
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["failed", "settled"]
    assert campaign.result().to_dict()["rows"] == 120
    world.check_money()


def test_sums_that_allow_no_answer_end_the_bounty_and_are_told_at_its_end(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Broken())
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    assert summary.closed == "TARGET_REACHED"
    with pytest.raises(DataError, match="collinear"):
        campaign.result()
    world.check_money()


def test_a_study_that_ends_before_its_last_sum_says_so(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice(), study={"rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    with pytest.raises(EnvironmentFault, match="has opened 2 sums of at most 3"):
        campaign.result()
    with pytest.raises(EnvironmentFault):
        _ = campaign.model


def test_a_study_has_no_model(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    campaign = world.campaign()
    world.run(campaign)
    with pytest.raises(UsageError, match=r"asks for a statistic.*") as told:
        _ = campaign.model
    assert "campaign.result()" in told.value.hint


# --- mines that send something else ---


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda values: [values[0], *(1 << 60 for _ in values[1:])], "test range"),
        (lambda values: [2 * value for value in values], "test rows"),
        (lambda values: [values[0], -(values[0] + (1 << 30)), *values[2:]], "test bound"),
    ],
)
def test_values_that_no_rows_have_are_left_out_for_good(
    tmp_path: Path, change: Callable[[list[int]], list[int]], why: str
) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice())
    cheat = world.miners[0]
    assert isinstance(cheat, StudyMine)
    cheat.change = change
    campaign = world.campaign()
    world.run(campaign)
    lines = campaign.history()
    assert lines[0]["left_out"][cheat.address].startswith(why)
    assert all("left out since round 1" in line["left_out"][cheat.address] for line in lines[1:])
    assert all(line["shares_bps"][cheat.address] == 0 for line in lines)
    assert campaign.result().to_dict()["rows"] == 80
    world.check_money()


def test_anothers_answer_is_no_second_one(tmp_path: Path) -> None:
    """The same rows under two addresses weigh nothing more, and are paid as one."""
    world = StudyWorld(tmp_path, mines=4)
    first, second = world.miners[:2]
    assert isinstance(first, StudyMine)
    assert isinstance(second, StudyMine)
    second.rows_of = first.index
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert len(line["accepted"]) == 3
    (out,) = line["left_out"].values()
    assert out.startswith("twin")
    assert campaign.result().to_dict()["rows"] == 120
    world.check_money()


def test_junk_in_place_of_ciphertexts_is_left_out(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    cheat = world.miners[0]
    assert isinstance(cheat, StudyMine)
    cheat.junk = True
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert line["left_out"][cheat.address].startswith("malformed: ")
    assert campaign.result().to_dict()["rows"] == 80
    world.check_money()
