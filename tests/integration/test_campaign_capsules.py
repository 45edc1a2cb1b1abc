"""Whole campaigns behind three capsules, with the program's own service: what they train and pay, and what
one capsule that fails or lies can do.
"""

from __future__ import annotations

from pathlib import Path

from sonar.chain.contract.committee import is_committee
from sonar.protocol.events import BountyPosted, CohortFixed, RoundSettled
from tests.integration.campaign_kit import World
from tests.integration.capsule_world import CapsuleWorld

ROUNDS = {"rounds": 3}


def test_models_and_payments_are_those_without_capsules(tmp_path: Path) -> None:
    plain = World(tmp_path / "plain", mines=4, settings=ROUNDS)
    alone = plain.campaign()
    plain.run(alone)
    world = CapsuleWorld(tmp_path / "veiled", mines=4, settings=ROUNDS, accounts=plain.accounts)
    campaign = world.campaign()
    world.run(campaign)
    assert campaign.model.weights.tolist() == alone.model.weights.tolist()
    assert [line["loss"] for line in campaign.history()] == [line["loss"] for line in alone.history()]
    assert len(world.events(CohortFixed)) == len(world.events(RoundSettled)) == 3
    best = world.bounty.initial_loss
    for line, other in zip(campaign.history(), alone.history(), strict=True):
        if line["loss"] < best:  # else nothing is paid by the shares but fees
            ours, theirs = line["shares_bps"], other["shares_bps"]
            assert max(abs(ours[mine] - theirs[mine]) for mine in theirs) <= 10
            best = line["loss"]
    assert best < world.bounty.initial_loss
    world.check_money()


def test_an_audited_bounty_is_settled_by_the_capsules_signatures(tmp_path: Path) -> None:
    """Its settler is their committee: each has recomputed every round before it signed."""
    world = CapsuleWorld(tmp_path, mines=4, settings=ROUNDS, audit=True)
    campaign = world.campaign()
    world.run(campaign)
    (posted,) = world.events(BountyPosted)
    accounts = [one.address for one in world.capsules]
    assert is_committee(world.market, posted.terms.settler, accounts, 2) == ""
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert campaign.model.loss < world.bounty.initial_loss
    assert all("settlement" in one.asked for one in world.capsules)
    world.check_money()
