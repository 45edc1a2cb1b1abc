"""A statistic from posting to withdrawal, on a real chain with honest mines; and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pysonar.bounty.shelf import Shelf
from pysonar.keys.holder import KeyHolder
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.errors import DataError, EnvironmentFault, UsageError
from sonar.manifests.model import ModelManifest
from sonar.protocol.events import BountyPosted, RoundSettled
from sonar.protocol.ids import hex32
from sonar.telling.progress import Note
from sonar.verifying.reading import posted_as, verify
from tests.integration.campaign_kit import ETHER
from tests.integration.keys_world import primes, ring_in, rotate
from tests.integration.study_world import StudyMine, StudyWorld
from tests.integration.test_campaign_killed import Killer, run_to_the_end
from tests.study_kit import Broken, Thrice, register


def test_one_round_gives_the_means_of_the_pooled_rows(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    campaign = world.campaign()
    summary = world.run_to_end(campaign)
    found = campaign.result().to_dict()
    assert found["age"] == pytest.approx(world.pooled[:, 0].mean(), abs=1e-6)
    assert found["height"] == pytest.approx(world.pooled[:, 1].mean(), abs=1e-6)
    assert (found["rows"], found["mines"]) == (120, 3)
    assert summary.result == found
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
    assert summary.result is None
    world.check_money()


def test_a_study_that_ends_before_its_last_sum_says_so(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice(), study={"rounds": 2})
    campaign = world.campaign()
    world.run(campaign)
    with pytest.raises(EnvironmentFault, match="has opened 2 sums of at most 3"):
        campaign.result()


def test_a_study_has_no_model(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path)
    campaign = world.campaign()
    world.run(campaign)
    with pytest.raises(UsageError, match="asks for a statistic") as told:
        _ = campaign.model
    assert "campaign.result()" in told.value.hint
    with pytest.raises(UsageError, match="asks for a statistic"):
        campaign.fit()
    assert campaign.resume().to_dict() == campaign.result().to_dict()


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


# --- what sums tell together ---


def test_a_sum_that_would_single_out_a_mine_is_not_opened(tmp_path: Path) -> None:
    """Three mines answer in round 1 and two in round 2: the difference of the counts is the third one's."""
    world = StudyWorld(tmp_path, statistic=Thrice())
    world.miners[2].absent = frozenset({2})
    campaign = world.campaign()
    world.run(campaign)
    lines = campaign.history()
    assert [bool(line["told"]) for line in lines] == [True, False, True, True]
    assert [len(line["cohort"]) for line in lines] == [3, 2, 3, 3]
    assert lines[1]["paid_units"] == 3 * ETHER // 100 // 3 * 2
    notes = [told.text for told in world.sink.events if isinstance(told, Note)]
    assert any("are not opened: compared with earlier sums" in text for text in notes)
    assert campaign.result().to_dict()["asked"] == 360
    world.check_money()


def test_who_comes_later_waits_until_it_is_not_alone(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, mines=4, statistic=Thrice())
    world.miners[3].absent = frozenset({1})
    campaign = world.campaign()
    world.run(campaign)
    late = world.miners[3].address
    lines = campaign.history()
    assert [len(line["accepted"]) for line in lines] == [3, 3, 3]
    assert all(line["left_out"][late].startswith("privacy: ") for line in lines[1:])
    assert all(line["shares_bps"][late] == 1 for line in lines[1:])  # it is paid its fee
    world.check_money()


# --- kill -9 ---


def test_every_boundary_survives_a_kill(tmp_path: Path) -> None:
    quiet = StudyWorld(tmp_path / "quiet", statistic=Thrice())
    undisturbed = quiet.campaign()
    quiet.run(undisturbed)

    world, killer = StudyWorld(tmp_path / "killed", statistic=Thrice(), accounts=quiet.accounts), Killer()
    campaign, deaths = run_to_the_end(world, killer)
    assert deaths == len(killer.boundaries) >= 80
    assert campaign.result().to_dict() == undisturbed.result().to_dict()
    assert [line["loss"] for line in campaign.history()] == [1_000_000, 1_000_000, 0]
    assert len(world.events(BountyPosted)) == 1
    assert len(world.events(RoundSettled)) == 3
    world.check_money()


def test_a_study_is_kept_on_the_shelf_and_continues_from_there(tmp_path: Path) -> None:
    register()
    world = StudyWorld(tmp_path / "world", statistic=Thrice())
    shelf = Shelf(tmp_path)
    shelf.keep(world.bounty)
    assert shelf.names() == ["heights"]
    first = world.campaign()
    world.run_until(first, lambda: len(world.events(RoundSettled)) == 1)
    taken = shelf.take("heights")
    assert taken == world.bounty
    assert taken.digest == world.bounty.digest
    world.bounty = taken  # type: ignore[assignment]
    second = world.campaign()
    world.run(second)
    assert second.result().to_dict()["asked"] == 360


# --- anybody checks it ---


def test_a_study_is_verified_and_a_missing_question_is_found(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice())
    campaign = world.campaign()
    world.run(campaign)
    assert campaign.id is not None
    posted = posted_as(world.market, hex32(campaign.id))
    told = verify(world.market, lambda: world.store, posted)
    assert (told.result, len(told.rounds)) == ("holds", 4)

    second = ModelManifest.from_bytes(campaign.records.trained_on(2).model_manifest)
    del world.memory._blobs[second.blobs[0].digest]
    told = verify(world.market, lambda: world.store, posted)
    (missing,) = (each for one in told.rounds for each in one.findings if each.kind == "unknown")
    assert (told.result, missing.group, missing.field) == ("unknown", "model", "question")


def test_a_study_is_closed_when_its_scientist_wishes(tmp_path: Path) -> None:
    world = StudyWorld(tmp_path, statistic=Thrice())
    campaign = world.campaign()
    world.run_until(campaign, lambda: len(world.events(RoundSettled)) == 1)
    campaign.close_bounty()
    summary = world.run_to_end(campaign)
    assert summary.closed == "BY_SCIENTIST"
    assert len(world.events(RoundSettled)) < 3
    with pytest.raises(EnvironmentFault, match="of at most 3"):
        campaign.result()
    world.check_money()


class StudyKeys(StudyWorld):
    """A `StudyWorld` whose key may change."""

    def holder(self) -> KeyHolder:
        return LocalHolder(ring_in(self.folder))


def test_a_change_of_the_key_changes_no_sum(tmp_path: Path) -> None:
    world = StudyKeys(tmp_path, statistic=Thrice())
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    rotate(world.folder, Key(*primes(1)))
    world.run(campaign)
    assert campaign.result().to_dict()["asked"] == 360
    assert list(campaign.records.keys()) == [1, 2]
    assert campaign.id is not None
    told = verify(world.market, lambda: world.store, posted_as(world.market, hex32(campaign.id)))
    assert told.result == "holds"
    world.check_money()
