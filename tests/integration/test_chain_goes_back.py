"""A chain that loses blocks which were believed: it is all sent again, and the bounty ends the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sonar.chain.contract.errors import WrongStatus
from sonar.errors import ChainUnavailable
from sonar.protocol.events import (
    BountyClosed,
    BountyPosted,
    Committed,
    Revealed,
    RoundSettled,
    Withdrawn,
)
from sonar.protocol.phase import Status
from sonar.protocol.round import RoundState
from sonar.telling.progress import Done
from tests.chain_kit import go_back
from tests.integration import campaign_kit, mine_kit
from tests.quick_chain import inside

DEPTHS = [pytest.param(4, marks=pytest.mark.deep), 9]
"""Of what 9 blocks take back, 4 are a part."""


@pytest.mark.parametrize("blocks", DEPTHS)
@pytest.mark.parametrize("kind", [BountyPosted, Committed, Revealed, RoundSettled, BountyClosed, Withdrawn])
def test_a_campaign_ends_as_if_nothing_had_happened(tmp_path: Path, kind: Any, blocks: int) -> None:
    world = campaign_kit.World(tmp_path, settings={"rounds": 2}, quick=False)
    campaign = world.campaign()
    world.run_until(campaign, lambda: bool(world.events(kind)))
    with pytest.MonkeyPatch.context() as patch:  # it looks once more, and does nothing
        patch.setattr(campaign, "_act", lambda *_: Done(""))
        campaign.tick()
    go_back(
        inside(world.chain), world.fund, min(blocks, world.market.head().number - world.market.deployed_block)
    )
    run(world, campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 2
    assert [len(line["shares_bps"]) for line in campaign.history()] == [3, 3]
    assert [finished["loss"] for finished in campaign.history()] == [
        event.new_loss for event in world.events(RoundSettled)
    ]
    world.check_money()


def run(world: campaign_kit.World, campaign: Any) -> None:
    """As `World.run`, for a chain that may not know the bounty any more."""
    for _ in range(500):
        with suppress(ChainUnavailable):
            if isinstance(campaign.tick(), Done):
                return
            world.let_mines_act(campaign)
        world.move()
    raise AssertionError("it does not end")


@pytest.mark.parametrize("blocks", DEPTHS)
@pytest.mark.parametrize("status", [Status.REVEAL, Status.SETTLE])
def test_mines_send_again_what_was_lost(tmp_path: Path, status: Status, blocks: int) -> None:
    world = mine_kit.World(tmp_path, quick=False)
    world.scientist.post()
    nodes = [world.node(i) for i in range(3)]
    for _ in range(20):
        if world.status() is status:
            break
        for node in nodes:
            node.tick()
    posted = world.scientist.market.posting(world.scientist.bounty)
    assert posted is not None
    go_back(inside(world.chain), world.fund, min(blocks, world.market().head().number - posted.block))
    for _ in range(20):
        mine_kit.run(nodes, passes=1)
        world.advance(1)
    assert world.status() is Status.SETTLE
    assert len(world.scientist.cohort(1)) == 3
    assert [world.part(i, 1).state for i in range(3)] == [RoundState.REVEALED] * 3


@pytest.mark.parametrize(
    "blocks", [n if n % 2 else pytest.param(n, marks=pytest.mark.deep) for n in range(8, 16)]
)
def test_mines_go_through_a_round_that_they_had_ended_once_more(tmp_path: Path, blocks: int) -> None:
    """Wherever the chain goes on from: rounds 1 and 2, posting and settlement have 14 transactions."""
    world = mine_kit.World(tmp_path, quick=False)
    scientist = world.scientist
    scientist.post()
    nodes = [world.node(i) for i in range(3)]
    mine_kit.run(nodes, passes=4)
    scientist.settle(loss=400_000)
    mine_kit.run(nodes, passes=4)
    assert (world.state().round, world.status()) == (2, Status.SETTLE)
    first = scientist.market.posting(scientist.bounty)
    assert first is not None
    go_back(inside(world.chain), world.fund, min(blocks, world.market().head().number - first.block))
    for _ in range(100):
        scientist.outbox.recover(world.market().head())
        mine_kit.run(nodes, passes=1)
        if world.status() is Status.SETTLE:
            if world.state().round == 2:
                break
            with suppress(WrongStatus):  # it was sent again too early, and is signed anew in the next pass
                scientist.settle(loss=400_000)
        world.advance(1)
    assert [len(scientist.cohort(n)) for n in (1, 2)] == [3, 3]
    scientist.settle(loss=300_000)
    assert all(isinstance(result, Done) for result in mine_kit.run(nodes))
    for i in range(3):
        assert [world.part(i, n).state for n in (1, 2)] == [RoundState.PAID] * 2


def test_a_reveal_that_is_lost_for_good_ends_its_round(tmp_path: Path) -> None:
    """The chain came back when its window was over."""
    world = mine_kit.World(tmp_path, quick=False)
    world.scientist.post(mine_kit.terms(rounds=1))
    nodes = [world.node(i, claim=True) for i in range(3)]
    mine_kit.run(nodes, passes=3)
    assert world.status() is Status.SETTLE
    late = world.address(2)
    cohort = [event.mine for event in world.market().events(0) if isinstance(event, Revealed)]
    assert cohort[-1] == late
    go_back(inside(world.chain), world.fund, 1)
    world.advance(120)
    world.scientist.settle()
    assert isinstance(mine_kit.run([nodes[2]])[0], Done)
    assert world.part(2, 1).state is RoundState.FORFEIT
    assert world.part(2, 1).why == "the round is over"
