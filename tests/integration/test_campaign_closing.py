"""A bounty that ends before its last round: asked for, or because nothing gets better."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysonar.campaign.ending import ClosingWish, has_stopped
from pysonar.campaign.records import Outcome, Records
from sonar.errors import UsageError
from sonar.home.journal import Journal
from sonar.protocol.events import BountyClosed, RoundSettled
from sonar.protocol.phase import CloseReason
from sonar.telling.progress import describe
from tests.integration.campaign_kit import ETHER, World

FEE = ETHER // 100


def told(world: World) -> str:
    return " ".join(describe(line.event) for line in world.sink.lines)


def test_a_bounty_is_closed_right_after_the_round_under_way(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 5})
    campaign = world.campaign()
    with pytest.raises(UsageError, match="is not posted"):
        campaign.close_bounty()
    world.run_until(campaign, lambda: campaign.id is not None)
    bounty = campaign.id
    assert bounty
    world.run_until(campaign, lambda: world.market.bounty(bounty, world.market.head()).committed > 0)
    campaign.close_bounty()
    campaign.close_bounty()
    world.run(campaign)
    assert len(world.events(RoundSettled)) == 1
    closed = world.events(BountyClosed)[0]
    assert closed.reason is CloseReason.BY_SCIENTIST
    assert closed.refund_units > 4 * 3 * FEE  # the fees of four rounds, and what was not earned
    assert "you asked for it: the bounty ends before round 2" in told(world)
    assert campaign.summary()["status"] == "closed"
    assert campaign.model.loss < 1_000_000
    campaign.close_bounty()  # of a closed one it changes nothing
    world.check_money()


def test_a_bounty_without_commits_is_closed_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 3})
    for miner in world.miners:
        miner.absent = frozenset({1})
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    campaign.close_bounty()
    world.run(campaign)
    assert world.events(RoundSettled) == []
    assert world.events(BountyClosed)[0].reason is CloseReason.BY_SCIENTIST
    assert campaign.done


def test_rounds_that_bring_nothing_end_it(tmp_path: Path) -> None:
    """The diabetes campaign is at its best after two rounds; without patience, seven are paid."""
    world = World(tmp_path, settings={"rounds": 7, "patience": 2, "least_gain": 0.01})
    campaign = world.campaign()
    world.run(campaign)
    settled = world.events(RoundSettled)
    assert 3 <= len(settled) < 7
    best = [event.best_loss for event in settled]
    assert best[-3] - best[-1] < 10_000
    assert all(best[i] - best[i + 2] >= 10_000 for i in range(len(best) - 3))
    assert world.events(BountyClosed)[0].reason is CloseReason.BY_SCIENTIST
    assert "2 rounds have brought less than 1.00% of the null model's loss (patience)" in told(world)
    world.check_money()


def test_another_start_of_the_program_closes_it_too(tmp_path: Path) -> None:
    world = World(tmp_path, settings={"rounds": 4})
    first = world.campaign()
    world.run_until(first, lambda: len(world.events(RoundSettled)) == 1)
    wish = ClosingWish(tmp_path / "closing" / "diabetes")
    assert (wish.ask(), wish.ask(), ClosingWish(wish.path).asked) == (True, False, True)
    again = world.campaign()
    again._closing.wish = ClosingWish(wish.path)
    world.run(again)
    assert 1 <= len(world.events(RoundSettled)) <= 2
    assert world.events(BountyClosed)[0].reason is CloseReason.BY_SCIENTIST


def outcome(loss: int, sums: int = 1) -> Outcome:
    return Outcome([1] * sums, b"", 1, [], [], loss, {}, {})


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([500_000, 400_000, 399_500, 450_000], 2, True),
        ([500_000, 400_000, 399_500], 2, False),
        ([500_000, 400_000, 450_000, 398_000], 2, False),
        ([1_200_000, 1_000_000], 2, True),
        ([999_000], 2, False),
        ([500_000] * 6, 0, False),
        ([500_000, 500_000], 1, True),
    ],
)
def test_when_nothing_gets_better(tmp_path: Path, losses: list[int], patience: int, stops: bool) -> None:
    records = Records(Journal(tmp_path / "j.sqlite"), "b")
    for number, loss in enumerate(losses, 1):
        records.put(outcome(loss), number)
    records.put(outcome(losses[-1], 0), len(losses) + 1)  # a round in which nothing was learnt says nothing
    before = len(losses) + 2
    assert has_stopped(records, 1_000_000, patience, 0.001, before) is stops
    assert not has_stopped(records, 1_000_000, patience, 0.001, 1)
