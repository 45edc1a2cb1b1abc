"""Campaigns of mines that add noise, on a real chain: the clear run's losses, nobody left out, and audits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from capsule.audit.auditor import Auditor
from sonar.manifests.evidence import EvidenceManifest
from sonar.protocol.events import RoundSettled
from sonar.protocol.ids import Cid
from tests.family_kit import losses_of, run_clear
from tests.integration.campaign_kit import World, released_map
from tests.integration.test_campaign_audited import AuditedWorld


def clear_losses(world: World, rounds: int) -> list[int]:
    """The same job on the same releases, without encryption, chain or store."""
    design = world.bounty.design
    maps = [released_map(i, world.shards, design.spec, design.plan) for i in range(world.mines)]
    weighted = [replace(one, rows=min(one.rows, design.plan.weight_rows)) for one in maps]
    return losses_of(run_clear(design, weighted, rounds, world.bounty.optimiser))[1:]


def left_out(world: World) -> dict[str, str]:
    """Who was left out of a round, with the reason."""
    found: dict[str, str] = {}
    for settled in world.events(RoundSettled):
        data = world.store.get(Cid("dag-cbor", settled.evidence_digest), 1 << 20)
        cohort = EvidenceManifest.from_bytes(data).cohort
        found |= {member.mine: member.reason for member in cohort if not member.accepted}
    return found


def played(world: World) -> Any:
    campaign = world.campaign()
    world.run(campaign)
    assert left_out(world) == {}
    assert [line["loss"] for line in campaign.history()] == clear_losses(world, world.bounty.terms.rounds)
    world.check_money()
    return campaign


def test_a_campaign_with_local_noise_reaches_the_loss_of_the_clear_run(tmp_path: Path) -> None:
    world = World(tmp_path, mines=10, settings={"rounds": 7, "privacy": {"epsilon": 8.0}})
    campaign = played(world)
    assert min(line["loss"] for line in campaign.history()) < 900_000
    assert all(sum(line["shares_bps"].values()) == 10_000 for line in campaign.history())


def test_capsules_recompute_a_campaign_with_shared_noise_before_they_sign(tmp_path: Path) -> None:
    privacy = {"epsilon": 4.0, "noise": "shared"}
    world = AuditedWorld(tmp_path, mines=5, settings={"rounds": 3, "min_mines": 3, "privacy": privacy})
    campaign = played(world)
    assert campaign.id is not None
    auditors = [capsule.means.auditor for capsule in world.capsules]
    recomputed = [one.again(campaign.id) for one in auditors if isinstance(one, Auditor)]
    assert recomputed.count({1: "", 2: "", 3: ""}) >= world.threshold
